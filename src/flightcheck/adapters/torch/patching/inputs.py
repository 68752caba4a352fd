"""Patches of single inputs of a model: NaN and infinity filled, scaled by a factor, evaluations as the training."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from flightcheck.adapters.torch.patching.boundaries import Arguments, Boundaries, map_tensors
from flightcheck.adapters.torch.watch import is_plain_tensor
from flightcheck.patch import Patch


def finite(b: Boundaries, patch: Patch) -> None:
    """``inputs:finite``: NaN and infinity in the inputs of a model are the mean of their feature in the batch."""

    def root(call: Any, module: nn.Module, given: Arguments) -> Any:
        acted: list[bool] = []

        def fill(t: torch.Tensor) -> torch.Tensor:
            filled = without_gaps(t)
            acted.extend([True] if filled is not t else [])
            return filled

        args, kwargs = map_tensors(given, fill)
        if acted:
            b.acted(patch)
        return call(*args, **kwargs)

    b.at_root(root)


def without_gaps(t: torch.Tensor) -> torch.Tensor:
    """The tensor itself if it is finite, or a mask to be added (0 and -inf), which is infinite on purpose."""
    if not is_plain_tensor(t) or t.requires_grad or not t.is_floating_point() or not t.numel():
        return t
    there = torch.isfinite(t)
    if bool(there.all()):
        return t
    known = torch.where(there, t, 0.0)
    if not bool(known.any()) and bool((t[~there] == -torch.inf).all()):
        return t
    if t.dim() < 2:
        return torch.where(there, t, known.sum() / there.sum().clamp_min(1))
    keep = 1 if t.dim() >= 4 else t.dim() - 1
    over = [d for d in range(t.dim()) if d != keep]
    mean = known.sum(over, keepdim=True) / there.sum(over, keepdim=True).clamp_min(1)
    return torch.where(there, t, mean)


def scaled(b: Boundaries, patch: Patch) -> None:
    """``inputs:x255``: the numbers that a model is given are multiplied by a factor."""
    factor = float(patch.value[1:])

    def scale(t: torch.Tensor) -> torch.Tensor:
        return t * factor if t.is_floating_point() and not t.requires_grad else t

    def root(call: Any, module: nn.Module, given: Arguments) -> Any:
        b.acted(patch)
        args, kwargs = map_tensors(given, scale)
        return call(*args, **kwargs)

    b.at_root(root)
