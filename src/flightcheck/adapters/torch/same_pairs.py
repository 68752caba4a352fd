"""Pairs that a loss compares: are both halves the same embedding, computed twice from the same input?

Known by the numbers: a product of two matrices is followed to what picks the score of the right partner, whatever
stands between; losses of pairs are given both halves. Noise in the model, as dropout, makes the halves different.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Final

import torch

from flightcheck.adapters.torch.batches import batch_key
from flightcheck.adapters.torch.graph import VIEWS
from flightcheck.adapters.torch.similarities import down_to, factors_of
from flightcheck.adapters.torch.watch import Watch, is_plain_tensor
from flightcheck.recording import provenance
from flightcheck.recording.records import Location
from flightcheck.recording.same_pairs import SamePairs as Found

_PRODUCTS: Final = {"matmul", "__matmul__", "mm", "einsum"}
_PICKS: Final = {"cross_entropy", "nll_loss", "diagonal", "diag", "__getitem__", "gather"}
_NUMBERS: Final = {"mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"}
_ENTROPIES: Final = {"cross_entropy", "nll_loss"}
_PAIRS: Final = {"cosine_similarity", "pairwise_distance", "cosine_embedding_loss", "triplet_margin_loss", *_NUMBERS}
OPERATIONS: Final = _PRODUCTS | _PICKS | _PAIRS
_ON_THE_WAY: Final = {
    *VIEWS, "MaskedFillBackward0", "WhereBackward0", "AddBackward0", "SubBackward0", "MulBackward0", "DivBackward0",
    "LogSoftmaxBackward0", "SoftmaxBackward0", "ExpBackward0", "LogBackward0", "IndexPutBackward0",
    "torch::autograd::CopySlices", "TBackward0", "TransposeBackward0",
}  # fmt: skip
"""Between a product and its right scores: the place of each score stays, or is turned."""
_LONGEST: Final = 16
_MOST: Final = 64
_FEWEST: Final = 4
"""Pairs in a batch: fewer may be equal by chance."""
_MATRIX: Final = 2
_ROUNDING: Final = 1e-5


@dataclasses.dataclass(frozen=True)
class _Call:
    """A call of a model with gradients, in this round."""

    root: int
    key: Any
    """Which numbers it was given."""
    node: Any
    line: Location | None


class SamePairs:
    """Looks at pairs in the learning pass; told of operations by `Operations`, of calls by `Forward`."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._calls: list[_Call] = []
        self._products: dict[Any, tuple[torch.Tensor, torch.Tensor]] = {}
        """Node of this round → the rows whose products its scores are."""
        self._used: dict[Any, Found] = {}
        self._known: dict[tuple[str, Location | None], Found] = {}

    def returned(self, root: int, given: list[torch.Tensor | None], output: torch.Tensor) -> None:
        """A model was called outermost, with gradients."""
        if len(self._calls) < _MOST and given and given[0] is not None and output.grad_fn is not None:
            self._calls.append(_Call(root, batch_key(given[0]), output.grad_fn, self._watch.lines.here()))

    def look(self, name: str, args: Any, kwargs: Any, result: Any) -> None:
        """An operation of `OPERATIONS` returned `result`."""
        if not self._calls or not (type(result) is torch.Tensor and result.requires_grad and args):
            return
        node = result.grad_fn
        if node is None or len(self._products) + len(self._used) >= _MOST or not self._watch.reads(result):
            return
        if name in _PRODUCTS:
            sides = [_rows(factor, axis) for factor, axis in factors_of(name, args, kwargs) or []]
            if len(sides) == _MATRIX and sides[0] is not None and sides[1] is not None:
                self._products[node] = (sides[0], sides[1])
        elif name in _PAIRS:
            halves = _two_sides(name, args, kwargs)
            if halves is not None:
                self._compare(name, node, halves)
            elif name == "cosine_similarity" and (each := _with_each(args)) is not None:
                self._products[node] = each
        elif self._products and isinstance(args[0], torch.Tensor):
            self._pick(name, args, kwargs, node)

    def reached(self, loss: torch.Tensor) -> None:
        """Backward is called on `loss`: only what is part of it is meant."""
        if not self._used or loss.grad_fn is None:
            return
        for node in down_to(loss.grad_fn, self._used):
            seen = self._used.pop(node, None)
            if seen is not None:
                self._count(seen)

    def end_round(self) -> None:
        """Forget the graph of this round."""
        self._calls.clear()
        self._products.clear()
        self._used.clear()

    def save(self) -> None:
        """Write the lines that compare equal pairs."""
        for i, found in enumerate(f for f in self._known.values() if f.equal):
            self._watch.writer.put(found, i)

    def _pick(self, name: str, args: Any, kwargs: Any, node: Any) -> None:
        """The scores of the right partners are taken out of a matrix of products."""
        scores = args[0]
        places = _places(name, scores, args, kwargs)
        product = self._behind(scores.grad_fn, _LONGEST) if places is not None else None
        if product is None or places is None:
            return
        (left, right), (rows, columns) = product, places
        if scores.shape == (len(right), len(left)) and scores.shape != (len(left), len(right)):
            left, right = right, left
        if scores.shape != (len(left), len(right)) or int(columns.max()) >= len(right):
            return
        # A square matrix may stand there transposed: then the pairs of the other reading are meant.
        pair = left[rows], right[columns]
        if len(left) == len(right) and not _are_equal(*pair) and _are_equal(right[rows], left[columns]):
            pair = right[rows], left[columns]
        self._compare(name, node, pair, own=bool((rows == columns).all()))

    def _behind(self, node: Any, left: int) -> tuple[torch.Tensor, torch.Tensor] | None:
        """The product that a node was made of by what leaves every score in its place."""
        if node is None or left == 0:
            return None
        if node in self._products:
            return self._products[node]
        if node.name() not in _ON_THE_WAY:
            return None
        return next((p for n, _ in node.next_functions if (p := self._behind(n, left - 1)) is not None), None)

    def _compare(self, name: str, node: Any, pair: tuple[torch.Tensor, torch.Tensor], own: bool | None = None) -> None:
        """A pair is compared; `own` tells of one that was picked from a matrix whether it lies on the diagonal."""
        one, other = pair
        if len(one) < _FEWEST or one.shape != other.shape or not (is_plain_tensor(one) and is_plain_tensor(other)):
            return
        calls, others = self._calls_of(one), self._calls_of(other)
        apart = [c for c in (*calls, *others) if (c in calls) != (c in others)]
        if not (calls or others):
            return
        made = self._second(apart or (calls if own is False else []))  # on the diagonal of z·zᵀ each is itself
        itself = made is None and own is not False
        if itself and (own is None or name not in _ENTROPIES):
            return  # what a vector has with itself is often taken out: its length, its variance
        line = (made or (calls or others)[0]).line
        place = (line.file, line.line, None, line.function) if line is not None else None
        origin = provenance.value_origin(*place) if place is not None else None
        self._used[node] = Found(
            self._watch.lines.here(),
            line,
            self._watch.lines.of(*origin) if origin is not None else None,
            self._watch.step,
            name,
            len(one),
            itself,
            1,
            int(_are_equal(one, other)),
        )

    def _second(self, calls: list[_Call]) -> _Call | None:
        """The last call of the model of one of these with the same input, if there are two."""
        for call in calls:
            twins = [c for c in self._calls if c.root == call.root and c.key == call.key]
            if len(twins) > 1:
                return twins[-1]
        return None

    def _calls_of(self, tensor: torch.Tensor) -> list[_Call]:
        """The calls of models whose outputs a tensor was computed from."""
        made = {c.node: c for c in self._calls}
        if tensor.grad_fn is None:
            return []
        return [made[n] for n in down_to(tensor.grad_fn, made) if n in made]

    def _count(self, found: Found) -> None:
        key = (found.operation, found.location)
        known = self._known.get(key)
        if known is not None:
            calls, equal = known.calls + 1, known.equal + found.equal
            self._known[key] = dataclasses.replace(known if known.equal else found, calls=calls, equal=equal)
        elif len(self._known) < _MOST:
            self._known[key] = found


