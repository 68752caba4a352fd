"""Which position looks at which: the weights of attention, however the model computes them."""

from __future__ import annotations

import inspect
import math
from typing import Any, Final

import numpy as np
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from flightcheck.frozen import frozen
from flightcheck.views.activations import Cells, smaller
from flightcheck.views.batch import Batch
from flightcheck.views.calls import called
from flightcheck.views.layers import Structure

_MOST_HEADS: Final = 8
_MOST_MAPS: Final = 24
_MOST_POSITIONS: Final = 64
_SOFTMAX: Final = {"softmax", "_softmax"}


@frozen
class AttentionMap:
    """The weights of one attention for the chosen example."""

    path: str
    """Of the module that computes it."""
    weights: Cells
    """Shape (heads, queries, keys); of more than 64 positions the mean of neighbours."""
    queries: int
    keys: int


def attention_of(model: nn.Module, batch: Batch, structure: Structure, example: int) -> list[AttentionMap]:
    """The weights of all attentions of a model, in order.

    ``nn.MultiheadAttention`` is asked for its weights. Elsewhere they are taken from ``scaled_dot_product_attention``,
    or from a softmax over the last axis of a tensor (examples, heads, queries, keys).

    Args:
        model: a copy in evaluation mode.
        batch: of the structure.
        structure: of the model.
        example: counted from 0.
    """
    found = _Found(batch, example)
    handles = []
    for path, module in model.named_modules():
        if isinstance(module, nn.MultiheadAttention):
            handles += found.asked(path, module)
    try:
        with torch.no_grad(), found:
            called(model, batch, found.left, found.entered)
    finally:
        for handle in handles:
            handle.remove()
    return found.maps


class _Found(TorchFunctionMode):
    def __init__(self, batch: Batch, example: int) -> None:
        super().__init__()
        self.maps: list[AttentionMap] = []
        self._batch = batch
        self._example = example
        self._inside: list[str] = []

    def entered(self, path: str, *_: Any) -> None:
        self._inside.append(path)

    def left(self, *_: Any) -> None:
        self._inside.pop()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        name = getattr(func, "__name__", "")
        if name == "scaled_dot_product_attention":
            with torch._C.DisableTorchFunction():
                self.keep(_weights(*args, **kwargs))
        elif name in _SOFTMAX and isinstance(out, torch.Tensor) and _over_keys(out, args, kwargs):
            self.keep(out)
        return out

    def keep(self, weights: torch.Tensor) -> None:
        """Weights of shape (examples, heads, queries, keys), or examples times heads at first."""
        n = self._batch.size
        if len(self.maps) >= _MOST_MAPS or weights.dim() < 3:
            return
        if weights.dim() == 3:
            square = weights.shape[-1] == weights.shape[-2]
            if weights.shape[0] % n or not square:  # square: else it may be scores of the classes
                return
            weights = weights.reshape(n, -1, *weights.shape[1:])
        if weights.dim() != 4 or weights.shape[0] != n or weights.shape[-1] < 2:
            return
        one = weights[self._example, :_MOST_HEADS].float().cpu().numpy()
        pictures = np.stack([smaller(h, _MOST_POSITIONS) for h in one]).astype(np.float32)
        path = self._inside[-1] if self._inside else ""
        self.maps.append(AttentionMap(path, pictures, weights.shape[-2], weights.shape[-1]))

    def asked(self, path: str, module: nn.MultiheadAttention) -> list[Any]:
        """Make it return its weights, head by head, and hand on what it would have returned."""
        wanted: list[tuple[bool, bool]] = []
        signature = inspect.signature(nn.MultiheadAttention.forward)

        def before(m: nn.Module, args: Any, kwargs: Any) -> Any:
            given = signature.bind(m, *args, **kwargs)
            given.apply_defaults()
            wanted.append((given.arguments["need_weights"], given.arguments["average_attn_weights"]))
            given.arguments |= {"need_weights": True, "average_attn_weights": False}
            return given.args[1:], given.kwargs

        def behind(m: nn.Module, args: Any, out: Any) -> Any:
            need, average = wanted.pop()
            values, weights = out
            self._inside.append(path)
            self.keep(weights if weights.dim() == 4 else weights[None])
            self._inside.pop()
            return values, (weights.mean(-3) if average else weights) if need else None

        # registered first, so the pre hook runs before and the other after all hooks of a look
        return [module.register_forward_pre_hook(before, with_kwargs=True), module.register_forward_hook(behind)]


def _over_keys(out: torch.Tensor, args: Any, kwargs: Any) -> bool:
    axis = kwargs.get("dim", args[1] if len(args) > 1 else None)
    return isinstance(axis, int) and axis in (-1, out.dim() - 1) and out.dim() in (3, 4)


def _weights(  # noqa: PLR0917 (as PyTorch has them)
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0, is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False,
) -> torch.Tensor:  # fmt: skip
    """The weights that the fused function does not return; arguments as there."""
    if enable_gqa:
        key = key.repeat_interleave(query.shape[-3] // key.shape[-3], -3)
    scores = query @ key.transpose(-2, -1) * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    if is_causal:
        later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
        scores = scores.masked_fill(later, -torch.inf)
    if attn_mask is not None:
        scores = scores.masked_fill(~attn_mask, -torch.inf) if attn_mask.dtype is torch.bool else scores + attn_mask
    return scores.softmax(-1)
