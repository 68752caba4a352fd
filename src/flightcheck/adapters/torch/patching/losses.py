"""Patches of the loss call: targets, another function, another reduction."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch.optim import Optimizer

from flightcheck.adapters.torch.graph import behind_views
from flightcheck.adapters.torch.likelihoods import CUTS, PICKS
from flightcheck.adapters.torch.logits import LOG_P, part_of_binary
from flightcheck.adapters.torch.patching.boundaries import Arguments, Boundaries
from flightcheck.patch import Patch

REGRESSION: Final = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
_REDUCTIONS: Final = ("mean", "sum")
_OF_LABELS: Final = {
    "bce_with_logits": ("binary_cross_entropy",), "several": ("cross_entropy", "multilabel_margin_loss"),
}  # fmt: skip
"""Patches after which each output is a yes or no, and the losses that they replace."""
_OF_LOGARITHMS: Final = {"kl_div", "ctc_loss"}
_FLATTENING: Final = {"view", "reshape"}
_PRODUCTS: Final = {"mul", "__mul__", "__rmul__", "multiply"}
_ACTIVATIONS: Final = {"sigmoid", "relu", "relu_", "leaky_relu", "elu", "gelu", "silu", "tanh"}
_LAST: Final = 8
"""Activations whose scores are kept until backward."""
_SMALLEST: Final = 1e-7
"""The logarithm of less is no number to learn from."""


def arguments_of(given: Arguments) -> tuple[Any, Any, Callable[..., Arguments]]:
    """Prediction, target, and a function that makes the arguments again with others in their place."""
    args, kwargs = given
    prediction = args[0] if args else kwargs.get("input")
    target = args[1] if len(args) > 1 else kwargs.get("target")

    def again(prediction: Any, target: Any, **changes: Any) -> Arguments:
        rest = {k: v for k, v in kwargs.items() if k not in ("input", "target")}
        return (prediction, target, *args[2:]), {**rest, **changes}

    return prediction, target, again


def targets(b: Boundaries, patch: Patch) -> None:
    """``targets:permute`` or ``targets:standardize`` at each loss call; others in a module of their own."""
    scale: list[tuple[torch.Tensor, torch.Tensor]] = []

    def change(name: str, target: torch.Tensor) -> torch.Tensor | None:
        if patch.value == "permute":
            n = len(target) if target.dim() else 0
            if n < 2:
                return None
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(23)
                return target[torch.roll(torch.arange(n), int(torch.randint(1, n, ())))]
        if name not in REGRESSION or not target.is_floating_point():
            return None
        if not scale:
            std = target.std(correction=0)
            scale.append((target.mean().clone(), std if float(std) > 0 else torch.ones_like(std)))
        return (target - scale[0][0]) / scale[0][1]

    def around(call: Any, name: str, given: Arguments) -> Any:
        prediction, target, again = arguments_of(given)
        if isinstance(target, torch.Tensor) and isinstance(prediction, torch.Tensor):
            changed = change(name, target)
            if changed is not None:
                b.acted(patch)
                given = again(prediction, changed)
        return call(*given[0], **given[1])

    b.at_loss(around)


def negate(b: Boundaries, patch: Patch) -> None:
    """Steps go down where they went up: the gradients have the other sign during a step."""

    def turn(optimizer: Optimizer) -> None:
        for group in optimizer.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.grad.neg_()
        b.acted(patch)

    b.around_step(turn, turn)


def unreduced(b: Boundaries, patch: Patch) -> None:
    """``loss:none:train.py:31``: the loss function that is called at this line returns one value for each element."""
    place = patch.value.removeprefix("none:")

    def around(call: Any, name: str, given: Arguments) -> Any:
        if not b.is_at(place):
            return call(*given[0], **given[1])
        b.acted(patch)
        return call(*given[0], **{**given[1], "reduction": "none"})

    b.at_loss(around)


def gathered(b: Boundaries, patch: Patch) -> None:
    """``loss:all:train.py:31``: a loss of this line holds those that it made before, since the last backward.

    It is their mean, as far as the last round tells how many there are.
    """
    place = patch.value.removeprefix("all:")
    sums: list[torch.Tensor] = []
    counts = [1]

    def around(call: Any, name: str, given: Arguments) -> Any:
        result = call(*given[0], **given[1])
        if not b.is_at(place) or not isinstance(result, torch.Tensor) or not result.requires_grad:
            return result
        with b.unwatched():
            sums.append(sums[-1] + result if sums else result)
            if len(sums) > 1:
                b.acted(patch)
            return sums[-1] / counts[0]

    def done() -> None:
        counts[0] = max(1, len(sums))
        sums.clear()

    b.at_loss(around)
    b.after_backward(done)


def both(b: Boundaries, patch: Patch) -> None:
    """``loss:both``: ``target * log(p)`` holds the other part of a binary cross-entropy, too."""

    def operation(function: Any, name: str, given: Arguments) -> Any:
        result = function(*given[0], **given[1])
        if name not in _PRODUCTS or not isinstance(result, torch.Tensor) or not result.requires_grad:
            return result
        for log_p, target in (given[0], given[0][::-1]):
            if _is_log_p(log_p) and isinstance(target, torch.Tensor) and target.shape == log_p.shape:
                b.acted(patch)
                return result + (1 - target) * (1 - log_p.exp()).clamp_min(_SMALLEST).log()
        return result

    b.at_operations(operation)


def probable(b: Boundaries, patch: Patch) -> None:
    """``loss:softmax:train.py:31``, ``loss:sigmoid:train.py:31``: what this line picks from, or cuts to between 0 and
    1, is made probabilities: of the scores that an activation was given, where it was one of the last.
    """
    rule, _, place = patch.value.partition(":")
    activated: deque[tuple[Any, torch.Tensor]] = deque(maxlen=_LAST)

    def operation(function: Any, name: str, given: Arguments) -> Any:
        args, kwargs = given
        first = args[0] if args else None
        if not isinstance(first, torch.Tensor) or not first.requires_grad:
            return function(*args, **kwargs)
        if name in _ACTIVATIONS:
            result = function(*args, **kwargs)
            activated.append((result.grad_fn, first))
            return result
        if name not in PICKS | CUTS or not b.is_at(place):
            return function(*args, **kwargs)
        b.acted(patch)
        made = behind_views(first.grad_fn)
        scores = next((x.reshape(first.shape) for node, x in activated if node is made), first)
        return function(scores.softmax(-1) if rule == "softmax" else scores.sigmoid(), *args[1:], **kwargs)

    b.at_operations(operation)
    b.after_backward(activated.clear)


def _is_log_p(value: Any) -> bool:
    node = value.grad_fn if isinstance(value, torch.Tensor) and value.requires_grad else None
    return node is not None and part_of_binary(behind_views(node)) == LOG_P


def swap(b: Boundaries, patch: Patch) -> None:
    """``loss:cross_entropy`` where logits went into another loss of classes; ``loss:mean``, ``loss:sum``.

    ``loss:transpose``: the last axis holds the classes, or a view to rows cut their axis up. ``loss:mse_loss`` for
    numbers in any other loss. ``loss:log_softmax``: log-probabilities for a divergence or a CTC loss; ``loss:several``:
    each output is a yes or no of its own; ``loss:soft_margin``: scores instead of distances; ``loss:rate``: a Poisson
    loss takes its input for the rate. For
    ``loss:none:train.py:31``, ``loss:all:train.py:31`` and ``loss:negate`` see `unreduced`, `gathered` and `negate`;
    ``loss:both``: `both`; ``loss:softmax:train.py:31``: `probable`.
    """
    if patch.value in ("negate", "both"):
        (negate if patch.value == "negate" else both)(b, patch)
        return
    for rule, installer in (("none:", unreduced), ("all:", gathered), ("softmax:", probable), ("sigmoid:", probable)):
        if patch.value.startswith(rule):
            installer(b, patch)
            return

    def operation(function: Any, name: str, given: Arguments) -> Any:
        if name in _FLATTENING:
            with b.unwatched():
                result = function(*given[0], **given[1])
            if _cuts_classes(before := given[0][0], result):
                b.acted(patch)
                return before.movedim(1, -1).reshape(result.shape)
        return function(*given[0], **given[1])

    if patch.value == "transpose":
        b.at_operations(operation)

    def around(call: Any, name: str, given: Arguments) -> Any:
        prediction, target, again = arguments_of(given)
        if not (isinstance(prediction, torch.Tensor) and isinstance(target, torch.Tensor)):
            return call(*given[0], **given[1])
        if patch.value in _REDUCTIONS:
            if len(given[0]) <= 2:
                b.acted(patch)
                given = again(prediction, target, reduction=patch.value)
            return call(*given[0], **given[1])
        if patch.value == "cross_entropy" and (classes := _class_ids(name, prediction, target)) is not None:
            b.acted(patch)
            reduction = given[1].get("reduction", "mean")
            if name == "nll_loss":  # the others have errors of another kind
                b.loss_swapped("cross_entropy", prediction, classes)
            with b.unwatched():  # one call of a loss by the script is one call
                return F.cross_entropy(prediction, classes, reduction=reduction if reduction in _REDUCTIONS else "mean")
        if patch.value == "log_softmax" and name in _OF_LOGARITHMS and not given[1].get("log_target"):
            b.acted(patch)
            given = again(_log_probabilities(prediction), target)
        if patch.value == "rate" and name == "poisson_nll_loss":
            b.acted(patch)
            options = dict(zip(("log_input", "full"), given[0][2:])) | given[1] | {"log_input": False}
            options = {k: v for k, v in options.items() if k not in ("input", "target")}
            return call(prediction, target, **options)
        if patch.value == "soft_margin" and name == "hinge_embedding_loss":
            b.acted(patch)
            with b.unwatched():
                return F.soft_margin_loss(prediction, target.to(prediction.dtype))
        if patch.value == "transpose" and name == "cross_entropy" and prediction.dim() > 2:
            b.acted(patch)
            given = again(prediction.movedim(-1, 1), target)
        if patch.value == "mse_loss" and target.is_floating_point() and prediction.numel() == target.numel():
            b.acted(patch)
            with b.unwatched():
                return F.mse_loss(prediction.reshape(target.shape), target)
        if name in _OF_LABELS.get(patch.value, ()) and (patch.value != "several" or prediction.shape == target.shape):
            b.acted(patch)
            b.loss_swapped("binary_cross_entropy_with_logits", prediction, target)
            with b.unwatched():
                return F.binary_cross_entropy_with_logits(prediction, target.to(prediction.dtype))
        return call(*given[0], **given[1])

    b.at_loss(around)


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
