"""Padded sequences: which id fills them up, what the target says there, and whether a loss ignores such positions."""

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


def ignored_between(
    target: torch.Tensor, ignored: int, inputs: Iterable[tuple[str, weakref.ref[torch.Tensor]]]
) -> float | None:
    """The share of ignored targets with counted ones before and behind them in a row; None without a row.

    Padding has none. A flattened target is laid out by the first axis of the model's inputs, examples first and
    positions first, and the smaller share is told.
    """
    if target.is_floating_point() or not 1 <= target.dim() <= 2 or not target.numel() or not is_plain_tensor(target):
        return None
    if target.numel() > _MOST_TOKENS:
        return None
    shares = []
    for rows in _in_rows(target.detach(), inputs):
        gone = rows == ignored
        kept = (~gone).long()
        before, behind = kept.cumsum(1) > 0, kept.flip(1).cumsum(1).flip(1) > 0
        if gone.any():
            shares.append(float((gone & before & behind).sum()) / int(gone.sum()))
    return min(shares, default=None)


def _in_rows(target: torch.Tensor, inputs: Iterable[tuple[str, weakref.ref[torch.Tensor]]]) -> Iterable[torch.Tensor]:
    if target.dim() == 2:
        return (target, target.T)
    firsts = {given.shape[0] for _, r in inputs if (given := r()) is not None and given.dim() > 1}
    fitting = [n for n in firsts if 1 < n < target.numel() and target.numel() % n == 0]
    laid_out = [target.reshape(n, -1) for n in fitting]
    return [*laid_out, *(target.reshape(-1, n).T for n in fitting)]
