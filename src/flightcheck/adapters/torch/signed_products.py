"""Losses of signs, written by hand: ``logsigmoid(y * score)``, ``clamp(1 - y * score, min=0)``, with y of 0 and 1.

Where y is zero such a loss is a constant: what it is of has no gradient.
"""

from __future__ import annotations

import dataclasses
import weakref
from typing import Any, Final

import torch

from flightcheck.adapters.torch.masked_extremes import PRODUCTS, mask_of
from flightcheck.adapters.torch.watch import Watch
from flightcheck.recording.records import Location
from flightcheck.recording.signed_products import SignedProduct

_NEGATIONS: Final = {"neg", "negative", "__neg__"}
_DIFFERENCES: Final = {"sub", "subtract", "__sub__", "rsub", "__rsub__"}
_SUMS: Final = {"add", "__add__", "__radd__"}
_LOGISTIC: Final = {"log_sigmoid", "logsigmoid", "softplus", "log1p", "log"}
_LARGER: Final = {"maximum", "max"}
_HINGE: Final = {"relu", "relu_", "clamp", "clamp_", "clamp_min", "clamp_min_"} | _LARGER
OPERATIONS: Final = PRODUCTS | _NEGATIONS | _DIFFERENCES | _SUMS | {"exp"} | _LOGISTIC | _HINGE
_NEXT: Final = {
    ("product", "exp"): "exp", ("exp", "add"): "one more", ("product", "add"): "margin", ("product", "sub"): "margin",
}  # fmt: skip
"""What becomes of the product on its way into a loss; whatever is not named here leads elsewhere."""
_ENDS: Final = {
    ("product", "log_sigmoid"): "logistic", ("product", "logsigmoid"): "logistic", ("product", "softplus"): "logistic",
    ("exp", "log1p"): "logistic",
    ("one more", "log"): "logistic", ("margin", "hinge"): "hinge",
}  # fmt: skip
MOST_PRODUCTS: Final = 32
_MOST_LINES: Final = 16
_MOST_CALLS: Final = 32


@dataclasses.dataclass
class _Way:
    """How far a product has come on its way into a loss."""

    result: weakref.ref[torch.Tensor]
    factor: torch.Tensor
    line: Location | None
    stage: str = "product"


class SignedProducts:
    """Told of operations with gradients in the learning pass."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._ways: dict[int, _Way] = {}
        """Results of this round, by identity."""
        self._looks: dict[tuple[str, Location], int] = {}
        """Whatever the factors were: most lines multiply with other numbers."""
        self._found: dict[tuple[str, Location], SignedProduct] = {}

    def look(self, name: str, args: Any, kwargs: Any, result: Any) -> None:
        """One of `OPERATIONS` returned."""
        if not isinstance(result, torch.Tensor) or not result.requires_grad:
            return
        if name in PRODUCTS:
            factor = mask_of(args)
            if factor is not None and len(self._ways) < MOST_PRODUCTS and factor.shape == result.shape:
                self._ways[id(result)] = _Way(weakref.ref(result), factor, self.watch.lines.here())
            return
        way = next((w for a in args[:2] if (w := self._known(a)) is not None), None)
        if way is None:
            return
        operation = _plain(name)
        if operation == "neg" and way.stage in ("product", "margin"):
            self._ways[id(result)] = dataclasses.replace(way, result=weakref.ref(result))
        elif (stage := _NEXT.get((way.stage, operation))) is not None and _with_one(args):
            self._ways[id(result)] = dataclasses.replace(way, result=weakref.ref(result), stage=stage)
        elif (loss := _ENDS.get((way.stage, operation))) is not None and (
            self.watch.reads(way.factor) and (loss != "hinge" or _from_zero(name, args, kwargs))
        ):
            self._count(loss, way)

    def end_round(self) -> None:
        """Forget the products of this round."""
        self._ways.clear()

    def save(self) -> None:
        """Write the lines whose labels were zeros and ones."""
        for i, found in enumerate(f for f in self._found.values() if f.zeros and f.ones):
            self.watch.writer.put(found, i)

    def _known(self, tensor: Any) -> _Way | None:
        way = self._ways.get(id(tensor))
        return way if way is not None and way.result() is tensor else None

    def _count(self, loss: str, way: _Way) -> None:
        line = way.line
        looks = self._looks.get((loss, line), 0) if line is not None else _MOST_CALLS
        if line is None or looks >= _MOST_CALLS or (not looks and len(self._looks) >= _MOST_LINES):
            return
        self._looks[loss, line] = looks + 1
        before = self._found.get((loss, line)) or SignedProduct(loss, line, self.watch.step)
        zeros, ones = zeros_and_ones(way.factor)
        if zeros + ones:
            self._found[loss, line] = dataclasses.replace(
                before, calls=before.calls + 1, zeros=before.zeros + zeros, ones=before.ones + ones
            )


def zeros_and_ones(factor: torch.Tensor) -> tuple[int, int]:
    """How many of each; (0, 0) if there are other numbers, but for ones of which all have a minus."""
    zeros = int((factor == 0).sum())
    ones = max(int((factor == 1).sum()), int((factor == -1).sum()))
    return (zeros, ones) if zeros + ones == factor.numel() else (0, 0)


def _plain(name: str) -> str:
    if name in _NEGATIONS:
        return "neg"
    if name in _DIFFERENCES:
        return "sub"
    return "add" if name in _SUMS else "hinge" if name in _HINGE else name


def _with_one(args: Any) -> bool:
    """A function of one tensor, or a sum or difference with a positive number: a margin, the 1 of ``1 + exp``."""
    numbers = [float(a) for a in args[:2] if isinstance(a, int | float) and not isinstance(a, bool)]
    return len(args) == 1 or (len(numbers) == 1 and numbers[0] > 0)


def _from_zero(name: str, args: Any, kwargs: Any) -> bool:
    """Nothing below zero is left: ``relu``, ``clamp(min=0)``, ``clamp_min(0)``, ``maximum`` with zeros."""
    if name in ("relu", "relu_"):
        return True
    if name in _LARGER:
        others = [a for a in args[:2] if isinstance(a, torch.Tensor) and not a.requires_grad]
        return len(args) == 2 and len(others) == 1 and not bool(others[0].any())
    least = kwargs.get("min", args[1] if len(args) > 1 else None)
    most = kwargs.get("max", args[2] if len(args) > 2 else None)
    return isinstance(least, int | float) and least == 0 and most is None
