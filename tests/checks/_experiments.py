"""Experiments made by hand."""

from __future__ import annotations

from typing import Any

from flightcheck.recording.experiments import Experiment, Probe


def without_inputs(
    worth: float = 0.0, patch: str = "inputs:permute", steps: int = 300, width: float = 0.005
) -> Experiment:
    """A training without inputs that ends worse by `worth`, with a 95 % interval of ± `width`."""
    return Experiment(
        "S02", patch, "question", "inconclusive", metric="error", before=1.0, after=1.0 + worth, start=1.1, seeds=1,
        steps=steps, low=-worth - width, high=-worth + width, margin=0.02,
    )  # fmt: skip


def all_without_inputs(worth: float = 0.0) -> list[Experiment]:
    """After 80 steps, and after 300 with inputs zeroed and permuted."""
    short, zero = without_inputs(worth, steps=80), without_inputs(worth, "inputs:zero")
    return [short, zero, without_inputs(worth)]


def fit(left: float, optimizer: str = "") -> Experiment:
    """A batch learnt by heart up to this share of the start."""
    patch = "freeze-batch:8 + regularization:off" + (f" + optimizer:{optimizer}" if optimizer else "")
    return Experiment(
        "S01", patch, "question", "inconclusive", metric="error", before=1.0, after=2.0 * left, start=2.0, seeds=1,
        steps=400, low=0.1, high=0.2, margin=0.02,
    )  # fmt: skip


def untested(code: str, patch: str, reason: str) -> Experiment:
    return Experiment(code, patch, "question", reason=reason)


def neighbours(**changes: Any) -> Probe:
    """Two thousand examples of four classes whose neighbours agree by chance."""
    found: dict[str, Any] = {
        "examples": 2000, "classes": 4, "agreement": 0.25, "chance": 0.25, "hits": 500, "shifts": [0.25] * 11,
    }  # fmt: skip
    return Probe("neighbours", {**found, **changes})
