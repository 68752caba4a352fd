"""Likelihoods by hand, of what is no probability: ``torch.log(torch.sigmoid(scores)[rows, classes])``.

A choice of one class out of several needs probabilities that sum to 1. Where each output has a sigmoid of its own, the
logarithm of the chosen one is largest when all of them are 1; a ReLU, or no activation at all, gives no probability.
"""

from __future__ import annotations

import dataclasses
import weakref
from collections.abc import Mapping
from typing import Any, Final

import torch

from flightcheck.adapters.torch.graph import behind_views
from flightcheck.adapters.torch.remembered import Remembered
from flightcheck.adapters.torch.watch import Watch
from flightcheck.recording.likelihoods import Likelihood
from flightcheck.recording.records import Location

PICKS: Final = {"gather", "take_along_dim", "__getitem__"}
CUTS: Final = {"clamp", "clip", "clamp_", "clip_"}
_LOGARITHMS: Final = {"log", "log_", "log2", "log10"}
_ON_THE_WAY: Final = {
    "squeeze", "view", "reshape", "flatten", "add", "__add__", "__radd__", "clamp", "clip", "clamp_min", "squeeze_",
}  # fmt: skip
"""What may lie between a choice and its logarithm."""
_NO_PROBABILITY: Final = {
    "ReluBackward0", "LeakyReluBackward0", "EluBackward0", "GeluBackward0", "SiluBackward0", "TanhBackward0",
    "AddmmBackward0", "ConvolutionBackward0",
}  # fmt: skip
_OF_ITS_OWN: Final = "SigmoidBackward0"
_LOW, _HIGH = 0.01, 0.99
_LOOKS: Final = {"size", "dim", "argmax", "detach", "item", "__get__", "eq", "max", "topk"}
"""What may be done with probabilities besides, without a gradient that matters."""
_MOST_LINES: Final = 16


class Likelihoods:
    """Told of the operations of the learning pass, with gradients."""

    def __init__(self, watch: Watch, lines: Mapping[Any, Location]) -> None:
        self.watch = watch
        self.following = False
        """There is a choice or a cut in this round: all operations are to be told."""
        self._lines = lines
        self._found: dict[Location, Likelihood] = {}
        self._not_alone = False
        """Probabilities are used for something else, too, as those of the classes that were not chosen."""
        self._whole: dict[int, weakref.ref[torch.Tensor]] = {}
        """What was chosen from in this round."""
        self._numbers = Remembered()
        """What was chosen or cut."""
        self._told: dict[int, Likelihood] = {}
        """The same, by identity."""

    def look(self, name: str, args: Any, kwargs: Any, result: Any) -> None:
        """One of `PICKS` or `CUTS`, or any operation while `following`."""
        if type(result) is not torch.Tensor or not result.requires_grad or not args:
            return
        first = args[0]
        known = self._told.get(id(first)) if first in self._numbers else None
        if name in PICKS:
            self._picked(name, args, kwargs, result)
        elif known is None and name in CUTS:
            self._cut(args, kwargs, result)
        elif known is not None and name in _LOGARITHMS:
            self._note(known)
        elif known is not None and name in _ON_THE_WAY:
            self._remember(result, known)
        else:
            self._used_otherwise(args)
        if name not in PICKS and name not in _LOOKS and any(self._is_whole(a) for a in args):
            self._not_alone = True

    def _used_otherwise(self, args: Any) -> None:
        """``1 - p``, or whatever else is computed of it: the classes that are not true have their part."""
        for given in (a for a in args if isinstance(a, torch.Tensor) and a in self._numbers):
            known = self._told[id(given)]
            if known.picked:
                self._not_alone = True
            else:
                self._found[known.location] = dataclasses.replace(self._found.get(known.location, known), rest=True)

    def _is_whole(self, value: Any) -> bool:
        held = self._whole.get(id(value)) if isinstance(value, torch.Tensor) else None
        return held is not None and held() is value

    def _picked(self, name: str, args: Any, kwargs: Any, result: torch.Tensor) -> None:
        given = args[0]
        ids = _ids(name, args, kwargs)
        if type(given) is not torch.Tensor or given.dim() < 2 or given.shape[-1] < 2 or type(ids) is not torch.Tensor:
            return
        whole_numbers = not ids.is_floating_point() and ids.dtype is not torch.bool
        if not whole_numbers or ids.numel() * given.shape[-1] != given.numel():
            return
        made = behind_views(given.grad_fn)
        if made is None or made.name() not in {_OF_ITS_OWN, *_NO_PROBABILITY}:
            return
        self._whole[id(given)] = weakref.ref(given)
        self._begin(given, made, result, picked=True)

    def _cut(self, args: Any, kwargs: Any, result: torch.Tensor) -> None:
        given = args[0]
        low, high = (
            [*args[1:3], None, None][i] if len(args) > i + 1 else kwargs.get(k) for i, k in enumerate(("min", "max"))
        )
        if type(given) is not torch.Tensor or not isinstance(high, float | int) or not _HIGH <= high <= 1:
            return
        if low is not None and not (isinstance(low, float | int) and 0 <= low <= _LOW):
            return
        made = behind_views(given.grad_fn)
        if made is not None and made.name() in _NO_PROBABILITY:
            self._begin(given, made, result, picked=False)

    def _begin(self, given: torch.Tensor, made: Any, result: torch.Tensor, *, picked: bool) -> None:
        line = self.watch.lines.here()
        if line is None or (line not in self._found and len(self._found) >= _MOST_LINES):
            return
        self.following = True
        classes = given.shape[-1] if given.dim() > 1 else 1
        self._remember(result, Likelihood(line, made.name(), picked, 0, classes, made_at=self._lines.get(made)))

    def _remember(self, tensor: torch.Tensor, known: Likelihood) -> None:
        self._numbers.add(tensor)
        self._told[id(tensor)] = known

    def _note(self, known: Likelihood) -> None:
        before = self._found.get(known.location, known)
        self._found[known.location] = dataclasses.replace(before, calls=before.calls + 1)

    def end_round(self) -> None:
        """Forget the tensors of this round."""
        if self.following:
            self._whole.clear()
            self._numbers.clear()
            self._told.clear()
            self.following = False

    def save(self) -> None:
        """Write the lines."""
        for i, found in enumerate(self._found.values()):
            if found.calls and not (found.picked and self._not_alone):
                self.watch.writer.put(found, i)


def _ids(name: str, args: Any, kwargs: Any) -> Any:
    """Which number is picked of each row, along the last axis; None for any other choice."""
    if name == "__getitem__":
        index = args[1] if len(args) > 1 else None
        return index[-1] if isinstance(index, tuple) and len(index) == args[0].dim() else None
    dim, index = (args[1:] if name == "gather" else args[:0:-1]) if len(args) == 3 else (None, None)
    dim, index = kwargs.get("dim", dim), kwargs.get("index", kwargs.get("indices", index))
    return index if dim in (-1, args[0].dim() - 1) else None
