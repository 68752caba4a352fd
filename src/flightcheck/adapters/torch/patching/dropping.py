"""The patch that leaves out the last activation before a loss, or before a softmax that stands in the place of one."""

from __future__ import annotations

from typing import Any, Final

import torch
from torch.utils.weak import WeakTensorKeyDictionary

from flightcheck.adapters.torch.graph import behind_views
from flightcheck.adapters.torch.patching.boundaries import Arguments, Boundaries
from flightcheck.adapters.torch.patching.losses import arguments_of
from flightcheck.patch import Patch

_ACTIVATIONS: Final = {
    "softmax": ("softmax",), "sigmoid": ("sigmoid", "sigmoid_"), "tanh": ("tanh", "tanh_"),
    "relu": ("relu", "relu_"), "log_softmax": ("log_softmax",),
}  # fmt: skip
_SELECTIONS: Final = {"__getitem__", "index_select", "masked_select", "gather", "take_along_dim"}
_NORMALIZATIONS: Final = {"softmax", "log_softmax", "gumbel_softmax"}
_OF_SCORES: Final = {"softmax", "log_softmax", "sigmoid"}
_DIFFERENCES: Final = {"sub", "__sub__", "subtract"}


def drop(b: Boundaries, patch: Patch) -> None:
    """The loss is given what the last activation (``softmax``, ``sigmoid`` …) was given, in the same shape.

    So is a softmax or its logarithm that is applied to what a softmax made, as distributions do to their logits, and
    any softmax or sigmoid of what another activation (``relu``) made.
    """
    names = _ACTIVATIONS.get(patch.value.lower())
    if names is None:
        names = tuple(n for group in _ACTIVATIONS.values() for n in group)
    dropped = _Dropped()

    def operation(function: Any, name: str, given: Arguments) -> Any:
        again = dropped.normalized(function, name, given) if "softmax" in names else None
        again = dropped.scored(function, name, given) if again is None and name not in names else again
        if again is not None:
            b.acted(patch)
            return again
        result = function(*given[0], **given[1])
        in_place = name.endswith("_") and not name.endswith("__")
        if not isinstance(result, torch.Tensor) or not given[0] or in_place:
            return result
        if name in names:
            dropped.add(result, given[0][0])
        elif name in _SELECTIONS and result.grad_fn is not None:
            logits = dropped.logits_of(given[0][0])
            if logits is not None and logits.shape == given[0][0].shape:  # some rows of the probabilities
                dropped.add(result, function(logits, *given[0][1:], **given[1]))
        return result

    def around(call: Any, name: str, given: Arguments) -> Any:
        prediction, target, again = arguments_of(given)
        logits = dropped.logits_of(prediction) if getattr(prediction, "grad_fn", None) is not None else None
        if logits is not None and logits.numel() == prediction.numel():
            b.acted(patch)
            given = again(logits.reshape(prediction.shape), target)
        try:
            return call(*given[0], **given[1])
        finally:
            dropped.forget()

    b.at_operations(operation)
    b.at_loss(around)
    b.after_backward(dropped.forget)


class _Dropped:
    """What activations were given, by what they made of it."""

    def __init__(self) -> None:
        self._by_node: dict[Any, torch.Tensor] = {}
        self._without_graph = WeakTensorKeyDictionary()
        """Results without gradients: an agent acts with the policy that it learns."""
        self._normalizers = WeakTensorKeyDictionary()
        """Logarithms of sums, each with the logits whose they are."""

    def add(self, result: torch.Tensor, given: Any) -> None:
        if result.grad_fn is not None:
            self._by_node[result.grad_fn] = given
        else:
            self._without_graph[result] = given

    def forget(self) -> None:
        self._by_node.clear()

    def logits_of(self, tensor: Any) -> torch.Tensor | None:
        """What the activation that made these values was given; None if none of ours made them."""
        if not isinstance(tensor, torch.Tensor):
            return None
        node = tensor.grad_fn
        if node is None:
            return self._without_graph.get(tensor)  # type: ignore[no-any-return, no-untyped-call]
        return self._by_node.get(node, self._by_node.get(behind_views(node)))

    def scored(self, function: Any, name: str, given: Arguments) -> Any:
        """The same softmax or sigmoid of what the activation was given; None if this is not one behind it."""
        args, kwargs = given
        first = args[0] if args else None
        if name not in _OF_SCORES or not isinstance(first, torch.Tensor):
            return None
        logits = self.logits_of(first)
        return function(logits, *args[1:], **kwargs) if logits is not None and logits.shape == first.shape else None

    def normalized(self, function: Any, name: str, given: Arguments) -> Any:
        """The same normalization of what the activation was given; None if this is not one of probabilities."""
        args, kwargs = given
        first = args[0] if args else None
        if name in _DIFFERENCES and len(args) > 1 and isinstance(args[1], torch.Tensor):
            logits = self._normalizers.get(args[1])  # type: ignore[no-untyped-call]
            return function(logits, args[1]) if logits is not None and self.logits_of(first) is not None else None
        if name not in _NORMALIZATIONS and name != "logsumexp":
            return None
        logits = self.logits_of(first)
        if logits is None or not isinstance(first, torch.Tensor) or logits.shape != first.shape:
            return None
        result = function(logits, *args[1:], **kwargs)
        if name == "logsumexp":
            self._normalizers[result] = logits
        return result
