"""Padded sequences: which id fills them up, what the target says there, and whether a loss ignores such positions."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Sequence
from typing import Any, Final

import torch

from flightcheck.adapters.torch.watch import is_plain_tensor
from flightcheck.recording.loss_records import PaddedTarget

_MOST_TOKENS: Final = 262_144
_SHORTEST: Final = 3
"""Positions of a row that has an inside."""


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
    tokens = target[~runs]
    return {
        "inside": float((tokens == values[most]).float().mean()) if tokens.numel() else 0.0,
        "share": float(runs.float().mean()),
        "value": int(values[most]),
        "agreement": float(counts[most]) / there.numel(),
        "lengths": int(torch.unique(runs.sum(1)).numel()),
    }


def ignored_between(
    target: torch.Tensor, ignored: int, inputs: Iterable[tuple[str, weakref.ref[torch.Tensor]]]
) -> float | None:
    """How often ignored targets have counted ones before and behind them in their row, against what their share would
    give at random: 0 for padding, 1 for tokens in no particular place. None where the targets are not the ids that the
    model is given as well, there or one place later: then the ignored one need not be a token.
    """
    if target.is_floating_point() or not 0 < target.numel() <= _MOST_TOKENS or not is_plain_tensor(target):
        return None
    for _, reference in inputs:
        ids = reference()
        if ids is None or not is_plain_tensor(ids) or ids.is_floating_point() or ids.dim() != 2:
            continue
        rows = _as_given(target.detach(), ids.detach())
        if rows is not None and rows.shape[1] >= _SHORTEST:
            return _between(rows == ignored)
    return None


def _as_given(target: torch.Tensor, ids: torch.Tensor) -> torch.Tensor | None:
    """The target in rows, if it holds the ids of the rows, or those that come next."""
    if target.device != ids.device or not len(ids) or target.numel() % len(ids):
        return None
    rows = target.reshape(len(ids), -1)
    one, length = rows.shape[1], ids.shape[1]
    same = one == length and torch.equal(rows, ids.to(rows.dtype))
    ahead = one == length and torch.equal(rows[:, :-1], ids[:, 1:].to(rows.dtype))
    behind = one + 1 == length and torch.equal(rows, ids[:, 1:].to(rows.dtype))
    return rows if same or ahead or behind else None


def _between(gone: torch.Tensor) -> float | None:
    share, length = float(gone.float().mean()), gone.shape[1]
    if not 0 < share < 1:
        return None
    kept = (~gone).long()
    before, behind = kept.cumsum(1) > 0, kept.flip(1).cumsum(1).flip(1) > 0
    places = torch.arange(length, dtype=torch.float64)
    by_chance = float(((1 - share**places) * (1 - share ** (length - 1 - places))).mean())
    return float((gone & before & behind).sum()) / int(gone.sum()) / by_chance
