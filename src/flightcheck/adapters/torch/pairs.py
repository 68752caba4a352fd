"""Losses of pairs and triplets: their margin, and whether the model chose whom they compare."""

from __future__ import annotations

from typing import Any, Final

import torch

from flightcheck.adapters.torch.graph import nodes_of

_ARGUMENTS: Final = {
    "triplet_margin_loss": ("anchor", "positive", "negative", "margin"),
    "cosine_embedding_loss": ("input1", "input2", "target", "margin"),
    "hinge_embedding_loss": ("input", "target", "margin"),
}
_PICKING: Final = ("Index", "Gather", "Take", "Where", "Masked", "Sort", "Topk", "Max", "Min")
"""Beginnings of the names of nodes that pick values by numbers which may depend on the model."""
_NEAREST: Final = 24
"""Nodes between an embedding and the module that returned it."""


def pair_settings(function: str, args: tuple[Any, ...], kwargs: dict[str, Any], owners: Any) -> dict[str, Any]:
    """``margin`` and, of triplets, ``as_given``; nothing of functions that are given no pairs, nor of an unusual call.

    Args:
        function: name of the loss function.
        args: of `triplet_margin_loss` anchor, positive and negative of shape ``(N, D)``, then the margin.
        kwargs: the same by name.
        owners: node → module that returned it.
    """
    if function not in _ARGUMENTS:
        return {}
    given = dict(zip(_ARGUMENTS[function], args)) | kwargs
    settings: dict[str, Any] = {}
    if isinstance(given.get("margin"), int | float):
        settings["margin"] = float(given["margin"])
    if function == "triplet_margin_loss":
        settings["as_given"] = all(_is_as_given(given.get(name), owners) for name in ("positive", "negative"))
    return settings


def _is_as_given(tensor: Any, owners: Any) -> bool:
    if not isinstance(tensor, torch.Tensor) or tensor.grad_fn is None:
        return False
    for node in nodes_of(tensor.grad_fn, _NEAREST):
        if node in owners:
            return True
        if node.name().startswith(_PICKING):
            return False
    return False
