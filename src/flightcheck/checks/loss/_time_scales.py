"""The step of a diffusion, as a model is given it: a whole number on one side, a share of all steps on the other."""

from __future__ import annotations

from flightcheck.recording.batches import Batch
from flightcheck.recording.run import Run

_CALLS = 3
"""On each side: one batch may hold the first step alone."""
_STEPS = 8
"""Fewer may be labels."""


def other_time_scale(run: Run) -> tuple[Batch, Batch] | None:
    """A training batch and one of a call without gradients, of an argument with one number for each example; None where
    both are on one scale.
    """
    sides: dict[tuple[int, str], tuple[list[Batch], list[Batch]]] = {}
    for b in run.batches:
        floating = b.dtype.startswith(("float", "bfloat"))  # whole numbers may be brought to the scale by the model
        if floating and b.shape[1:] in ([], [1]) and b.shape and not b.requires_grad:
            trained, called = sides.setdefault((b.root, b.argument), ([], []))
            (trained if b.training else called).append(b)
    for trained, called in sides.values():
        if min(len(trained), len(called)) < _CALLS:
            continue
        for steps, shares in ((called, trained), (trained, called)):
            if all(map(_whole, steps)) and max(b.maximum for b in steps) >= _STEPS and _are_shares(shares):
                return trained[-1], called[0]
    return None


def _whole(batch: Batch) -> bool:
    return float(batch.minimum).is_integer() and float(batch.maximum).is_integer()


def _are_shares(batches: list[Batch]) -> bool:
    """Numbers between 0 and 1, and hardly any of them one of the two."""
    inside = all(b.minimum >= 0 and b.maximum <= 1 for b in batches)
    return inside and 2 * sum(map(_whole, batches)) < len(batches)
