"""What kind of thing a module or parameter is, in the vocabulary of the checks."""

from __future__ import annotations

import inspect
from typing import Any, Final

import torch
from torch import nn

_KINDS: Final[tuple[tuple[tuple[type, ...], str], ...]] = (
    ((nn.modules.batchnorm._BatchNorm,), "batchnorm"),
    ((nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.modules.instancenorm._InstanceNorm, nn.LocalResponseNorm), "norm"),
    ((nn.modules.dropout._DropoutNd,), "dropout"),
    ((nn.Linear, nn.Bilinear), "linear"),
    ((nn.modules.conv._ConvNd,), "conv"),
    ((nn.RNNBase, nn.RNNCellBase), "rnn"),
    ((nn.Embedding, nn.EmbeddingBag), "embedding"),
    ((nn.MultiheadAttention,), "attention"),
    ((nn.Softmax, nn.LogSoftmax, nn.Softmax2d, nn.Softmin), "softmax"),
    ((nn.modules.loss._Loss,), "loss"),
)
_SETTINGS: Final = (
    "in_features", "out_features", "in_channels", "out_channels", "kernel_size", "stride", "padding", "bias", "p",
    "inplace", "dim", "momentum", "eps", "affine", "track_running_stats", "num_features", "normalized_shape",
    "num_embeddings", "embedding_dim", "padding_idx", "hidden_size", "input_size", "num_layers", "batch_first",
    "bidirectional", "negative_slope", "num_heads", "embed_dim", "dropout",
    "num_groups", "num_channels",
)  # fmt: skip
ONE_SIDED: Final = {"ReLU", "ReLU6", "Threshold"}
"""Activations whose output and gradient are exactly 0 on one side: a unit there can die."""
SATURATING: Final = {"Sigmoid", "Tanh", "Hardsigmoid", "Hardtanh", "LogSigmoid", "Softsign"}


def module_kind(module: nn.Module) -> str:
    """linear, conv, norm, batchnorm, dropout, activation, softmax, rnn, attention, embedding, loss, container, other"""
    for types, kind in _KINDS:
        if isinstance(module, types):
            return kind
    if type(module).__module__ == "torch.nn.modules.activation":
        return "activation"
    return "container" if next(module.children(), None) is not None else "other"


def reads_mode(module_class: type[nn.Module]) -> bool:
    """The class is not PyTorch's, and its ``forward`` asks for the mode (``self.training``)."""
    forward = inspect.getattr_static(module_class, "forward", None)  # of a scripted module: no function, and costly
    code = getattr(inspect.unwrap(forward), "__code__", None) if inspect.isfunction(forward) else None
    return "training" in getattr(code, "co_names", ()) and not module_class.__module__.startswith("torch.nn")


def module_settings(module: nn.Module) -> dict[str, Any]:
    """The scalar options of a module of PyTorch (not of the user's own, whose attributes mean anything)."""
    if not type(module).__module__.startswith("torch.nn"):
        return {"reads_mode": True} if reads_mode(type(module)) else {}
    settings: dict[str, Any] = {}
    for name in _SETTINGS:
        value = getattr(module, name, None)
        if isinstance(value, torch.Tensor):
            settings[name] = True
        elif isinstance(value, (bool, int, float, str)):
            settings[name] = value
        elif isinstance(value, tuple) and all(isinstance(v, (int, float)) for v in value):
            settings[name] = list(value)
    return settings


def parameter_role(parameter: torch.Tensor, name: str, owner: nn.Module | None) -> str:
    """matrix, bias, gain, embedding or scalar."""
    if isinstance(owner, (nn.Embedding, nn.EmbeddingBag)):
        return "embedding"
    if name.endswith("bias") and parameter.dim() <= 1:
        return "bias"
    if parameter.dim() == 0 or parameter.numel() == 1:
        return "scalar"
    if parameter.dim() >= 2:
        return "matrix"
    kind = module_kind(owner) if owner is not None else ""
    if kind in ("norm", "batchnorm") and name.endswith("weight"):
        return "gain"
    return "bias"
