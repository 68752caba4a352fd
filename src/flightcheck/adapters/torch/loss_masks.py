"""Masks that a script lays over its own losses: do they leave the tokens, or the padding?"""

from __future__ import annotations

import dataclasses
import weakref
from collections.abc import Iterable
from typing import Any, Final

import torch

from flightcheck.adapters.torch.attention_masks import is_padding
from flightcheck.adapters.torch.watch import Watch, is_plain_tensor
from flightcheck.recording.loss_masks import LossMask
from flightcheck.recording.records import Location

_CHOICES: Final = {"mul", "mul_", "__mul__", "__rmul__", "multiply", "masked_select", "__getitem__"}
_COMPARISONS: Final = {"eq", "ne", "lt", "le", "gt", "ge", "__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__",
                       "not_equal"}  # fmt: skip
_AS_IT_IS: Final = {
    "float", "double", "half", "long", "int", "bool", "to", "type", "type_as", "unsqueeze", "squeeze", "view",
    "reshape", "flatten", "contiguous", "clone", "t", "transpose", "__invert__", "logical_not", "bitwise_not", "expand",
    "expand_as",
}  # fmt: skip
OPERATIONS: Final = _CHOICES | _COMPARISONS | _AS_IT_IS
_MOST_MADE: Final = 64
_MOST_LINES: Final = 16
_MOST_CALLS: Final = 32


class LossMasks:
    """Told of operations outside of modules in the learning pass."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._made: dict[int, tuple[weakref.ref[torch.Tensor], Location | None]] = {}
        self._found: dict[Location, LossMask] = {}

    def look(self, name: str, args: Any, result: Any, ids: Iterable[torch.Tensor]) -> None:
        """One of `OPERATIONS` returned; `ids` were embedded in this round."""
        given = args[0] if args else None
        if not isinstance(given, torch.Tensor) or not isinstance(result, torch.Tensor):
            return
        if name in _CHOICES and result.requires_grad and len(args) > 1:
            sides = (given, args[1]) if isinstance(args[1], torch.Tensor) else ()
            for mask, other in (sides, sides[::-1]) if sides else ():
                if not mask.requires_grad and other.requires_grad and (name != "__getitem__" or mask is args[1]):
                    self._chosen(mask, ids)
        elif result.requires_grad or len(self._made) >= _MOST_MADE:
            return
        elif name in _COMPARISONS:
            self._made[id(result)] = (weakref.ref(result), self.watch.lines.here())
        elif name in _AS_IT_IS and (line := self._line_of(given)) is not None:
            self._made[id(result)] = (weakref.ref(result), line)

    def end_round(self) -> None:
        """Forget the masks of this round."""
        self._made.clear()

    def save(self) -> None:
        """Write what was seen."""
        for i, found in enumerate(self._found.values()):
            self.watch.writer.put(found, i)

    def _line_of(self, tensor: torch.Tensor) -> Location | None:
        reference, line = self._made.get(id(tensor), (None, None))
        return line if reference is not None and reference() is tensor else None

    def _chosen(self, mask: torch.Tensor, ids: Iterable[torch.Tensor]) -> None:
        line = self.watch.lines.here()
        known = self._found.get(line) if line is not None else None
        if line is None or (known is None and len(self._found) >= _MOST_LINES) or not is_plain_tensor(mask):
            return
        known = known or LossMask(line, self._line_of(mask), self.watch.step)
        if known.calls >= _MOST_CALLS or mask.dtype in (torch.int64, torch.int32):
            return
        for tokens in ids:
            if mask.numel() != tokens.numel() or mask.numel() < 2 or not bool(((mask == 0) | (mask == 1)).all()):
                continue
            left = (mask != 0).reshape(tokens.shape)
            padding = is_padding(tokens, left)
            if padding or is_padding(tokens, ~left):
                share = float((left if padding else ~left).float().mean())
                self._found[line] = dataclasses.replace(
                    known, calls=known.calls + 1, padding=known.padding + padding, share=share
                )
                return
