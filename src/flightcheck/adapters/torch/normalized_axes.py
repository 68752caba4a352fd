"""Over which axis are scores normalized, and over which is the product with them added up?

A weighted mean wants both to be the same. Followed in the learning pass from each matrix product back through views,
dropout and transposes to a softmax whose scores are themselves a product of two activations (attention).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import torch

from flightcheck.adapters.torch.axes import Axis, dim_of, step_back
from flightcheck.adapters.torch.graph import behind_views, nodes_of
from flightcheck.adapters.torch.watch import Watch, is_plain_tensor
from flightcheck.recording.normalized_axes import NormalizedAxis
from flightcheck.recording.records import Location

PRODUCTS: Final = {"matmul", "__matmul__", "bmm", "mm"}
SOFTMAXES: Final = {"softmax", "log_softmax"}
OPERATIONS: Final = PRODUCTS | SOFTMAXES | {"normalize"}
_SCALED: Final = ("DivBackward", "MulBackward", "MaskedFillBackward", "AddBackward", "SubBackward", "WhereBackward")
"""What may lie between the product of queries and keys and the softmax: a scale, a mask, a bias."""
_RESHAPED: Final = {"ViewBackward0", "UnsafeViewBackward0", "ReshapeAliasBackward0", "ExpandBackward0", "AddBackward0"}
"""What may lie between a layer and a product with its output, the addition of a bias among it."""
_LONGEST: Final = 16
_MOST_NODES: Final = 5000
_MOST_CALLS: Final = 24
"""Of a line: more tell nothing new."""


class NormalizedAxes:
    """Looks at softmaxes and matrix products in the learning pass; told of each by `Operations`."""

    def __init__(
        self,
        watch: Watch,
        lines: Mapping[Any, Location],
        owners: Mapping[Any, int],
        modules: Sequence[Any],
        module_index: Callable[[Any], int | None],
    ) -> None:
        self._watch = watch
        self._lines = lines
        self._owners = owners
        self._modules = modules
        """Those that are being called, outermost first."""
        self._index = module_index
        self._vectors: dict[Any, int] = {}
        """Node of a ``normalize`` of this round → its axis."""
        self._known: dict[tuple[str, Location | None], NormalizedAxis] = {}

    def end_round(self) -> None:
        """Forget the graph of this round."""
        self._vectors.clear()

    def save(self) -> None:
        """Write the lines at which something was wrong."""
        for i, found in enumerate(f for f in self._known.values() if f.wrong):
            self._watch.writer.put(found, i)

    def look(self, name: str, args: Any, kwargs: Any, result: Any) -> None:
        """An operation of `OPERATIONS` returned `result`."""
        if not (isinstance(result, torch.Tensor) and result.requires_grad and result.grad_fn is not None):
            return
        if name in SOFTMAXES:
            self._softmax(args, kwargs, result)
        elif name == "normalize":
            dim = kwargs.get("dim", args[2] if len(args) > 2 else 1)
            if isinstance(dim, int):
                self._vectors[result.grad_fn] = dim % max(1, result.dim())
        elif len(args) > 1:
            self._product(args[0], args[1])

    def _softmax(self, args: Any, kwargs: Any, result: torch.Tensor) -> None:
        given = args[0] if args else kwargs.get("input")
        dim = kwargs.get("dim", args[1] if len(args) > 1 else None)
        if not is_plain_tensor(given) or not isinstance(dim, int) or given.dim() < 2 or given.numel() < 2:
            return
        axis = dim % given.dim()
        self._note("single", self._watch.lines.here(), list(given.shape), axis, wrong=given.shape[axis] == 1)

    def _product(self, left: Any, right: Any) -> None:
        if not (isinstance(left, torch.Tensor) and isinstance(right, torch.Tensor)):
            return
        if left.dim() < 2 or right.dim() < 2:
            return
        axes = [self._vector_axis(left), self._vector_axis(right)]
        if left.dim() == right.dim() == 2 and None not in axes:
            over_batch = axes == [0, 0] and left.shape[1] == right.shape[0] and _turned(right) and not _turned(left)
            node = behind_views(left.grad_fn)
            self._note("vectors", self._lines.get(node), list(left.shape), int(axes[0] or 0), wrong=over_batch, added=1)
        for factor, axis in ((left, left.dim() - 1), (right, right.dim() - 2)):
            if factor.grad_fn is not None:
                self._weights(factor, axis)

    def _vector_axis(self, factor: torch.Tensor) -> int | None:
        """The axis over which the rows of a factor were normalized, before a transpose if there is one; None if not."""
        node = behind_views(factor.grad_fn)
        return self._vectors.get(node) if node is not None else None

    def _weights(self, factor: torch.Tensor, axis: int) -> None:
        """Is this factor made of a softmax over the axis that the product adds up?"""
        at = Axis(list(factor.shape), axis, factor.shape[axis])
        node: Any = factor.grad_fn
        for _ in range(_LONGEST):
            if node is None or node.name() == "SoftmaxBackward0":
                break
            before = behind_dropout(node)
            node = before if before is not None else step_back(node, at)
        if node is None:
            return
        product = _product_behind(node.next_functions[0][0]) if node.name() == "SoftmaxBackward0" else None
        if product is None:
            return
        dim = dim_of(node._saved_dim, len(at.shape))
        line, module = self._lines.get(node), self._owners.get(node)
        wrong = at.position is not None and at.position != dim and at.shape[dim] > 1
        if wrong and dim == len(at.shape) - 1 and _is_of_layer(product.next_functions[1][0]):
            return  # an assignment of each position to the outputs of a layer
        wrong = wrong and not _in_rounds(product)
        added = at.position if at.position is not None else -1
        self._note("product", line, at.shape, dim, wrong=wrong, added=added, module=module)

    def _note(
        self,
        kind: str,
        line: Location | None,
        shape: list[int],
        axis: int,
        *,
        wrong: bool,
        added: int = -1,
        module: int | None = None,
    ) -> None:
        known = self._known.get((kind, line))
        if line is None or (known is not None and known.calls >= _MOST_CALLS):
            return
        if module is None and self._modules:
            module = self._index(self._modules[-1])
        module = -1 if module is None else module
        found = known or NormalizedAxis(kind, line, self._watch.step, shape, axis, added, module=module)
        if wrong and not found.wrong:
            found = dataclasses.replace(
                found, shape=shape, axis=axis, added=added, product_location=self._watch.lines.here()
            )
        self._known[kind, line] = dataclasses.replace(found, calls=found.calls + 1, wrong=found.wrong + wrong)


def behind_dropout(node: Any) -> Any:
    """What dropout was given; None where the node is no dropout."""
    inputs = [n for n, _ in node.next_functions]
    dropped = node.name().startswith("NativeDropout") or (node.name() == "MulBackward0" and inputs[1:] == [None])
    return inputs[0] if dropped and inputs else None


def _product_behind(node: Any) -> Any:
    """The product of two activations that scores are, with a scale, a mask or a bias; None if they are none."""
    for _ in range(_LONGEST):
        node = behind_views(node)
        if node is None:
            return None
        inputs = [n for n, _ in node.next_functions if n is not None]
        if node.name() in ("BmmBackward0", "MmBackward0"):
            return node if is_product_of_activations(node) else None
        if not node.name().startswith(_SCALED) or not inputs:
            return None
        node = inputs[0]
    return None


def is_product_of_activations(node: Any) -> bool:
    """The node multiplies two matrices that both have a history and are no weights."""
    inputs = [n for n, _ in node.next_functions if n is not None]
    return node.name() in ("BmmBackward0", "MmBackward0") and len(inputs) == 2 and not any(map(_is_weight, inputs))


def _in_rounds(product: Any) -> bool:
    """One factor of the scores was itself put together from the other one: members choose among groups (capsules,
    clusters), round by round, and groups are sums of members.
    """
    one, other = (behind_views(factor) for factor, _ in product.next_functions[:2])
    return one != other and (_is_sum_of(one, other) or _is_sum_of(other, one))


def _is_sum_of(made: Any, members: Any) -> bool:
    """A product behind `made` adds `members` up, with weights that are no parameters."""
    for node in nodes_of(made, _MOST_NODES):
        if node.name() in ("BmmBackward0", "MmBackward0"):
            factors = [behind_views(factor) for factor, _ in node.next_functions]
            if members in factors and not any(f is not None and _is_weight(f) for f in factors):
                return True
    return False


def _is_of_layer(factor: Any) -> bool:
    """The last axis of a factor is that of a layer's outputs, and no transposed axis of positions."""
    for _ in range(_LONGEST):
        if factor is None:
            return False
        inputs = [n for n, _ in factor.next_functions if n is not None]
        if factor.name() in ("AddmmBackward0", "MmBackward0", "BmmBackward0"):
            return any(map(_is_weight, inputs))
        if factor.name() not in _RESHAPED or not inputs:
            return False
        factor = inputs[0]
    return False


def _is_weight(node: Any) -> bool:
    made = behind_views(node)
    return made is not None and made.name() == "torch::autograd::AccumulateGrad"


def _turned(factor: torch.Tensor) -> bool:
    """A matrix that is the transpose of another one."""
    return factor.grad_fn is not None and factor.grad_fn.name() in (
        "TBackward0",
        "TransposeBackward0",
        "PermuteBackward0",
    )
