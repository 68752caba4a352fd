"""A patch of layers that a forward pass constructs: one for all calls."""

from __future__ import annotations

from typing import Any

from torch import nn

from flightcheck.adapters.torch.patching import steps
from flightcheck.adapters.torch.patching.boundaries import Arguments, Boundaries
from flightcheck.patch import Patch
from flightcheck.recording.records import Location

_Place = tuple[int, Location | None, str, int]
"""A model, the line that constructs in it, the class, and the number of the layer among those of one call."""


def keep_modules(b: Boundaries, patch: Patch) -> None:
    """A layer that is constructed while a model runs is, from its second call on, the one of the first call.

    The optimizer takes its parameters over, as with ``add-parameters``. The script's own layers are constructed as
    before, so that it draws the same random numbers as its control. The layer of the first call is in the mode of its
    model, as one of its attributes would be.
    """
    kept: dict[_Place, nn.Module] = {}
    ours: set[int] = set()
    running: list[tuple[nn.Module, int, dict[_Place, int]]] = []
    watch, discovery = b.observer.watch, b.observer.discovery

    def root(call: Any, module: nn.Module, given: Arguments) -> Any:
        running.append((module, watch.next_sequence(), {}))
        try:
            return call(*given[0], **given[1])
        finally:
            running.pop()

    def around(call: Any, module: nn.Module, given: Arguments) -> Any:
        built = discovery.built.get(module) if running and id(module) not in ours else None
        if built is None or built.sequence < running[-1][1] or next(module.parameters(), None) is None:
            return call(*given[0], **given[1])
        model, _, counts = running[-1]
        line = (id(model), built.location, type(module).__name__, 0)
        counts[line] = counts.get(line, 0) + 1
        first = kept.setdefault((*line[:3], counts[line]), module)
        if first is module:
            ours.update(id(m) for m in first.modules())
        elif _shapes(first) == _shapes(module):
            b.acted(patch)
        else:
            return call(*given[0], **given[1])
        with b.unwatched():
            first.train(model.training)
        return first(*given[0], **given[1])

    b.at_module(around)
    b.at_root(root)
    steps.add_parameters(b, patch)


def _shapes(module: nn.Module) -> list[tuple[int, ...]]:
    return [tuple(p.shape) for p in module.parameters()]
