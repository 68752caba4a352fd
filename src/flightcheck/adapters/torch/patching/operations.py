"""Patches of single operations: activations between layers, logs of zero."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from flightcheck.adapters.torch.batches import first_tensor
from flightcheck.adapters.torch.graph import behind_views
from flightcheck.adapters.torch.patching.boundaries import Arguments, Boundaries
from flightcheck.adapters.torch.patching.losses import arguments_of
from flightcheck.patch import Patch

_SATURATING: Final = {"sigmoid", "tanh", "softsign", "hardtanh", "hardsigmoid"}
_ELEMENTWISE: Final = {
    "sub", "rsub", "__sub__", "__rsub__", "subtract", "mul", "__mul__", "__rmul__", "multiply", "pow", "where",
}  # fmt: skip
_LOGARITHMS: Final = {"log", "log2", "log10", "sqrt", "rsqrt", "reciprocal"}
_DIVISIONS: Final = {"div", "true_divide", "__truediv__", "divide"}
_INVERSES: Final = {"__rdiv__", "__rtruediv__"}
_POWERS: Final = {"pow", "__pow__"}
_LARGEST_EXPONENT: Final = 60.0
"""exp(60) is finite in float32, and so is its square root's gradient."""


def swap_activation(b: Boundaries, patch: Patch) -> None:
    """ReLU in the place of each saturating activation inside a model, but not of one that makes its output.

    The first call of the model passes unchanged: it tells which of its activations is the output's.
    ``softmax@train.py:31,train.py:33``: in the place of the softmaxes at these lines alone.
    """
    if patch.value.startswith("softmax@"):
        _swap_softmax(b, patch)
        return
    calls: list[Any] = []
    outputs: dict[int, set[int]] = {}
    inside: list[int] = []

    def operation(function: Any, name: str, given: Arguments) -> Any:
        if not inside or name.rstrip("_") not in _SATURATING:
            return function(*given[0], **given[1])
        rank = len(calls)
        known = outputs.get(inside[-1])
        if known is not None and rank not in known and isinstance(given[0][0], torch.Tensor):
            calls.append(None)
            b.acted(patch)
            return torch.relu(given[0][0])
        result = function(*given[0], **given[1])
        calls.append(getattr(result, "grad_fn", None))
        return result

    def root(call: Any, module: nn.Module, given: Arguments) -> Any:
        calls.clear()
        inside.append(id(module))
        try:
            result = call(*given[0], **given[1])
        finally:
            inside.pop()
        output = first_tensor(result)
        if id(module) not in outputs and output is not None and output.grad_fn is not None:
            node = behind_views(output.grad_fn)
            outputs[id(module)] = {i for i, n in enumerate(calls) if n is not None and n is node}
        return result

    b.at_operations(operation)
    b.at_root(root)


def _swap_softmax(b: Boundaries, patch: Patch) -> None:
    places = set(patch.value.partition("@")[2].split(","))

    def operation(function: Any, name: str, given: Arguments) -> Any:
        at = b.observer.lines.here() if name == "softmax" else None
        if at is None or f"{Path(at.file).name}:{at.line}" not in places or not given[0]:
            return function(*given[0], **given[1])
        b.acted(patch)
        return torch.relu(given[0][0])

    b.at_operations(operation)


def align(b: Boundaries, patch: Patch) -> None:
    """A column and a row of the same length are compared element by element, in losses and in the script's own
    arithmetic, instead of being broadcast to a square.
    """

    def matched(left: Any, right: Any) -> tuple[Any, Any] | None:
        if not (isinstance(left, torch.Tensor) and isinstance(right, torch.Tensor)):
            return None
        if left.shape == right.shape or left.numel() != right.numel() or left.numel() < 2:
            return None
        return left.reshape(right.shape), right

    def loss(call: Any, name: str, given: Arguments) -> Any:
        prediction, target, again = arguments_of(given)
        same = matched(prediction, target) if name not in ("cross_entropy", "nll_loss") else None
        if same is not None:
            b.acted(patch)
            given = again(*same)
        return call(*given[0], **given[1])

    def operation(function: Any, name: str, given: Arguments) -> Any:
        args, kwargs = given
        if name in _ELEMENTWISE and len(args) > 1:
            same = matched(args[0], args[1])
            if same is not None:
                b.acted(patch)
                args = (*same, *args[2:])
        return function(*args, **kwargs)

    b.at_loss(loss)
    b.at_operations(operation)


def clamp(b: Boundaries, patch: Patch) -> None:
    """Arguments of logarithms, roots and divisions keep a distance from 0, exponents stay under 60."""
    eps = float(patch.value or 1e-8)

    def operation(function: Any, name: str, given: Arguments) -> Any:
        args, kwargs = given
        if not args or not isinstance(args[0], torch.Tensor) or not args[0].is_floating_point():
            return function(*args, **kwargs)
        plain = name.rstrip("_")
        if name in _LOGARITHMS:
            b.acted(patch)
            args = (args[0].clamp_min(eps), *args[1:])
        elif name in _DIVISIONS and len(args) > 1 and isinstance(args[1], torch.Tensor):
            b.acted(patch)
            below = args[1].abs() < eps
            args = (args[0], torch.where(below, torch.full_like(args[1], eps), args[1]), *args[2:])
        elif name in _INVERSES:  # 1 / x
            b.acted(patch)
            args = (torch.where(args[0].abs() < eps, torch.full_like(args[0], eps), args[0]), *args[1:])
        elif name in _POWERS and len(args) > 1 and isinstance(args[1], (int, float)) and args[1] < 1 and args[1]:
            b.acted(patch)  # roots and inverses
            args = (args[0].clamp_min(eps), *args[1:])
        elif plain == "exp" and name == "exp":
            b.acted(patch)
            args = (args[0].clamp_max(_LARGEST_EXPONENT), *args[1:])
        return function(*args, **kwargs)

    b.at_operations(operation)
