"""With which options a loss function was called."""

from __future__ import annotations

import inspect
from functools import lru_cache
from typing import Any, Final

import torch
from torch.nn import functional

from flightcheck.adapters.torch.pairs import pair_settings
from flightcheck.adapters.torch.watch import is_plain_tensor

WITH_CLASSES: Final = {"cross_entropy", "nll_loss", "kl_div", "multi_margin_loss"}
MODULES: Final = {
    "cross_entropy": "CrossEntropyLoss", "nll_loss": "NLLLoss", "binary_cross_entropy": "BCELoss",
    "binary_cross_entropy_with_logits": "BCEWithLogitsLoss",
}  # fmt: skip
"""Functions of losses of classes, and the modules that call them."""
_OPTIONS: Final = ("reduction", "ignore_index", "label_smoothing", "delta", "beta", "log_target", "log_input", "full")
_MOST_WEIGHTS: Final = 100
"""Classes whose weights are written down."""


def loss_settings(function: str, args: tuple[Any, ...], kwargs: dict[str, Any], owners: Any) -> dict[str, Any]:
    """The options that a call gives, by name: of PyTorch's own signature, with what stands for the weights of classes.

    Args:
        function: name of a function of `torch.nn.functional`.
        args: as the script gave them.
        kwargs: as the script gave them.
        owners: node → module that returned it.
    """
    given = dict(zip(_names(function), args)) | kwargs
    settings = {k: given[k] for k in _OPTIONS if isinstance(given.get(k), (bool, int, float, str))}
    old = [given.get(name) if isinstance(given.get(name), bool) else None for name in ("size_average", "reduce")]
    if any(value is not None for value in old):  # deprecated, still obeyed, and stronger than `reduction`
        settings["reduction"] = _reduction(*old)
    settings |= pair_settings(function, args, kwargs, owners)
    settings["weighted"] = any(isinstance(given.get(name), torch.Tensor) for name in ("weight", "pos_weight"))
    of_classes = class_weights(function, args, kwargs)
    if function in WITH_CLASSES or given.get("pos_weight") is not None:
        settings["weight_ratio"] = _ratio(of_classes)
        settings["class_weights"] = _class_weights(of_classes)
    return settings


def class_weights(function: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What a call gives as the weights of classes: ``pos_weight``, else ``weight``, by name or position."""
    given = dict(zip(_names(function), args)) | kwargs
    return given.get("weight") if given.get("pos_weight") is None else given["pos_weight"]


@lru_cache(maxsize=64)
def _names(function: str) -> tuple[str, ...]:
    try:
        return tuple(inspect.signature(getattr(functional, function)).parameters)
    except (AttributeError, TypeError, ValueError):
        return ()


def _reduction(size_average: bool | None, reduce: bool | None) -> str:
    """As ``torch.nn._reduction.legacy_get_string``: both are True unless said otherwise."""
    if reduce is False:
        return "none"
    return "sum" if size_average is False else "mean"


def _ratio(weight: Any) -> float:
    """Largest over smallest class weight; of a ``pos_weight``, how far it is from 1."""
    if not is_plain_tensor(weight) or not weight.numel() or not bool((weight > 0).all()):
        return 1.0
    if weight.numel() == 1:
        return max(float(weight), 1 / float(weight))
    return float(weight.max() / weight.min())


def _class_weights(weight: Any) -> list[float]:
    """The weights of at most 100 classes; of one ``pos_weight`` those of the negative and of the positive class."""
    if not is_plain_tensor(weight) or weight.dim() > 1 or not 0 < weight.numel() <= _MOST_WEIGHTS:
        return []
    values = [float(w) for w in weight.detach().reshape(-1)]
    return [1.0, *values] if len(values) == 1 else values
