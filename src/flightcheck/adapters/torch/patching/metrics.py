"""Patches of a metric: the comparison at one line counts what its number is called."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from flightcheck.adapters.torch.batches import first_tensor
from flightcheck.adapters.torch.metrics import CHOICES, COMPARISONS, DIFFERENCES
from flightcheck.adapters.torch.neighbours import RANKINGS
from flightcheck.adapters.torch.patching.boundaries import Arguments, Boundaries
from flightcheck.adapters.torch.patching.losses import arguments_of
from flightcheck.patch import Patch

_WAYS: Final = ("align", "cut", "classes", "sign", "once", "scale", "exchange", "nearest")


def metric(b: Boundaries, patch: Patch) -> None:
    """``metric:align:train.py:31`` compares element by element, ``metric:cut:train.py:31`` cuts logits at 0; see
    `flightcheck.patch.KINDS`.

    Raises:
        ValueError: the value is none of this form.
    """
    how, file, line = [*patch.value.split(":"), "", ""][:3]
    how, _, numbers = how.partition("=")
    factor, offset = (float(n) for n in numbers.split(",")) if numbers else (1.0, 0.0)
    if how not in _WAYS or not line.isdigit():
        raise ValueError(f"metric: a value such as align:train.py:31 wanted, but got {patch.value!r}")

    def operation(function: Any, name: str, given: Arguments) -> Any:
        args, kwargs = given
        if args and isinstance(args[0], torch.Tensor) and _concerns(how, name) and b.is_at(f"{file}:{line}"):
            seen = b.observer.operations.comparisons
            if how == "scale":
                sides = [a * factor + offset if seen.is_of_model(a) else a for a in args[:2]]
                found = function(*sides, *args[2:], **kwargs)
            elif how == "nearest":
                found = _smallest(function(-args[0], *args[1:], **kwargs))
            else:
                found = _instead(how, function, name, args, kept[0] if kept else None)
            if found is not None:
                b.acted(patch)
                return found
        return function(*args, **kwargs)

    def loss(call: Any, name: str, given: Arguments) -> Any:
        prediction, target, again = arguments_of(given)
        same: Any = None
        if isinstance(prediction, torch.Tensor) and not torch.is_grad_enabled() and b.is_at(f"{file}:{line}"):
            same = (prediction * factor + offset, target) if how == "scale" else _aligned(prediction, target)
        if same is not None:
            b.acted(patch)
            given = again(*same)
        return call(*given[0], **given[1])

    def root(call: Any, module: torch.nn.Module, given: Arguments) -> Any:
        result = call(*given[0], **given[1])
        kept[:] = [output] if (output := first_tensor(result)) is not None else []
        return result

    def scored(name: str, at: Any, first: Any, second: Any) -> tuple[Any, Any]:
        if at is None or (at.line, Path(at.file).name) != (int(line), file):
            return first, second
        b.acted(patch)
        if how == "exchange":
            return second, first
        return tuple(np.asarray(x) * factor + offset if scores.is_made(x) else x for x in (first, second))  # type: ignore[return-value]

    scores = b.observer.operations.comparisons.scores
    if how in ("scale", "exchange"):
        scores.change = scored
    kept: list[torch.Tensor] = []  # the last output, which the script may have dropped
    if how == "classes":
        b.at_root(root)
    b.at_operations(operation)
    if how in ("align", "scale"):
        b.at_loss(loss)


def _concerns(how: str, name: str) -> bool:
    if how == "exchange":
        return False
    if how == "nearest":
        return name in RANKINGS and not torch.is_grad_enabled()
    if how == "once":
        return "sigmoid" in name or name == "special_expit"
    if how == "scale":
        return name in DIFFERENCES and not torch.is_grad_enabled()
    return name in CHOICES if how == "sign" else name in COMPARISONS or (how == "align" and name in DIFFERENCES)


def _smallest(ranked: Any) -> Any:
    """What a ranking of the negative values tells of the values."""
    if isinstance(ranked, tuple):
        return type(ranked)((-ranked[0], *ranked[1:]))
    return ranked


def _instead(how: str, function: Any, name: str, args: Any, output: torch.Tensor | None) -> Any:
    """What is computed in the place of the call; None where the patch has nothing to change."""
    left, right = args[0], args[1] if len(args) > 1 else None
    if how == "once":
        return left
    if how == "sign":
        return _by_sign(left, right, name)
    if how == "cut" and name == "round":
        return (left > 0).to(left.dtype)
    changed = _aligned(left, right) if how == "align" else _chosen(left, right, output)
    if how == "cut":
        changed = _cut_at_zero(left, right)
    return function(*changed, *args[2:]) if changed is not None else None


def _aligned(left: torch.Tensor, right: Any = None) -> tuple[Any, Any] | None:
    """Both in the shape of the one with fewer axes."""
    if not isinstance(right, torch.Tensor) or left.shape == right.shape or left.numel() != right.numel():
        return None
    shape = min(left.shape, right.shape, key=len)
    return left.reshape(shape), right.reshape(shape)


def _cut_at_zero(left: torch.Tensor, right: Any = None) -> tuple[Any, Any] | None:
    return (left, 0.0) if isinstance(right, float) and right else None


def _chosen(left: torch.Tensor, right: Any, output: torch.Tensor | None) -> tuple[Any, Any] | None:
    """The classes that the output chooses in the place of the side that holds no whole numbers."""
    if output is None or not isinstance(right, torch.Tensor):
        return None
    if output.numel() == left.numel():
        classes = _yes(output).reshape(left.shape)
    elif output.dim() > 1 and output.numel() == left.numel() * output.shape[1]:
        classes = output.argmax(1).reshape(left.shape)
    else:
        return None
    fraction = left.is_floating_point() and bool((left != left.round()).any())
    return (classes, right) if fraction else (left, classes)


def _by_sign(scores: torch.Tensor, dim: Any, name: str) -> Any:
    """A yes or no of each score in the place of the first of one class."""
    if not isinstance(dim, int) or scores.shape[dim] != 1:
        dim = next((d for d in range(scores.dim() - 1, 0, -1) if scores.shape[d] == 1), None)
    if dim is None:
        return None
    answers = _yes(scores).long().squeeze(dim)
    return torch.return_types.max((scores.squeeze(dim), answers)) if name == "max" else answers


def _yes(scores: torch.Tensor) -> torch.Tensor:
    """Probabilities beyond a half, logits beyond zero."""
    of_probabilities = bool((scores >= 0).all() and (scores <= 1).all())
    return scores > (0.5 if of_probabilities else 0.0)
