"""Reads from the graph of a prediction whether the model bends at all: layers without an activation between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch

from flightcheck.adapters.torch.graph import VIEWS
from flightcheck.adapters.torch.watch import is_plain_tensor
from flightcheck.recording.loss_records import LinearStack
from flightcheck.recording.records import Location

_OUTPUT_ACTIVATIONS: Final = (
    "SoftmaxBackward", "LogSoftmaxBackward", "SigmoidBackward", "LogSigmoidBackward", "TanhBackward", "ReluBackward",
    "SoftplusBackward", "ExpBackward", "ClampBackward",
)  # fmt: skip
"""One of these at the very end bends the output, and no layer before it."""
_LINEAR: Final = (
    *VIEWS, "MeanBackward", "SumBackward", "NegBackward", "CatBackward", "StackBackward", "AddBackward", "SubBackward",
    "AvgPool", "AdaptiveAvgPool", "MkldnnAdaptiveAvgPool", "ConstantPadNdBackward", "UpsampleNearest",
    "UpsampleBilinear", "FlipBackward", "RollBackward", "NativeDropoutBackward", "CopyBackwards", "NativeBatchNorm",
    "CudnnBatchNorm",
)  # fmt: skip
"""Beginnings of the names of nodes that are affine in what goes in. Batch normalization is, in eval mode."""
_MATRICES: Final = ("AddmmBackward", "MmBackward", "BmmBackward", "MvBackward", "ConvolutionBackward")
_MOST: Final = 400
_LEAF: Final = "torch::autograd::AccumulateGrad"


@dataclass(frozen=True)
class _Layer:
    """A matrix of parameters on the way: its index, its module's, its width, and the line that calls it."""

    parameter: int
    module: int
    inputs: int
    outputs: int
    location: Location | None


@dataclass(frozen=True)
class _Path:
    """What an affine part of the graph is: parameters alone, or data behind these layers (the first first)."""

    data: bool
    layers: tuple[_Layer, ...] = ()


_DATA: Final = _Path(True)
_PARAMETERS: Final = _Path(False)


class _BendsError(Exception):
    """A node that is not affine, or not known to be."""


def linear_stack(
    site: int,
    node: Any,
    owners: Mapping[Any, int],
    lines: Mapping[Any, Location],
    parameter_of: Callable[[torch.Tensor], int | None],
) -> LinearStack | None:
    """The layers behind a prediction, if it is an affine function of the data but for one last activation.

    `node` made the prediction. None where anything on the way bends, or is not known.
    """
    reader = _Reader(owners, lines, parameter_of)
    try:
        found = reader.path(_before_output(node))
    except (_BendsError, AttributeError, RuntimeError, RecursionError):
        return None
    layers = found.layers
    if not found.data or not layers:
        return None
    return LinearStack(
        site,
        parameters=[layer.parameter for layer in layers],
        modules=[layer.module for layer in layers],
        inputs=[layer.inputs for layer in layers],
        outputs=[layer.outputs for layer in layers],
        location=layers[0].location,
    )


def _before_output(node: Any) -> Any:
    first = node
    while first is not None and first.name() in VIEWS and first.next_functions:
        first = first.next_functions[0][0]
    if first is not None and first.name().startswith(_OUTPUT_ACTIVATIONS):
        return first.next_functions[0][0]
    return node


class _Reader:
    def __init__(
        self,
        owners: Mapping[Any, int],
        lines: Mapping[Any, Location],
        parameter_of: Callable[[torch.Tensor], int | None],
    ) -> None:
        self.owners, self.lines, self.parameter_of = owners, lines, parameter_of
        self._known: dict[Any, _Path] = {}

    def path(self, node: Any) -> _Path:
        if node is None:
            return _DATA
        if node.name() == _LEAF:
            return _PARAMETERS
        if node not in self._known:
            if len(self._known) > _MOST:
                raise _BendsError
            self._known[node] = self._path(node)
        return self._known[node]

    def _path(self, node: Any) -> _Path:
        name = node.name()
        inputs = [n for n, _ in node.next_functions]
        if name.startswith("EmbeddingBackward"):
            return _DATA
        if name.startswith(_MATRICES):
            return self._matrix(node, name, inputs)
        if name.startswith(("MulBackward", "DivBackward")):
            return self._product(node, inputs)
        if name in VIEWS or name.startswith(_LINEAR):
            if "BatchNorm" in name or name.startswith("NativeDropout"):
                inputs = inputs[:1]
            found = [self.path(n) for n in inputs if n is not None] or [_DATA]
            of_data = [p for p in found if p.data]
            return max(of_data, key=lambda p: len(p.layers)) if of_data else _PARAMETERS
        raise _BendsError

    def _matrix(self, node: Any, name: str, inputs: list[Any]) -> _Path:
        """A matrix of parameters on one side, data on the other."""
        given, weight = inputs[:2] if name.startswith("Convolution") else inputs[-2:]
        sides = [self.path(given), self.path(weight)]
        if sides[0].data == sides[1].data:
            raise _BendsError
        data, side = (sides[0], weight) if sides[0].data else (sides[1], given)
        leaf, turned = _leaf(side)
        if leaf is None or leaf.dim() < 2:
            raise _BendsError
        ins, outs = int(leaf.shape[0]), int(leaf.shape[1])
        if name.startswith("Convolution"):
            if node._saved_groups != 1:
                return data  # depthwise: the layer beside it mixes the channels
            ins, outs = (ins, outs) if node._saved_transposed else (outs, ins)
        elif turned != (side is not weight):  # x @ W.T, or W @ x
            ins, outs = outs, ins
        index = self.parameter_of(leaf)
        owner, line = self.owners.get(node, -1), self.lines.get(node)
        layer = _Layer(-1 if index is None else index, owner, ins, outs, line)
        return _Path(True, (*data.layers, layer))

    def _product(self, node: Any, inputs: list[Any]) -> _Path:
        """Affine where one factor is a parameter or a number, or the mask of a dropout."""
        if node.name().startswith("Div"):
            inputs = [*inputs, None][:2]
            if inputs[1] is not None:
                raise _BendsError
        of_data = [p for n in inputs if n is not None and (p := self.path(n)).data]
        if not of_data:
            return _PARAMETERS
        if len(of_data) > 1 or (None in inputs and not _is_number_or_mask(node)):
            raise _BendsError
        return of_data[0]


def _leaf(node: Any) -> tuple[torch.Tensor | None, bool]:
    """The parameter behind views, and whether it stands there transposed."""
    turned = False
    for _ in range(6):
        if node is None:
            break
        if node.name() == _LEAF:
            return node.variable, turned
        turned ^= node.name() in ("TBackward0", "TransposeBackward0", "PermuteBackward0")
        if node.name() not in VIEWS or not node.next_functions:
            break
        node = node.next_functions[0][0]
    return None, turned


def _is_number_or_mask(node: Any) -> bool:
    """The factor without a gradient is one number, or zero here and one number there."""
    for name in ("_saved_other", "_saved_self"):
        factor = getattr(node, name, None)
        if factor is None:
            continue
        if not isinstance(factor, torch.Tensor):
            return True
        if is_plain_tensor(factor):
            return factor.numel() == 1 or int(torch.unique(factor.detach()).numel()) <= 2
    return False
