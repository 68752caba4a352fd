"""How much of the input one value of a layer sees: by the sizes, strides and dilations of what lies before it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Final

import torch

from flightcheck.frozen import frozen

_CONVOLUTIONS: Final = {"conv1d", "conv2d", "conv3d"}
_TRANSPOSED: Final = {"conv_transpose1d", "conv_transpose2d", "conv_transpose3d"}
_WINDOWS: Final = {f"{kind}_pool{n}d" for kind in ("max", "avg", "lp") for n in (1, 2, 3)} | {
    f"max_pool{n}d_with_indices" for n in (1, 2, 3)
}
_ADAPTIVE: Final = {f"adaptive_{kind}_pool{n}d" for kind in ("max", "avg") for n in (1, 2, 3)} | {
    f"adaptive_max_pool{n}d_with_indices" for n in (1, 2, 3)
}
_KEEPING: Final = {"pad", "__getitem__", "cat", "concat", "chunk", "split", "narrow", "unbind", "select"}
"""Functions that change a shape without looking further."""
_RESHAPING: Final = {
    "flatten",
    "reshape",
    "view",
    "unflatten",
    "permute",
    "transpose",
    "unsqueeze",
    "squeeze",
    "movedim",
}
_MIXING: Final = {
    "mean", "sum", "amax", "amin", "max", "min", "logsumexp", "matmul", "__matmul__", "bmm", "baddbmm", "einsum",
    "cumsum", "scaled_dot_product_attention", "multi_head_attention_forward", "lstm", "gru", "rnn_tanh", "rnn_relu",
    "fft", "rfft",
}  # fmt: skip
"""Functions whose results may depend on every position of what they are given."""


@frozen
class Field:
    """What one value sees of the input: `size` input positions along each spatial axis, `jump` from one value to the
    next. Empty before the first convolution, where each value sees its own position; `whole` where all is seen; `flat`
    where the spatial axes are no longer the last ones.
    """

    size: tuple[int, ...] = ()
    jump: tuple[float, ...] = ()
    whole: bool = False
    flat: bool = False

    def text(self) -> str:
        """``7×7``, or ``all``."""
        return "all" if self.whole else "×".join(map(str, self.size))


WHOLE: Final = Field(whole=True)


def wider(one: Field | None, other: Field | None) -> Field | None:
    """Of two values that are put together."""
    if one is None or other is None:
        return one or other
    if one.whole or other.whole:
        return WHOLE
    if len(one.size) != len(other.size):
        return one if one.size else other
    sizes, jumps = tuple(map(max, one.size, other.size)), tuple(map(max, one.jump, other.jump))
    return Field(sizes, jumps, flat=one.flat or other.flat)


def after(name: str, args: tuple[Any, ...], kwargs: dict[str, Any], *, field: Field, source: Any, out: Any) -> Field:
    """The field behind a function of PyTorch.

    Args:
        name: of the function, such as ``conv2d``.
        args: of the call.
        kwargs: of the call.
        field: of the values that it is given.
        source: the tensor that it is given first.
        out: the tensor that it returned.
    """
    if field.whole:
        return field
    if name in _CONVOLUTIONS or name in _TRANSPOSED:
        axes = int(name[-2])
        kernel = tuple(_argument(args, kwargs, 1, "weight").shape[2:])
        stride = _each(_argument(args, kwargs, 3, "stride"), axes, 1)
        dilation = _each(_argument(args, kwargs, 7 if name in _TRANSPOSED else 5, "dilation"), axes, 1)
        return _windowed(_begun(field, axes), kernel, stride, dilation, name in _TRANSPOSED)
    if name in _WINDOWS:
        axes = int(name.split("_pool")[1][0])
        kernel = _each(_argument(args, kwargs, 1, "kernel_size"), axes, 1)
        given = _argument(args, kwargs, 2, "stride")
        stride = kernel if given is None or given in ((), []) else _each(given, axes, 1)
        dilation = _each(_argument(args, kwargs, 4, "dilation"), axes, 1) if name.startswith("max") else (1,) * axes
        return _windowed(_begun(field, axes), kernel, stride, dilation, False)
    if not isinstance(source, torch.Tensor) or not isinstance(out, torch.Tensor):
        return field
    if name in _ADAPTIVE:
        axes = int(name.split("_pool")[1][0])
        return _adapted(_begun(field, axes), source.shape[-axes:], out.shape[-axes:])
    return _by_shape(name, field, source, out)


def _by_shape(name: str, field: Field, source: torch.Tensor, out: torch.Tensor) -> Field:
    if name in _MIXING or (name in ("linear", "addmm", "mm") and source.dim() < 3):
        return WHOLE
    if not field.size or field.flat or name in _KEEPING:
        return field
    axes = len(field.size)
    if name in ("interpolate", "upsample") and source.dim() == out.dim():
        scale = [o / max(1, s) for s, o in zip(source.shape[-axes:], out.shape[-axes:])]
        return Field(field.size, tuple(j / s for j, s in zip(field.jump, scale)))
    if source.dim() == out.dim() and source.shape[-axes:] == out.shape[-axes:]:
        return field
    return replace(field, flat=True) if name in _RESHAPING else WHOLE


def _begun(field: Field, axes: int) -> Field:
    if field.flat:
        return WHOLE
    return field if len(field.size) == axes else Field((1,) * axes, (1.0,) * axes)


def _windowed(field: Field, kernel: Any, stride: Any, dilation: Any, transposed: bool) -> Field:
    if field.whole:
        return field
    size, jump = [], []
    for s, j, k, step, d in zip(field.size, field.jump, kernel, stride, dilation):
        reach = (k - 1) * d
        if transposed:  # a value gets its share from every `step`-th place of the kernel
            size.append(s + math.ceil((math.ceil((reach + 1) / step) - 1) * j))
            jump.append(j / step)
        else:
            size.append(s + math.ceil(reach * j))
            jump.append(j * step)
    return Field(tuple(size), tuple(jump))


def _adapted(field: Field, before: Any, behind: Any) -> Field:
    if field.whole or all(n == 1 for n in behind):
        return WHOLE
    size, jump = [], []
    for s, j, n, m in zip(field.size, field.jump, before, behind):
        kernel = math.ceil(n / m) + (n % m > 0)
        size.append(s + math.ceil((kernel - 1) * j))
        jump.append(j * n / m)
    return Field(tuple(size), tuple(jump))


def _argument(args: tuple[Any, ...], kwargs: dict[str, Any], position: int, name: str) -> Any:
    return kwargs[name] if name in kwargs else args[position] if len(args) > position else None


def _each(value: Any, axes: int, default: int) -> tuple[int, ...]:
    if value is None:
        return (default,) * axes
    if isinstance(value, int):
        return (value,) * axes
    given = tuple(int(v) for v in value)
    return given * axes if len(given) == 1 else given
