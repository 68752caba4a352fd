"""Padded sequences: which id fills them up, what the target says there, and whether a loss ignores such positions."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import torch

from flightcheck.adapters.torch.watch import is_plain_tensor
from flightcheck.recording.loss_records import PaddedTarget

_MOST_TOKENS: Final = 262_144
_MOST_FLAT: Final = 16_384
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
    return {
        "share": float(runs.float().mean()),
        "value": int(values[most]),
        "agreement": float(counts[most]) / there.numel(),
        "lengths": int(torch.unique(runs.sum(1)).numel()),
    }


def ignored_between(target: torch.Tensor, ignored: int) -> float | None:
    """How often ignored targets have counted ones before and behind them in their row, against what their share would
    give at random: 0 for padding, 1 for tokens in no particular place; None where no row is long enough.

    Of a target that was flattened, no row is known: all lengths that divide it are tried, examples first and positions
    first, and the smallest number is told.
    """
    if target.is_floating_point() or not 1 <= target.dim() <= 2 or not is_plain_tensor(target):
        return None
    if not 0 < target.numel() <= (_MOST_TOKENS if target.dim() == 2 else _MOST_FLAT):
        return None
    gone = target.detach() == ignored
    share = float(gone.float().mean())
    if not 0 < share < 1:
        return None
    return min((_between(rows, share) for rows in _in_rows(gone)), default=None)


def _between(gone: torch.Tensor, share: float) -> float:
    kept = (~gone).long()
    before, behind = kept.cumsum(1) > 0, kept.flip(1).cumsum(1).flip(1) > 0
    length = gone.shape[1]
    by_chance = sum((1 - share**i) * (1 - share ** (length - 1 - i)) for i in range(length)) / length
    return float((gone & before & behind).sum()) / int(gone.sum()) / by_chance


def _in_rows(gone: torch.Tensor) -> Iterator[torch.Tensor]:
    """The layouts with two rows or more, of three positions or more."""
    if gone.dim() == 2:
        yield from (rows for rows in (gone, gone.T) if rows.shape[0] > 1 and rows.shape[1] >= _SHORTEST)
        return
    n = gone.numel()
    for length in range(_SHORTEST, n // 2 + 1):
        if n % length == 0:
            yield gone.reshape(-1, length)
            yield gone.reshape(length, -1).T
