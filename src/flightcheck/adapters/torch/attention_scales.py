"""Attention before anything was learned: by what are scores multiplied, and how far apart are they?

Followed in the first step from a softmax back through masks and constants to a product of two activations, and from
there through views to constants on queries and keys.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import torch

from flightcheck.adapters.torch.graph import behind_views
from flightcheck.adapters.torch.normalized_axes import is_product_of_activations
from flightcheck.adapters.torch.watch import Watch, is_plain_tensor
from flightcheck.recording.attention_scales import AttentionScale
from flightcheck.recording.records import Location

_CONSTANT: Final = ("MulBackward0", "DivBackward0")
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
    """Looks at softmaxes in the first step; told of each by `Operations`."""

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

    def look(self, args: Any, kwargs: Any) -> None:
        """A softmax was computed in the graph of a training step."""
        given = args[0] if args else kwargs.get("input")
        if self._watch.step or not is_plain_tensor(given) or given.grad_fn is None or given.dim() < 2:
            return
        dim = kwargs.get("dim", args[1] if len(args) > 1 else None)
        if not isinstance(dim, int) or dim % given.dim() != given.dim() - 1 or given.shape[-1] < _FEWEST_KEYS:
            return
        line = self._watch.lines.here()
        if line in self._known or len(self._known) >= _MOST_LINES:
            return
        factors: list[tuple[float, Location | None]] = []
        product = self._product(given.grad_fn, factors)
        if product is None:
            return
        sides = [product._saved_self, product._saved_mat2]
        if any(map(_is_unit, (sides[0], sides[1].transpose(-1, -2)))):
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
            line, largest[1], self._lines.get(product), int(sides[0].shape[-1]), int(given.shape[-1]), factor, spread,
            module=-1 if module is None else module, calls=1,
        )  # fmt: skip

    def _product(self, node: Any, factors: list[tuple[float, Location | None]]) -> Any:
        """The product of two activations behind scores, with the constants on the way."""
        for _ in range(_LONGEST):
            node = behind_views(node)
            if node is None or is_product_of_activations(node):
                return node
            inputs = [n for n, _ in node.next_functions if n is not None]
            if len(inputs) != 1 and not node.name().startswith(_MASKS):
                return None
            if not inputs or not (self._constant(node, factors) or node.name().startswith(_MASKS)):
                return None
            node = inputs[0]
        return None

    def _constant(self, node: Any, factors: list[tuple[float, Location | None]]) -> bool:
        """The node multiplies with a number, or divides by one."""
        if node is None or node.name() not in _CONSTANT or node.next_functions[1][0] is not None:
            return False
        other = node._saved_other
        if not isinstance(other, torch.Tensor) or other.numel() != 1:
            return False
        number = abs(float(other))
        if number:
            factors.append((1 / number if node.name() == "DivBackward0" else number, self._lines.get(node)))
        return bool(number)

    def save(self) -> None:
        """Write what was seen."""
        for i, found in enumerate(self._known.values()):
            self._watch.writer.put(dataclasses.replace(found), i)


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


def _is_unit(rows: torch.Tensor) -> bool:
    lengths = rows.detach().reshape(-1, rows.shape[-1])[:_MOST_ROWS].double().norm(dim=1)
    return bool(((lengths - 1).abs() < _UNIT).all())
