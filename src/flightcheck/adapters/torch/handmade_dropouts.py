"""Dropout written by hand: ``h * (torch.rand_like(h) > p) / (1 - p)``.

The operations are followed in training, from the random numbers over a comparison with a constant to the product with
what a model computed, and the constant that makes up for what is dropped. Operations inside of evaluated models are not
looked at; whether it is on there, a trial tells.
"""

from __future__ import annotations

from typing import Any, Final

import torch

from flightcheck.adapters.torch.remembered import Remembered
from flightcheck.adapters.torch.watch import Watch
from flightcheck.recording.dropouts import HandmadeDropout
from flightcheck.recording.provenance.modes import asks_for_the_mode
from flightcheck.recording.records import Location

DRAWS: Final = {"rand", "rand_like", "bernoulli", "bernoulli_", "uniform_"}
PRODUCTS: Final = {"mul", "__mul__", "__rmul__", "multiply", "mul_", "__imul__"}
_MASKS: Final = {"bernoulli", "bernoulli_"}
_THRESHOLDS: Final = {"gt", "ge", "lt", "le", "__gt__", "__ge__", "__lt__", "__le__", "greater", "less"}
_QUOTIENTS: Final = {"div", "__truediv__", "div_", "__itruediv__", "true_divide"}
_CASTS: Final = {"float", "to", "type", "type_as", "double", "half", "bfloat16"}
_MOST_LINES: Final = 16


class HandmadeDropouts:
    """Told of the operations inside of models in the learning pass, with gradients. Of all, where no module is called
    and the model is written as functions.
    """

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.following = False
        """There are random numbers in this round: all operations are to be told."""
        self._lines: dict[Location, bool] = {}
        """Of products with a mask → is a constant in it, or right behind it, that makes up for what is dropped?"""
        self._more: set[Location | None] = set()
        """Lines at which a mask was used a second time, or for something else."""
        self._numbers, self._masks, self._scaled, self._spent = (Remembered() for _ in range(4))
        self._product: tuple[torch.Tensor, Location] | None = None
        """The newest product with a mask: the next that is made of it may make up for what was dropped."""

    def look(self, name: str, args: Any, result: Any) -> None:
        """One of `DRAWS`, or any operation while `following`."""
        tensors = [t for t in args if isinstance(t, torch.Tensor)]
        if name in DRAWS:
            self.following = True
            if name not in _MASKS:
                self._numbers.add(result)
            elif not any(t.requires_grad for t in tensors):
                self._masks.add(result)
        elif name in _THRESHOLDS and tensors and tensors[0] in self._numbers:
            if all(not t.requires_grad and t.numel() == 1 for t in tensors[1:]):
                self._masks.add(result)
        elif name in _CASTS and tensors and tensors[0] in self._masks:
            self._masks.add(result)
            if tensors[0] in self._scaled:
                self._scaled.add(result)
        elif self._product is not None and tensors and tensors[0] is self._product[0]:
            self._lines[self._product[1]] |= len(tensors) == 1 and name in PRODUCTS | _QUOTIENTS
            self._product = None
        elif (mask := next((t for t in tensors if t in self._masks), None)) is not None and name != "__get__":
            self._used(name, mask, tensors, result)

    def _used(self, name: str, mask: torch.Tensor, tensors: list[torch.Tensor], result: Any) -> None:
        if len(tensors) == 1 and name in PRODUCTS | _QUOTIENTS:  # with a number
            self._masks.add(result)
            self._scaled.add(result)
            return
        line = self.watch.lines.here()
        other = next((t for t in tensors if t is not mask), None)
        if name not in PRODUCTS or mask in self._spent or other is None or not other.requires_grad or line is None:
            self._more.add(line)
            return
        self._spent.add(mask)
        if len(self._lines) < _MOST_LINES or line in self._lines:
            self._lines[line] = self._lines.get(line, False) or mask in self._scaled
            self._product = result, line

    def end_round(self) -> None:
        """Forget the tensors of this round."""
        if self.following:
            for known in (self._numbers, self._masks, self._scaled, self._spent):
                known.clear()
            self._product, self.following = None, False

    def save(self) -> None:
        """Write the lines, unless masks are used for more than that anywhere: of losses, tokens, two states."""
        for i, (line, scaled) in enumerate(self._lines.items()):
            alone = scaled and not self._more
            if alone and not asks_for_the_mode(line.file, line.line):
                self.watch.writer.put(HandmadeDropout(line), i)
