"""Probabilities that are normalized once more, as if they were logits, by the script or by a distribution."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from typing import Any, Final

import torch

from flightcheck.adapters.torch.frames import local
from flightcheck.adapters.torch.graph import behind_views, nodes_of
from flightcheck.adapters.torch.watch import Watch, is_plain_tensor
from flightcheck.recording.loss_records import RepeatedSoftmax
from flightcheck.recording.records import Location

_IN_MODULES: Final = {"log_softmax", "logsumexp"}
"""A model may pass probabilities through a softmax again, to weigh something; of logarithms it makes its output."""
NORMALIZATIONS: Final = {*_IN_MODULES, "softmax", "gumbel_softmax"}
_DIM_AT: Final = {"gumbel_softmax": 4}
"""Place of the axis among the arguments; 1 in the others."""
_TOLERANCE: Final = 1e-3
"""Of the sum of a row: float32 keeps 1e-6, bfloat16 4e-3 per number."""
_MOST_CALLS: Final = 256
"""Of a round, to be looked at; an episode calls one line at each of its steps."""
_MOST_NODES: Final = 20_000


class RepeatedSoftmaxes:
    """Looks at softmaxes and their logarithms in the learning pass; told of each by `Operations`."""

    def __init__(self, watch: Watch, lines: Mapping[Any, Location], owners: Mapping[Any, int]) -> None:
        self.watch = watch
        self._lines = lines
        self._owners = owners
        """Node → innermost module that returned it, this round."""
        self._round: dict[Any, tuple[RepeatedSoftmax, bool]] = {}
        """Node of a normalization of this round → what it is, and whether it was given probabilities."""
        self._known: dict[tuple[str, Location | None], RepeatedSoftmax] = {}

    def look(self, name: str, args: Any, kwargs: Any, result: Any, inside: bool) -> None:
        """An operation of `NORMALIZATIONS` was called, `inside` the call of a module or not."""
        given = args[0] if args else kwargs.get("input", kwargs.get("logits"))
        node = result.grad_fn if isinstance(result, torch.Tensor) and result.requires_grad else None
        if node is None or (inside and name not in _IN_MODULES) or len(self._round) >= _MOST_CALLS:
            return
        at = _DIM_AT.get(name, 1)
        axis = kwargs.get("dim", args[at] if len(args) > at else -1)
        axis = axis[0] if isinstance(axis, (tuple, list)) and len(axis) == 1 else axis
        line = self.watch.lines.here()
        if line is None or not isinstance(axis, int) or not _has_classes(given, axis):
            return
        made = behind_views(given.grad_fn)
        found = RepeatedSoftmax(
            operation=_distribution() or name,
            location=line,
            step=self.watch.step,
            classes=given.shape[axis],
            made_by=made.name() if made is not None else "",
            made_location=self._lines.get(made),
            module=self._owners.get(given.grad_fn, self._owners.get(made, -1)),
        )
        self._round[node] = found, _are_probabilities(given.detach(), axis)

    def reached(self, loss: torch.Tensor) -> None:
        """Backward is called on `loss`: only what is part of it is meant."""
        if not self._round or loss.grad_fn is None:
            return
        for node in nodes_of(loss.grad_fn, _MOST_NODES):
            if (seen := self._round.pop(node, None)) is not None:
                found, repeated = seen
                before = self._known.get((found.operation, found.location), found)
                self._known[found.operation, found.location] = dataclasses.replace(
                    before, calls=before.calls + 1, repeated=before.repeated + repeated
                )

    def end_round(self) -> None:
        """Forget the graph of this round."""
        self._round.clear()

    def save(self) -> None:
        """Write the lines that were given probabilities."""
        for i, found in enumerate(f for f in self._known.values() if f.repeated):
            self.watch.writer.put(found, i)


def _distribution() -> str:
    """The name of the distribution that is being built; empty if none is."""
    frame, name = sys._getframe(1), ""
    while (frame := frame.f_back) is not None:  # type: ignore[assignment]
        here = frame.f_globals.get("__name__", "")
        if here.startswith("torch.distributions."):
            name = type(local(frame, "self")).__name__  # the outermost one is the script's
        elif name:
            break
    return name


def _has_classes(given: Any, axis: int) -> bool:
    """Numbers with a graph, over at least two classes."""
    if not is_plain_tensor(given) or not given.is_floating_point() or not given.numel():
        return False
    return bool(given.requires_grad and -given.dim() <= axis < given.dim() and given.shape[axis] > 1)


def _are_probabilities(given: torch.Tensor, axis: int) -> bool:
    """No number is below 0, and each row over the axis sums to 1."""
    with torch.no_grad():
        return bool((given >= 0).all()) and bool(((given.float().sum(axis) - 1).abs() <= _TOLERANCE).all())
