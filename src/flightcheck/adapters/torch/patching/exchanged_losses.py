"""The patch of a loss function that another one replaces, or that is called in another way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

import torch
import torch.nn.functional as F

from flightcheck.adapters.torch.patching.boundaries import Arguments, Boundaries
from flightcheck.adapters.torch.patching.losses import (
    REGRESSION,
    arguments_of,
    both,
    gathered,
    negate,
    probable,
    unreduced,
)
from flightcheck.frozen import frozen
from flightcheck.patch import Patch

_REDUCTIONS: Final = ("mean", "sum")
_OF_LABELS: Final = {
    "bce_with_logits": ("binary_cross_entropy",), "several": ("cross_entropy", "multilabel_margin_loss"),
}  # fmt: skip
"""Patches after which each output is a yes or no, and the losses that they replace."""
_OF_LOGARITHMS: Final = {"kl_div", "ctc_loss"}
_FLATTENING: Final = {"view", "reshape"}
_OF_THEIR_OWN: Final[dict[str, Callable[[Boundaries, Patch], None]]] = {
    "negate": negate, "both": both, "none": unreduced, "all": gathered, "softmax": probable, "sigmoid": probable,
}  # fmt: skip
"""Rules that act elsewhere than on the call of a loss function."""


@frozen
class _Call:
    """A call of a loss function."""

    b: Boundaries
    name: str
    prediction: torch.Tensor
    target: torch.Tensor
    given: Arguments
    again: Callable[..., Arguments]


_Given: TypeAlias = Callable[[_Call], "Arguments | None"]
"""What the same function is called with; None where the rule does not fit the call."""
_Instead: TypeAlias = Callable[[_Call], "Callable[[], torch.Tensor] | None"]
"""What computes the loss in its place."""


def swap(b: Boundaries, patch: Patch) -> None:
    """``loss:cross_entropy`` where logits went into another loss of classes; ``loss:mean``, ``loss:sum``.

    ``loss:transpose``: the last axis holds the classes, or a view to rows cut their axis up. ``loss:mse_loss`` for
    numbers in any other loss. ``loss:log_softmax``: log-probabilities for a divergence or a CTC loss; ``loss:several``:
    each output is a yes or no of its own; ``loss:soft_margin``: scores instead of distances; ``loss:rate``: a Poisson
    loss takes its input for the rate. For
    ``loss:none:train.py:31``, ``loss:all:train.py:31`` and ``loss:negate`` see `unreduced`, `gathered` and `negate`;
    ``loss:both``: `both`; ``loss:softmax:train.py:31``: `probable`.
    """
    rule = patch.value.partition(":")[0]
    if rule in _OF_THEIR_OWN:
        _OF_THEIR_OWN[rule](b, patch)
        return
    if rule == "transpose":
        _keep_rows_whole(b, patch)

    def around(call: Any, name: str, given: Arguments) -> Any:
        prediction, target, again = arguments_of(given)
        if not (isinstance(prediction, torch.Tensor) and isinstance(target, torch.Tensor)):
            return call(*given[0], **given[1])
        this = _Call(b, name, prediction, target, given, again)
        if rule in _GIVEN and (changed := _GIVEN[rule](this)) is not None:
            b.acted(patch)
            return call(*changed[0], **changed[1])
        if rule in _INSTEAD and (instead := _INSTEAD[rule](this)) is not None:
            b.acted(patch)
            with b.unwatched():  # one call of a loss by the script is one call
                return instead()
        return call(*given[0], **given[1])

    b.at_loss(around)


# -- the same function, called in another way -------------------------------------------------------------------------


def _reduced(reduction: str) -> _Given:
    def changed(call: _Call) -> Arguments | None:
        whole = len(call.given[0]) <= 2
        return call.again(call.prediction, call.target, reduction=reduction) if whole else None

    return changed


def _of_log_probabilities(call: _Call) -> Arguments | None:
    fits = call.name in _OF_LOGARITHMS and not call.given[1].get("log_target")
    return call.again(_log_probabilities(call.prediction), call.target) if fits else None


def _of_the_rate(call: _Call) -> Arguments | None:
    if call.name != "poisson_nll_loss":
        return None
    args, kwargs = call.given
    options = dict(zip(("log_input", "full"), args[2:])) | kwargs | {"log_input": False}
    return (call.prediction, call.target), {k: v for k, v in options.items() if k not in ("input", "target")}


def _with_classes_moved(call: _Call) -> Arguments | None:
    fits = call.name == "cross_entropy" and call.prediction.dim() > 2
    return call.again(call.prediction.movedim(-1, 1), call.target) if fits else None


# -- another function -------------------------------------------------------------------------------------------------


def _cross_entropy(call: _Call) -> Callable[[], torch.Tensor] | None:
    classes = _class_ids(call.name, call.prediction, call.target)
    if classes is None:
        return None
    given = call.given[1].get("reduction", "mean")
    reduction = given if given in _REDUCTIONS else "mean"
    if call.name == "nll_loss":  # the others have errors of another kind
        call.b.loss_swapped("cross_entropy", call.prediction, classes)
    return lambda: F.cross_entropy(call.prediction, classes, reduction=reduction)


def _soft_margin(call: _Call) -> Callable[[], torch.Tensor] | None:
    if call.name != "hinge_embedding_loss":
        return None
    return lambda: F.soft_margin_loss(call.prediction, call.target.to(call.prediction.dtype))


def _squared(call: _Call) -> Callable[[], torch.Tensor] | None:
    if not (call.target.is_floating_point() and call.prediction.numel() == call.target.numel()):
        return None
    return lambda: F.mse_loss(call.prediction.reshape(call.target.shape), call.target)


def _yes_or_no(rule: str) -> _Instead:
    def instead(call: _Call) -> Callable[[], torch.Tensor] | None:
        alike = rule != "several" or call.prediction.shape == call.target.shape
        if call.name not in _OF_LABELS[rule] or not alike:
            return None
        call.b.loss_swapped("binary_cross_entropy_with_logits", call.prediction, call.target)
        labels = call.target.to(call.prediction.dtype)
        return lambda: F.binary_cross_entropy_with_logits(call.prediction, labels)

    return instead


_GIVEN: Final[dict[str, _Given]] = {
    **{reduction: _reduced(reduction) for reduction in _REDUCTIONS},
    "log_softmax": _of_log_probabilities,
    "rate": _of_the_rate,
    "transpose": _with_classes_moved,
}
_INSTEAD: Final[dict[str, _Instead]] = {
    "cross_entropy": _cross_entropy,
    "soft_margin": _soft_margin,
    "mse_loss": _squared,
    **{rule: _yes_or_no(rule) for rule in _OF_LABELS},
}


def _keep_rows_whole(b: Boundaries, patch: Patch) -> None:
    """A view to rows that would cut the axis of the classes up makes rows of positions."""

    def operation(function: Any, name: str, given: Arguments) -> Any:
        if name in _FLATTENING:
            with b.unwatched():
                result = function(*given[0], **given[1])
            if _cuts_classes(before := given[0][0], result):
                b.acted(patch)
                return before.movedim(1, -1).reshape(result.shape)
        return function(*given[0], **given[1])

    b.at_operations(operation)


def _log_probabilities(prediction: torch.Tensor) -> torch.Tensor:
    """Of probabilities over the last axis, or of scores."""
    sums = prediction.detach().sum(-1)
    if float(prediction.detach().min()) >= 0 and bool(torch.allclose(sums, torch.ones_like(sums), atol=1e-3)):
        return prediction.clamp_min(torch.finfo(prediction.dtype).tiny).log()
    return prediction.log_softmax(-1)


def _cuts_classes(before: Any, result: Any) -> bool:
    """A view to rows as long as the axis of the classes, which lies elsewhere."""
    if not (isinstance(before, torch.Tensor) and isinstance(result, torch.Tensor)) or result.grad_fn is None:
        return False
    return before.dim() > 2 and result.dim() == 2 and result.shape[1] == before.shape[1]


def _class_ids(name: str, prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor | None:
    """The classes that a target means, if the prediction has one column per class."""
    if prediction.dim() < 2 or prediction.shape[1] < 2:
        return None
    if name == "nll_loss":
        return target
    if name in REGRESSION or name.startswith("binary_cross_entropy"):
        if target.shape == prediction.shape and bool((target.sum(1) == 1).all()):
            return target.argmax(1)
        if target.dim() == 1 and not target.is_floating_point():
            return target
    return None
