"""Scores that are masked with a number which a softmax does not turn into nothing."""

from __future__ import annotations

import dataclasses
import weakref
from typing import Any, Final

import torch

from flightcheck.adapters.torch.watch import Watch, is_plain_tensor
from flightcheck.recording.attention import WeakFill
from flightcheck.recording.records import Location

WEAK: Final = -5.0
"""Above this a masked score may weigh as much as a real one: scores of a fresh model are within a few units of 0."""
FILLS: Final = {"masked_fill", "masked_fill_", "__setitem__"}
_SOFTMAXES: Final = {"softmax", "log_softmax"}
_AS_THEY_ARE: Final = {"squeeze", "unsqueeze", "view", "reshape", "float", "to", "contiguous", "clone", "transpose"}
OPERATIONS: Final = FILLS | _SOFTMAXES | _AS_THEY_ARE
_MOST_CALLS: Final = 32
_MOST_LINES: Final = 16
_MOST_FILLED: Final = 64


class WeakFills:
    """Told of operations with gradients in the learning pass."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._filled: dict[int, tuple[weakref.ref[torch.Tensor], Location, int]] = {}
        """Scores that were filled, by identity: themselves, the line, the version of their numbers."""
        self._found: dict[Location, WeakFill] = {}

    def look(self, name: str, args: Any, kwargs: Any, result: Any) -> None:
        """One of `OPERATIONS` returned."""
        given = args[0] if args else None
        if not isinstance(given, torch.Tensor) or not given.requires_grad:
            return
        if name in FILLS:
            self._fill(name, args, kwargs, result)
        elif (line := self._line_of(given)) is not None:
            if name in _SOFTMAXES:
                known = self._found[line]
                self._found[line] = dataclasses.replace(known, reached=known.reached + 1)
            elif isinstance(result, torch.Tensor):
                self._keep(result, line)

    def _fill(self, name: str, args: Any, kwargs: Any, result: Any) -> None:
        value = args[2] if len(args) > 2 else kwargs.get("value")
        mask, scores = args[1] if len(args) > 1 else kwargs.get("mask"), args[0] if name == "__setitem__" else result
        if not isinstance(value, (int, float)) or not value > WEAK or not isinstance(scores, torch.Tensor):
            return
        if not isinstance(mask, torch.Tensor) or mask.dtype is not torch.bool or not is_plain_tensor(mask):
            return
        line = self.watch.lines.here()
        known = self._found.get(line) if line is not None else None
        if line is None or (known is None and len(self._found) >= _MOST_LINES):
            return
        known = known or WeakFill(line, float(value), self.watch.step)
        if known.calls >= _MOST_CALLS or bool(mask.all()) or not bool(mask.any()):
            return
        share = float(mask.float().mean())
        self._found[line] = dataclasses.replace(known, calls=known.calls + 1, share=share)
        self._keep(scores, line)

    def _keep(self, scores: torch.Tensor, line: Location) -> None:
        if len(self._filled) < _MOST_FILLED:
            self._filled[id(scores)] = (weakref.ref(scores), line, scores._version)

    def _line_of(self, scores: torch.Tensor) -> Location | None:
        known = self._filled.get(id(scores))
        same = known is not None and known[0]() is scores and known[2] == scores._version
        return known[1] if known is not None and same else None

    def end_round(self) -> None:
        """Forget the scores of this round."""
        self._filled.clear()

    def save(self) -> None:
        """Write the lines whose scores reached a softmax."""
        for i, found in enumerate(f for f in self._found.values() if f.reached):
            self.watch.writer.put(found, i)
