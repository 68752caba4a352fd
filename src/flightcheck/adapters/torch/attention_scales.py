"""Attention before anything was learned: by what are scores multiplied, and how far apart are they?

Followed in the first step from a softmax back through masks and constants to a product of two activations, and from
there through views to constants on queries and keys.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import torch

from flightcheck.adapters.torch.graph import behind_views
from flightcheck.adapters.torch.normalized_axes import is_product_of_activations
from flightcheck.adapters.torch.similarities import FACTORS, factor_of
from flightcheck.adapters.torch.watch import Watch, is_plain_tensor
from flightcheck.recording.attention_scales import AttentionScale
from flightcheck.recording.records import Location

PRODUCTS: Final = {"matmul", "__matmul__", "bmm", "einsum"}
OPERATIONS: Final = {"softmax", *FACTORS, *PRODUCTS}
_MOST_PRODUCTS: Final = 256
_MASKS: Final = ("MaskedFillBackward", "AddBackward", "SubBackward", "WhereBackward")
_LONGEST: Final = 16
_MOST_ROWS: Final = 512
_FEWEST_KEYS: Final = 4
_SHUT_OUT: Final = -1e4
"""Scores below are a mask's."""
_UNIT: Final = 1e-2
"""Rows of this distance from length 1 are cosines, which may be as far apart as their temperature says."""
_MOST_LINES: Final = 32


class AttentionScales:
    """Looks at the first step; told of its operations by `Operations`."""

    def __init__(
        self,
        watch: Watch,
        lines: Mapping[Any, Location],
        modules: Sequence[Any],
        module_index: Callable[[Any], int | None],
    ) -> None:
        self._watch = watch
        self._lines = lines
        self._modules = modules
        self._index = module_index
        self._known: dict[Location | None, AttentionScale] = {}
        self._factors: dict[Any, float] = {}
        """Node of this round that multiplies with a number → it, positive."""
        self._products: dict[Any, tuple[int, bool]] = {}
        """Node of a matrix product of this round → what it adds up, and whether it is of cosines."""

    def look(self, name: str, args: Any, kwargs: Any, result: Any) -> None:
        """An operation of `OPERATIONS` returned `result`. What nodes saved is never read: hooks of checkpoints would
        compute it once more.
        """
        if not isinstance(result, torch.Tensor) or not result.requires_grad or not self._watch.reads(result):
            return
        if name == "softmax":
            self._softmax(args, kwargs)
        elif name in FACTORS:
            number = factor_of(name, args)
            if number:
                self._factors[result.grad_fn] = abs(number)
        elif len(self._products) < _MOST_PRODUCTS:
            known = _rows_of(name, args)
            if known is not None:
                self._products[behind_views(result.grad_fn)] = known

    def _softmax(self, args: Any, kwargs: Any) -> None:
        given = args[0] if args else kwargs.get("input")
        if not is_plain_tensor(given) or given.grad_fn is None or given.dim() < 2:
            return
        dim = kwargs.get("dim", args[1] if len(args) > 1 else None)
        if not isinstance(dim, int) or dim % given.dim() != given.dim() - 1 or given.shape[-1] < _FEWEST_KEYS:
            return
        line = self._watch.lines.here()
        if line in self._known or len(self._known) >= _MOST_LINES:
            return
        factors: list[tuple[float, Location | None]] = []
        product = self._product(given.grad_fn, factors)
        width, unit = self._products.get(product, (0, True))
        if product is None or unit or not is_product_of_activations(product):
            return
        for side, _ in product.next_functions[:2]:
            self._constant(behind_views(side), factors)
        spread = _spread(given.detach())
        if spread is None:
            return
        factor = 1.0
        for number, _ in factors:
            factor *= number
        largest = max(factors, key=lambda f: f[0], default=(0.0, None))
        module = self._index(self._modules[-1]) if self._modules else None
        self._known[line] = AttentionScale(
            line, largest[1], self._lines.get(product), width, int(given.shape[-1]), factor, spread,
            module=-1 if module is None else module,
        )  # fmt: skip

    def _product(self, node: Any, factors: list[tuple[float, Location | None]]) -> Any:
        """The product behind scores, with the constants on the way."""
        for _ in range(_LONGEST):
            node = behind_views(node)
            if node is None or node in self._products:
                return node
            inputs = [n for n, _ in node.next_functions if n is not None]
            if not inputs or not (self._constant(node, factors) or node.name().startswith(_MASKS)):
                return None
            node = inputs[0]
        return None

    def _constant(self, node: Any, factors: list[tuple[float, Location | None]]) -> bool:
        """The node multiplies with a number, or divides by one."""
        number = self._factors.get(node)
        if number is None:
            return False
        factors.append((number, self._lines.get(node)))
        return True

    def end_round(self) -> None:
        """Forget the graph of this round."""
        self._factors.clear()
        self._products.clear()

    def save(self) -> None:
        """Write what was seen."""
        for i, found in enumerate(self._known.values()):
            self._watch.writer.put(found, i)


def _spread(scores: torch.Tensor) -> float | None:
    rows = scores.reshape(-1, scores.shape[-1])
    rows = rows[:: max(1, len(rows) // _MOST_ROWS)].double()
    open_to = torch.isfinite(rows) & (rows > _SHUT_OUT)
    count = open_to.sum(1)
    kept = count >= _FEWEST_KEYS
    if not kept.any():
        return None
    rows, open_to, count = rows[kept], open_to[kept], count[kept]
    values = torch.where(open_to, rows, 0.0)
    mean = values.sum(1) / count
    variance = (torch.where(open_to, (rows - mean[:, None]) ** 2, 0.0).sum(1)) / count
    return float(variance.sqrt().median())


def _rows_of(name: str, args: Any) -> tuple[int, bool] | None:
    """Over how many elements a product adds up, and whether a factor's vectors all have length 1."""
    if name == "einsum":
        return _of_equation(args)
    if len(args) < 2 or not all(is_plain_tensor(a) and a.dim() > 1 for a in args[:2]):
        return None
    return int(args[0].shape[-1]), _is_unit(args[0], -1) or _is_unit(args[1], -2)


def _of_equation(args: Any) -> tuple[int, bool] | None:
    equation = args[0].replace(" ", "") if args and isinstance(args[0], str) else ""
    given, arrow, out = equation.partition("->")
    names = given.split(",")
    tensors = args[1] if len(args) == 2 and isinstance(args[1], (list, tuple)) else args[1:]
    if not arrow or len(names) != 2 or len(tensors) != 2 or "." in given or not all(map(is_plain_tensor, tensors)):
        return None
    added = [n for n in names[0] if n in names[1] and n not in out]
    if len(added) != 1:
        return None
    dims = [n.index(added[0]) for n in names]
    return int(tensors[0].shape[dims[0]]), any(_is_unit(t, d) for t, d in zip(tensors, dims))


def _is_unit(vectors: torch.Tensor, dim: int) -> bool:
    rows = vectors.detach().movedim(dim, -1).reshape(-1, vectors.shape[dim])[:_MOST_ROWS]
    return bool(((rows.double().norm(dim=1) - 1).abs() < _UNIT).all())
