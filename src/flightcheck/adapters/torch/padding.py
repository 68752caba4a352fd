"""Padded sequences: which id fills them up, and what the target says there."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Sequence
from typing import Any, Final

import torch

from flightcheck.adapters.torch.watch import is_plain_tensor
from flightcheck.recording.loss_records import PaddedTarget

_MOST_TOKENS: Final = 262_144


def padded_target(
    site: int,
    step: int,
    target: torch.Tensor,
    inputs: Iterable[tuple[str, weakref.ref[torch.Tensor]]],
    padding_ids: Sequence[int],
) -> PaddedTarget | None:
    """What a target holds where the model's input is filled up; None where no input of ids belongs to it."""
    if target.is_floating_point() or target.numel() > _MOST_TOKENS or not is_plain_tensor(target):
        return None
    for _, reference in inputs:
        ids = reference()
        if ids is None or not is_plain_tensor(ids) or ids.is_floating_point() or ids.dim() != 2 or ids.shape[1] < 2:
            continue
        laid_out = _laid_out(target.detach(), ids)
        for padding in padding_ids if laid_out is not None else ():
            if (found := _compare(ids.detach(), laid_out, padding)) is not None:
                return PaddedTarget(site, step, padding, **found)
    return None


def _laid_out(target: torch.Tensor, ids: torch.Tensor) -> Any:
    """The target in the shape of the ids (one id per position), whether it was flattened or not."""
    if target.shape == ids.shape:
        return target
    return target.reshape(ids.shape) if target.dim() == 1 and target.numel() == ids.numel() else None


def _compare(ids: torch.Tensor, target: torch.Tensor, padding: int) -> dict[str, Any] | None:
    """Facts of the positions that are filled up at the end (or the start) of the rows."""
    filled = ids == padding
    runs = torch.where(
        filled[:, -1:].any(), filled.flip(1).long().cumprod(1).flip(1), filled.long().cumprod(1)
    ).bool()  # fmt: skip
    there = target[runs]
    if not there.numel():
        return None
    values, counts = torch.unique(there, return_counts=True)
    most = int(counts.argmax())
    return {
        "share": float(runs.float().mean()),
        "value": int(values[most]),
        "agreement": float(counts[most]) / there.numel(),
        "lengths": int(torch.unique(runs.sum(1)).numel()),
    }