def _rows(factor: Any, axis: int) -> torch.Tensor | None:
    """A factor as rows that are multiplied with others."""
    if not is_plain_tensor(factor) or factor.dim() != _MATRIX or not factor.is_floating_point():
        return None
    rows: torch.Tensor = factor.movedim(axis, -1)
    return rows


def _with_each(args: Any) -> tuple[torch.Tensor, torch.Tensor] | None:
    """The rows of ``cosine_similarity(a[:, None], b[None], dim=-1)``."""
    one, other = (args[i] if len(args) > i else None for i in range(_MATRIX))
    if not (isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor)):
        return None
    if not one.dim() == other.dim() == _MATRIX + 1:
        return None
    return (one[:, 0], other[0]) if one.shape[1] == other.shape[0] == 1 and one.shape[2] == other.shape[2] else None


def _two_sides(name: str, args: Any, kwargs: Any) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Both halves of the pairs that are to be near each other."""
    one, other = (args[i] if len(args) > i else None for i in range(_MATRIX))
    if not (isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor)):
        return None
    if one.shape != other.shape or one.dim() < _MATRIX:
        return None
    if name == "cosine_embedding_loss":
        signs = args[2] if len(args) > _MATRIX else kwargs.get("target")
        if not isinstance(signs, torch.Tensor) or signs.shape != one.shape[:1]:
            return None
        return one[signs > 0], other[signs > 0]
    return one, other


def _places(name: str, scores: torch.Tensor, args: Any, kwargs: Any) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Rows and columns of the scores that are picked."""
    if scores.dim() != _MATRIX:
        return None
    if name in ("diagonal", "diag"):
        size = min(scores.shape)
        return (torch.arange(size), torch.arange(size)) if len(args) == 1 and not kwargs else None
    if name == "__getitem__":
        index = args[1]
        both = isinstance(index, tuple) and len(index) == _MATRIX and all(_are_ids(i) for i in index)
        return (index[0].cpu(), index[1].cpu()) if both and index[0].shape == index[1].shape else None
    given = args[2:] if name == "gather" else args[1:]
    ids = given[0] if given else kwargs.get("index" if name == "gather" else "target")
    if isinstance(ids, torch.Tensor) and name == "gather" and ids.shape == (len(scores), 1):
        ids = ids[:, 0]
    if not _are_ids(ids) or len(ids) != len(scores) or int(ids.min()) < 0:
        return None
    return torch.arange(len(ids)), ids.cpu()


def _are_ids(value: Any) -> bool:
    return is_plain_tensor(value) and value.dim() == 1 and value.dtype in (torch.int32, torch.int64) and len(value) > 0


def _are_equal(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Row by row the same numbers, which are not those of all rows."""
    with torch.no_grad():
        a, b = one.detach().float(), other.detach().float()
        size = float(a.abs().max())
        if not (size > 0 and float((a - a[:1]).abs().max()) > 1e3 * _ROUNDING * size):
            return False
        return float((a - b).abs().max()) <= _ROUNDING * size
