"""Patches of a metric: the comparison at one line counts what its number is called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from flightcheck.adapters.torch.metrics import COMPARISONS
from flightcheck.adapters.torch.patching.boundaries import Arguments, Boundaries
from flightcheck.patch import Patch


def metric(b: Boundaries, patch: Patch) -> None:
    """``metric:align:train.py:31`` compares element by element; ``metric:cut:train.py:31`` cuts logits at 0.

    Raises:
        ValueError: the value is none of this form.
    """
    how, file, line = [*patch.value.split(":"), "", ""][:3]
    if how not in ("align", "cut") or not line.isdigit():
        raise ValueError(f"metric: a value such as align:train.py:31 wanted, but got {patch.value!r}")

    def operation(function: Any, name: str, given: Arguments) -> Any:
        args, kwargs = given
        if name in COMPARISONS and args and isinstance(args[0], torch.Tensor):
            at = b.observer.lines.here()
            if at is not None and (at.line, Path(at.file).name) == (int(line), file):
                if name == "round":
                    b.acted(patch)
                    return (args[0] > 0).to(args[0].dtype)
                changed = _aligned(*args[:2]) if how == "align" else _cut_at_zero(*args[:2])
                if changed is not None:
                    b.acted(patch)
                    args = (*changed, *args[2:])
        return function(*args, **kwargs)

    b.at_operations(operation)


def _aligned(left: torch.Tensor, right: Any = None) -> tuple[Any, Any] | None:
    """Both in the shape of the one with fewer axes."""
    if not isinstance(right, torch.Tensor) or left.shape == right.shape or left.numel() != right.numel():
        return None
    shape = min(left.shape, right.shape, key=len)
    return left.reshape(shape), right.reshape(shape)


def _cut_at_zero(left: torch.Tensor, right: Any = None) -> tuple[Any, Any] | None:
    return (left, 0.0) if isinstance(right, float) and right else None
