"""Inputs whose numbers lie so far from zero that float32 rounds away what tells them apart."""

from __future__ import annotations

import math
from typing import Any, Final

import torch

_BITS: Final = 23
"""Of the fraction of a float32."""
_COARSE: Final = 1e-3
"""Spacing of neighbouring float32 numbers, in standard deviations of the feature, from which it is told."""
_MOST: Final = 8
"""Features that are looked at closely."""
_FEWEST: Final = 8


def spacing_facts(x: torch.Tensor) -> dict[str, Any]:
    """Of the feature with the coarsest numbers (last dimension; all values of a vector): ``coarse`` of `Batch`."""
    if x.dtype is not torch.float32 or x.dim() < 1 or x.shape[0] < _FEWEST or not x.numel():
        return {}
    columns = x.reshape(-1, 1) if x.dim() == 1 else x.reshape(-1, x.shape[-1])
    largest, reach = columns.abs().amax(0), columns.amax(0) - columns.amin(0)
    # A standard deviation is at most half the reach.
    candidates = torch.nonzero((reach > 0) & (largest * 2.0**-_BITS > _COARSE * reach / 8)).flatten()[:_MOST]
    worst: dict[str, float] = {}
    for i in candidates.tolist():
        values = columns[:, i].double()
        spread, spacing = float(values.std(correction=0)), 2.0 ** (math.frexp(float(largest[i]))[1] - 1 - _BITS)
        if not spacing > _COARSE * spread > 0 or spacing / spread <= worst.get("spacing", 0) / worst.get("spread", 1):
            continue
        steps = values / spacing
        worst = {
            "feature": float(i),
            "spacing": spacing,
            "spread": spread,
            "odd": float((steps % 2 != 0).double().mean()),
            "distinct": float(torch.unique(values).numel()),
        }
    return {"coarse": worst} if worst else {}
