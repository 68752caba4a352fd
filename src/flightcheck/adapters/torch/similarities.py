"""Cosines on their way to a softmax of the loss: by what are they multiplied?

A product of two matrices whose rows all have length 1 is followed in the learning pass through views, masks and
constant factors to the softmax. Whether they were normalized is read from the numbers, whatever wrote them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import torch

from flightcheck.adapters.torch.graph import VIEWS
from flightcheck.adapters.torch.watch import Watch, is_plain_tensor
from flightcheck.recording.records import Location
from flightcheck.recording.similarities import ScaledSimilarity

_PRODUCTS: Final = {"matmul", "__matmul__", "bmm", "mm"}
_SIMILARITIES: Final = {*_PRODUCTS, "einsum", "linear", "cosine_similarity"}
TIMES: Final = {"mul", "multiply", "__mul__", "__rmul__", "mul_", "__imul__"}
DIVISIONS: Final = {"div", "divide", "true_divide", "__truediv__", "div_", "__itruediv__", "__idiv__"}
FACTORS: Final = TIMES | DIVISIONS
_SOFTMAXES: Final = {"cross_entropy", "log_softmax", "logsumexp", "exp"}
OPERATIONS: Final = _SIMILARITIES | FACTORS | _SOFTMAXES
_PASSED: Final = {
    *VIEWS, "MaskedFillBackward0", "WhereBackward0", "IndexPutBackward0", "torch::autograd::CopySlices",
    "AddBackward0", "SubBackward0",
}  # fmt: skip
"""What moves scores, or shuts some of them out: that the others are still no farther apart is looked at."""
_JOINTS: Final = ("CatBackward", "StackBackward")
_LONGEST: Final = 24
_MOST: Final = 64
_MOST_NODES: Final = 20_000
_TOLERANCE: Final = {torch.float16: 2e-2, torch.bfloat16: 2e-2}
_FLOAT32: Final = 1e-3
_ROUNDING: Final = 0.05
"""Of lengths in half precision, and of what is computed with them."""
_SHUT_OUT: Final = -1e4
"""Scores below are a mask's; -1e4 is what masks fill in half precision."""


@dataclasses.dataclass(frozen=True)
class _Scaled:
    """Cosines times a number."""

    product: Location | None
    scale: float = 1.0
    factor: float = 1.0
    """The smallest one of them."""
    line: Location | None = None
    """Where that stands."""


