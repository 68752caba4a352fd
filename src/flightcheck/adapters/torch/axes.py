"""Follows the class axis of a loss back through views to the layer that laid its outputs out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch

from flightcheck.recording.loss_records import LossAxes
from flightcheck.recording.records import Location

_WRAPPED: Final = 1 << 63
_UNCHANGED: Final = {
    "CloneBackward0", "AliasBackward0", "ToCopyBackward0", "ReluBackward0", "TanhBackward0", "SigmoidBackward0",
    "LogBackward0", "ClampBackward0", "ClampBackward1", "NegBackward0", "ContiguousBackward0",
}  # fmt: skip
"""Nodes that leave every element in its place."""
_RESHAPES: Final = {"ViewBackward0", "UnsafeViewBackward0", "ReshapeAliasBackward0"}
_SOFTMAX: Final = {"SoftmaxBackward0", "LogSoftmaxBackward0"}
_LONGEST: Final = 24


@dataclass
class Axis:
    """The class axis, seen from the loss back to the layer."""

    shape: list[int]
    position: int | None
    size: int
    view: str = ""
    view_node: Any = None
    softmax_node: Any = None
    softmax_dim: int | None = None


def axes_of(
    site: int,
    step: int,
    given: torch.Tensor,
    target: torch.Tensor,
    *,
    axis: int,
    lines: dict[Any, Location],
    made: Any = None,
) -> LossAxes:
    """How the axis `axis` of a prediction relates to the outputs of the layer that made it.

    `made` is the prediction's node where the tensor itself does not know it.
    """
    found = Axis(list(given.shape), axis, given.shape[axis])
    node = made or given.grad_fn
    for _ in range(_LONGEST):
        if node is None or not (following := step_back(node, found)):
            break
        node = following
    producer, at = _producer(node, found)
    relation = ""
    if producer:
        relation = "mixed" if found.position is None else "same" if found.position == at else "other"
    return LossAxes(
        site=site,
        step=step,
        relation=relation,
        input_shape=list(given.shape),
        producer=producer,
        producer_shape=found.shape,
        producer_classes=found.shape[at] if producer else 0,
        view=found.view,
        view_location=lines.get(found.view_node),
        softmax_differs=found.softmax_node is not None,
        softmax_dim=found.softmax_dim,
        softmax_location=lines.get(found.softmax_node),
        **_target_sums(target, given, axis),
    )


def step_back(node: Any, axis: Axis) -> Any:
    """The node before a view, with the axis seen from there; None where the values were computed."""
    name = node.name()
    inputs = [n for n, _ in node.next_functions]
    if name in _RESHAPES and _own_view(node, axis):
        return None
    if name in _RESHAPES:
        _through_reshape(node, axis, [int(s) for s in node._saved_self_sym_sizes])
    elif name == "TransposeBackward0":
        a, b = (dim_of(d, len(axis.shape)) for d in (node._saved_dim0, node._saved_dim1))
        order = list(range(len(axis.shape)))
        order[a], order[b] = order[b], order[a]
        _through_permutation(axis, order)
    elif name == "PermuteBackward0":
        _through_permutation(axis, [dim_of(d, len(axis.shape)) for d in node._saved_dims])
    elif name == "TBackward0" and len(axis.shape) == 2:
        _through_permutation(axis, [1, 0])
    elif name == "SliceBackward0":
        axis.shape = [int(s) for s in node._saved_self_sym_sizes]
        if axis.position is not None:
            axis.size = axis.shape[axis.position]
    elif name == "SqueezeBackward1":
        before = [int(s) for s in node._saved_self_sym_sizes]
        at = dim_of(node._saved_dim, len(before))
        if len(before) > len(axis.shape) and axis.position is not None:
            axis.position += at <= axis.position
        axis.shape = before
    elif name == "UnsqueezeBackward0":
        at = dim_of(node._saved_dim, len(axis.shape))
        del axis.shape[at]
        axis.position = None if axis.position is None else axis.position - (at < axis.position)
    elif name in ("IndexBackward0", "IndexSelectBackward0"):
        if not _through_index(node, axis):
            return None
    elif name in _SOFTMAX:
        dim = dim_of(node._saved_dim, len(axis.shape))
        if axis.position is not None and dim != axis.position and axis.shape[dim] > 1:
            axis.softmax_node, axis.softmax_dim = node, dim
    elif name == "AddBackward0" and len(inputs) == 2 and _vector(inputs[1]) and not _vector(inputs[0]):
        pass  # the bias of a layer
    elif name == "AddBackward0" and inputs[1:] == [None] and inputs[0] is not None and inputs[0].name() in _SOFTMAX:
        pass  # softmax(x) + 1e-9, before a logarithm
    elif name not in _UNCHANGED:
        return None
    return inputs[0]


def _through_reshape(node: Any, axis: Axis, before: list[int]) -> None:
    if axis.position is not None:
        inner = math.prod(axis.shape[axis.position + 1 :])
        places = (i for i, s in enumerate(before) if s == axis.size and math.prod(before[i + 1 :]) == inner)
        axis.position = next(places, None)
        if axis.position is None:
            axis.view, axis.view_node = node.name(), node
    axis.shape = before


def _through_index(node: Any, axis: Axis) -> bool:
    """Chosen rows: whether the axis could be followed through them."""
    before = [int(s) for s in node._saved_self_sym_sizes]
    if node.name() == "IndexSelectBackward0":
        axis.shape = before
        return axis.position != dim_of(node._saved_dim, len(before))
    indexed = len(before) - len(axis.shape) + 1  # leading axes that became one, as by a list of rows or a mask
    if not axis.position or indexed < 1 or before[indexed:] != axis.shape[1:]:
        return False
    axis.shape, axis.position = before, axis.position + indexed - 1
    return True


def _through_permutation(axis: Axis, order: Sequence[int]) -> None:
    """Output axis i is input axis ``order[i]``."""
    before = [0] * len(order)
    for i, source in enumerate(order):
        before[source] = axis.shape[i]
    axis.shape = before
    axis.position = None if axis.position is None else order[axis.position]


def _producer(node: Any, axis: Axis) -> tuple[str, int]:
    """The kind of layer that made the values, and the axis on which it laid out its outputs."""
    if node is None:
        return "", 0
    name = node.name()
    inputs = [n for n, _ in node.next_functions]
    if name in _RESHAPES and _own_view(node, axis):
        node = inputs[0]
        name, inputs = node.name(), [n for n, _ in node.next_functions]
    if name in ("AddmmBackward0", "MmBackward0") and inputs and _weight(inputs[-1]):
        return "linear", len(axis.shape) - 1
    if name == "ConvolutionBackward0" and len(inputs) > 1 and _weight(inputs[1]) and len(axis.shape) > 2:
        return "conv", 1
    return "", 0


def _own_view(node: Any, axis: Axis) -> bool:
    """The view belongs to a linear layer, which computes on rows and gives back the shape that it was given."""
    before = node.next_functions[0][0]
    return (
        before is not None
        and before.name() in ("AddmmBackward0", "MmBackward0")
        and len(axis.shape) > 2
        and axis.shape[-1] == int(node._saved_self_sym_sizes[-1])
    )


def _weight(node: Any) -> bool:
    """A parameter, or the transpose of one."""
    if node is not None and node.name() == "TBackward0":
        node = node.next_functions[0][0]
    return node is not None and node.name() == "torch::autograd::AccumulateGrad"


def _vector(node: Any) -> bool:
    variable = getattr(node, "variable", None)
    return variable is not None and variable.dim() == 1


def dim_of(dim: int, rank: int) -> int:
    """A dimension as autograd saves it: negative ones are kept as large unsigned numbers."""
    dim = int(dim)
    dim = dim - 2 * _WRAPPED if dim >= _WRAPPED else dim
    return dim + rank if dim < 0 else dim


def _target_sums(target: torch.Tensor, given: torch.Tensor, axis: int) -> dict[str, float]:
    if target.shape != given.shape or target.dim() < 2 or not target.is_floating_point():
        return {}
    y = target.detach()[: max(1, 65_536 // max(1, target[0].numel()))].float()
    return {
        "target_sum_error_last": float((y.sum(-1) - 1).abs().max()),
        "target_sum_error_classes": float((y.sum(axis) - 1).abs().max()),
    }
