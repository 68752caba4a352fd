"""Weights that are drawn again while they are trained: ``torch.nn.init``, also by ``reset_parameters``."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import nn

from flightcheck.adapters.torch.discovery import Discovery
from flightcheck.adapters.torch.patches import Patches
from flightcheck.adapters.torch.watch import Watch
from flightcheck.recording.drawn_anew import DrawnAnew as Record
from flightcheck.recording.records import Location

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST: Final = 256
_DEEPEST: Final = 6
_PART: Final = 1024
"""Elements of a parameter that are kept."""


class DrawnAnew:
    """Which lines do that, to which parameters, and when."""

    def __init__(self, watch: Watch, discovery: Discovery) -> None:
        self.watch = watch
        self.discovery = discovery
        self._found: dict[Location | None, tuple[list[int], set[int]]] = {}
        self._drawn: dict[int, tuple[torch.Tensor, int]] = {}
        """Of each of these parameters: a copy of what was drawn last, and the calls of its models till then."""

    def drawn(self, tensor: torch.Tensor) -> bool:
        """An initialization is about to overwrite a tensor.

        Returns:
            It is a parameter that was trained before.
        """
        if not self.watch.step or not isinstance(tensor, torch.Tensor) or not self.watch.mine():
            return False
        index = self._index(tensor)
        if index is None:
            return False
        info = self.discovery.parameters[index]
        if not info.optimizers or info.joined >= self.watch.step:
            return False
        rounds, parameters = self._found.setdefault(self._line(), ([], set()))
        parameters.add(index)
        if len(rounds) < _MOST and self.watch.step not in rounds[-1:]:
            rounds.append(self.watch.step)
        return True

    def _behind(self, tensor: torch.Tensor) -> None:
        """Initial values were drawn into a trained parameter. Of large ones a part is kept."""
        index = self._index(tensor)
        if index is not None:
            self._drawn[index] = _part(tensor), self._calls(index)

    def _calls(self, index: int) -> int:
        """Training calls of the models that hold a parameter."""
        return sum(r.train_calls for r in self.discovery.roots.values() if index in r.parameter_indices)

    def _as_drawn(self, indices: set[int]) -> tuple[list[int], int]:
        """Those that still hold what was drawn, and how often a model that holds all of them was called since."""
        kept, calls = [], []
        for index in sorted(indices.intersection(self._drawn)):
            parameter, (drawn, before) = self.discovery.parameter_refs[index](), self._drawn[index]
            if parameter is not None and torch.equal(_part(parameter), drawn):
                kept.append(index)
                calls.append(self._calls(index) - before)
        return kept, min(calls, default=0)

    def _index(self, tensor: torch.Tensor) -> int | None:
        """Of a parameter, or of the one whose memory the tensor is (``p.data``)."""
        known = self.discovery.parameter_index(tensor)
        if known is not None:
            return known
        alive = ((i, p) for i, ref in enumerate(self.discovery.parameter_refs) if (p := ref()) is not None)
        return next((i for i, p in alive if p.layout is torch.strided and p.data_ptr() == tensor.data_ptr()), None)

    def _line(self) -> Location | None:
        """The line that asks for it: that of ``apply`` where it goes over a model's layers, else the innermost."""
        lines = self.watch.lines.stack(_DEEPEST)
        return next((line for line in lines if ".apply(" in line.code), lines[0] if lines else None)

    def install(self, patches: Patches) -> None:
        """Watch the functions of ``torch.nn.init``."""
        told, behind = self.watch.guarded(self.drawn), self.watch.guarded(self._behind)

        def around(tensor: Any, draw: Callable[[Any], Any]) -> Any:
            trained = told(tensor)
            result = draw(tensor)
            if trained:
                behind(tensor)
            return result

        initializations(patches, around)

    def save(self) -> None:
        """Write the records."""
        for i, (line, (rounds, parameters)) in enumerate(self._found.items()):
            kept, calls = self._as_drawn(parameters)
            self.watch.writer.put(Record(i, line, rounds, sorted(parameters), kept, calls), i)


def _part(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().reshape(-1)[:_PART].clone()


def initializations(patches: Patches, around: Callable[[Any, Callable[[Any], Any]], Any]) -> None:
    """``around(tensor, draw)`` runs in the place of each function that draws initial values into a tensor."""

    def make(original: Any) -> Any:
        @functools.wraps(original)
        def fill(tensor: Any, *args: Any, **kwargs: Any) -> Any:
            return around(tensor, lambda t: original(t, *args, **kwargs))

        return fill

    for name in dir(nn.init):
        if name.endswith("_") and not name.startswith("_") and callable(getattr(nn.init, name)):
            patches.replace(nn.init, name, make)
