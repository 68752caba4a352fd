"""Patches of the loss call: targets, another function, another reduction."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final

import torch
from torch.optim import Optimizer

from flightcheck.adapters.torch.graph import behind_views
from flightcheck.adapters.torch.likelihoods import CUTS, PICKS
from flightcheck.adapters.torch.logits import LOG_P, part_of_binary
from flightcheck.adapters.torch.patching.boundaries import Arguments, Boundaries
from flightcheck.patch import Patch

REGRESSION: Final = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
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
