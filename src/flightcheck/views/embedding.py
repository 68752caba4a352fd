"""The examples as the last layer sees them: principal components of what reaches it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from flightcheck.frozen import frozen


@frozen
class Embedding:
    """Examples in the plane that holds most of their spread at the last snapshot."""

    path: str
    """Of the layer that they reach."""
    features: int
    points: NDArray[np.float32]
    """Shape (snapshots, examples, 2): all snapshots in the same plane."""
    shares: tuple[float, float]
    """Of the variance at the last snapshot, along each axis."""


def embedded(path: str, features: list[NDArray[Any]]) -> Embedding | None:
    """Principal components of the last snapshot, and all snapshots in their plane.

    Args:
        path: of the layer that the features reach.
        features: of each snapshot, shape (examples, features).

    Returns:
        None for fewer than three examples or two features, or where features are not finite.
    """
    last = np.asarray(features[-1], np.float64)
    if last.ndim != 2 or last.shape[0] < 3 or last.shape[1] < 2 or not np.isfinite(last).all():
        return None
    mean = last.mean(0)
    _, sizes, axes = np.linalg.svd(last - mean, full_matrices=False)
    variance = sizes**2
    if len(sizes) < 2 or variance.sum() <= 0:
        return None
    points = np.stack([(np.nan_to_num(f) - mean) @ axes[:2].T for f in features])
    shares = variance[:2] / variance.sum()
    return Embedding(path, last.shape[1], points.astype(np.float32), (float(shares[0]), float(shares[1])))