class Similarities:
    """Looks at products of vectors and what becomes of them in the learning pass; told of each by `Operations`."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._scaled: dict[Any, _Scaled] = {}
        """Node of this round → the cosines that it made."""
        self._used: dict[Any, ScaledSimilarity] = {}
        """Node of a softmax, or of a part of one, of this round → what it was given."""
        self._known: dict[Location | None, ScaledSimilarity] = {}

    def look(self, name: str, args: Any, kwargs: Any, result: Any) -> None:
        """An operation of `OPERATIONS` returned `result`."""
        if type(result) is not torch.Tensor or not (result.requires_grad and args and self._watch.reads(result)):
            return
        node = result.grad_fn
        if node is None or len(self._scaled) + len(self._used) >= _MOST:
            return
        if name in _SIMILARITIES:
            if _are_cosines(name, args, kwargs):
                self._scaled[node] = _Scaled(self._watch.lines.here())
        elif not self._scaled:
            return
        elif name in FACTORS:
            number = factor_of(name, args)
            before = self._behind(node.next_functions[0][0]) if number else None
            if before is not None and number:
                self._scaled[node] = self._times(before, abs(number))
        else:
            self._softmax(name, args, kwargs, node)

    def reached(self, loss: torch.Tensor) -> None:
        """Backward is called on `loss`: only what is part of it is meant."""
        if not self._used or loss.grad_fn is None:
            return
        nodes = down_to(loss.grad_fn, self._used)
        compared = _compares(nodes)
        for node in nodes:
            seen = self._used.pop(node, None)
            if seen is not None and compared.get(seen.operation, True):
                self._count(seen)

    def end_round(self) -> None:
        """Forget the graph of this round."""
        self._scaled.clear()
        self._used.clear()

    def save(self) -> None:
        """Write the lines that make cosines smaller."""
        for i, found in enumerate(self._known.values()):
            self._watch.writer.put(found, i)

    def _times(self, before: _Scaled, number: float) -> _Scaled:
        scale = before.scale * number
        if number < before.factor or before.line is None:
            return dataclasses.replace(before, scale=scale, factor=number, line=self._watch.lines.here())
        return dataclasses.replace(before, scale=scale)

    def _behind(self, node: Any) -> _Scaled | None:
        """The cosines that a node was made of by views, masks and joints alone."""
        for _ in range(_LONGEST):
            if node is None:
                return None
            if node in self._scaled:
                return self._scaled[node]
            inputs = [n for n, _ in node.next_functions if n is not None]
            if node.name().startswith(_JOINTS) and inputs:
                parts = [self._behind(n) for n in inputs]
                known = [p for p in parts if p is not None]
                same = len(known) == len(node.next_functions) and len({p.scale for p in known}) == 1
                return known[0] if same else None
            if node.name() not in _PASSED or len(inputs) != 1:
                return None
            node = inputs[0]
        return None

    def _softmax(self, name: str, args: Any, kwargs: Any, node: Any) -> None:
        given = args[0]
        if not is_plain_tensor(given) or not given.requires_grad or given.dim() < 2 or not given.numel():
            return
        axis = 1 if name == "cross_entropy" else kwargs.get("dim", args[1] if len(args) > 1 else -1)
        if name == "cross_entropy" and not _are_ids(args[1] if len(args) > 1 else kwargs.get("target")):
            return
        if isinstance(axis, (tuple, list)) and len(axis) == 1:
            axis = axis[0]
        before = self._behind(given.grad_fn)
        if before is None or before.line is None or before.scale >= 1 or not isinstance(axis, int):
            return
        open_to = given.detach() > _SHUT_OUT
        scores = given.detach()[open_to].float()
        if not scores.numel() or float(scores.max() - scores.min()) > 2 * before.scale * (1 + _ROUNDING):
            return
        items = int(open_to.sum(axis).min())
        here = self._watch.lines.here()
        found = ScaledSimilarity(
            before.line, before.product, here, self._watch.step, before.scale, before.factor, name, items
        )
        self._used[node] = found

    def _count(self, found: ScaledSimilarity) -> None:
        known = self._known.get(found.location)
        if known is None:
            if len(self._known) < _MOST:
                self._known[found.location] = dataclasses.replace(found, calls=1)
            return
        steady = known.steady and abs(known.scale - found.scale) <= _FLOAT32 * known.scale
        items = max(2, min(known.items, found.items))
        self._known[found.location] = dataclasses.replace(known, calls=known.calls + 1, steady=steady, items=items)


def down_to(start: Any, ends: Mapping[Any, object]) -> list[Any]:
    """The nodes of a graph from its start down to these, and nothing behind them."""
    seen, todo = {start}, [start]
    for node in todo:
        if node not in ends and len(todo) < _MOST_NODES:
            following = [n for n, _ in node.next_functions if n is not None and n not in seen]
            seen.update(following)
            todo.extend(following)
    return todo


def _compares(nodes: Sequence[Any]) -> dict[str, bool]:
    """Which parts of a softmax by hand are set against the right score: a kernel has an exponential, too.

    Exponentials are divided by one another and a logarithm is taken, or one logarithm is taken from another; what
    `logsumexp` gives is taken from a score, or a score from it.
    """
    names = [n.name() for n in nodes]
    both = [n.name() for n in nodes if len(n.next_functions) > 1 and all(f is not None for f, _ in n.next_functions)]
    logarithms = sum(name.startswith("LogBackward") for name in names)
    differences = any(name.startswith(("SubBackward", "RsubBackward", "AddBackward")) for name in both)
    ratios = any(name.startswith("DivBackward") for name in both)
    return {"exp": (logarithms > 0 and ratios) or (logarithms > 1 and differences), "logsumexp": differences}


def factor_of(name: str, args: Any) -> float | None:
    """The number that an operation of `FACTORS` multiplies its tensor with; None if it is not one number."""
    if len(args) < 2:
        return None
    numbers = [_number(a) for a in args[:2]]
    number = numbers[1] if numbers[1] is not None else numbers[0] if name in TIMES else None
    if not number or (name in DIVISIONS and numbers[1] is None):
        return None
    return 1 / number if name in DIVISIONS else number


def _number(value: Any) -> float | None:
    if isinstance(value, torch.Tensor):
        plain = value.numel() == 1 and not value.requires_grad and value.is_cpu and is_plain_tensor(value)
        return float(value) if plain else None
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _are_ids(target: Any) -> bool:
    return isinstance(target, torch.Tensor) and not target.is_floating_point()


def _are_cosines(name: str, args: Any, kwargs: Mapping[str, Any]) -> bool:
    """Both factors are vectors of length 1 along the axis that the product adds up."""
    if name == "cosine_similarity":
        return True
    return all(_of_length_one(factor, axis) for factor, axis in factors_of(name, args, kwargs) or [(None, 0)])


def factors_of(name: str, args: Any, kwargs: Mapping[str, Any]) -> list[tuple[Any, int]] | None:
    """Both factors, each with the axis over which the product is added up; None where that is not known."""
    if name == "linear":
        bias = kwargs.get("bias", args[2] if len(args) > 2 else None)
        return [(args[0], -1), (args[1], -1)] if len(args) > 1 and bias is None else None
    if name == "einsum":
        return list(_of_einsum(args)) or None
    if len(args) < 2 or not all(isinstance(a, torch.Tensor) and a.dim() > 1 for a in args[:2]):
        return None
    return [(args[0], -1), (args[1], -2)]


def _of_einsum(args: Any) -> Iterator[tuple[Any, int]]:
    rule, operands = args[0], args[1:]
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = tuple(operands[0])
    if not isinstance(rule, str) or "->" not in rule or "." in rule or len(operands) != 2:
        return
    given, made = rule.replace(" ", "").split("->")
    left, _, right = given.partition(",")
    added = [letter for letter in left if letter in right and letter not in made]
    if len(added) == 1:
        yield operands[0], left.index(added[0])
        yield operands[1], right.index(added[0])


def _of_length_one(factor: Any, axis: int) -> bool:
    if not is_plain_tensor(factor) or not factor.is_floating_point() or factor.dim() < 2 or factor.shape[axis] < 2:
        return False
    with torch.no_grad():
        lengths = torch.linalg.vector_norm(factor.detach().float(), dim=axis)
        return bool(((lengths - 1).abs() <= _TOLERANCE.get(factor.dtype, _FLOAT32)).all())
