"""Dropout written by hand, ``h * (torch.rand_like(h) > p)``: where it is, and whether it is on in evaluations.

In training the operations are followed, from the random numbers over a comparison with a constant to the product with
what a model computed. In evaluations operations are not looked at; but a model in which nothing else draws random
numbers has no reason to draw any there.
"""

from __future__ import annotations

from typing import Any, Final

import torch

from flightcheck.adapters.torch.remembered import Remembered
from flightcheck.adapters.torch.watch import Watch, is_plain_tensor
from flightcheck.recording.provenance.modes import asks_for_the_mode
from flightcheck.recording.records import Location

DRAWS: Final = {
    "rand", "rand_like", "bernoulli", "bernoulli_", "uniform_", "randn", "randn_like", "normal", "normal_", "randint",
    "randint_like", "multinomial", "poisson", "exponential_", "randperm",
}  # fmt: skip
_OF_NUMBERS: Final = {"rand", "rand_like", "uniform_"}
_OF_MASKS: Final = {"bernoulli", "bernoulli_"}
_THRESHOLDS: Final = {"gt", "ge", "lt", "le", "__gt__", "__ge__", "__lt__", "__le__", "greater", "less"}
_CASTS: Final = {
    "float",
    "to",
    "type",
    "type_as",
    "double",
    "half",
    "bfloat16",
    "div",
    "__truediv__",
    "div_",
    "__itruediv__",
}
PRODUCTS: Final = {"mul", "__mul__", "__rmul__", "multiply", "mul_", "__imul__"}
_LOOKED_AT: Final = 6
"""Calls of models in evaluations."""
_MOST_LINES: Final = 16


class HandmadeDropouts:
    """Told of the operations inside of models in training, and of the calls of models in evaluations."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.following = False
        """There are random numbers that were not used yet."""
        self.lines: dict[Location, bool] = {}
        """Of products with a mask → it asks for nothing: neither for the mode, nor was the mask used for more."""
        self._others = False
        """Something else in the models draws random numbers."""
        self._numbers, self._masks, self._spent = Remembered(), Remembered(), Remembered()
        self._looked = 0
        self._state: torch.Tensor | None = None

    def look(self, name: str, args: Any, result: Any) -> None:
        """An operation inside of a model, with gradients: one of `DRAWS`, or any while `following`."""
        if name in DRAWS:
            self._drawn(name, args, result)
            return
        tensors = [t for t in args if isinstance(t, torch.Tensor)]
        if name in _THRESHOLDS and tensors and tensors[0] in self._numbers:
            constant = all(not t.requires_grad and t.numel() == 1 for t in tensors[1:])
            if constant:
                self._masks.add(result)
            self._others |= not constant
        elif name in _CASTS and tensors and tensors[0] in self._masks:
            self._masks.add(result)
        elif (mask := next((t for t in tensors if t in self._masks), None)) is not None:
            self._used(name, mask, tensors, result)

    def _drawn(self, name: str, args: Any, result: Any) -> None:
        if name in _OF_NUMBERS:
            self._numbers.add(result)
        elif name in _OF_MASKS and not any(isinstance(a, torch.Tensor) and a.requires_grad for a in args):
            self._masks.add(result)
        else:
            self._others = True
        self.following = True

    def _used(self, name: str, mask: torch.Tensor, tensors: list[torch.Tensor], result: Any) -> None:
        if name == "__get__":  # its shape, its device
            return
        line = self.watch.lines.here()
        other = next((t for t in tensors if t is not mask), None)
        if name not in PRODUCTS or line is None or mask in self._spent:
            self._others = True  # a mask that is more than that of a dropout: of a loss, of tokens
            return
        self._spent.add(mask)
        if other is None:
            self._masks.add(result)  # times a number
        elif other.grad_fn is not None and len(self.lines) < _MOST_LINES and line not in self.lines:
            self.lines[line] = not asks_for_the_mode(line.file, line.line)
        elif other.grad_fn is None:
            self._others = True  # of the inputs

    def end_round(self) -> None:
        """Forget the tensors of this round."""
        if self.following:
            for known in (self._numbers, self._masks, self._spent):
                known.clear()
            self.following = False

    def evaluation_begins(self) -> None:
        """A model is called in eval mode without gradients."""
        if self.lines and not self._others and self._looked < _LOOKED_AT:
            self._state = torch.get_rng_state()

    def evaluated(self) -> Location | None:
        """The call is over: the line of a dropout that was on in it."""
        before, self._state = self._state, None
        if before is None:
            return None
        self._looked += 1
        free = [line for line, unasked in self.lines.items() if unasked]
        moved = is_plain_tensor(before) and not torch.equal(before, torch.get_rng_state())
        return free[0] if moved and len(free) == len(self.lines) else None
