"""Recorded runs built in code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from flightcheck.checks.base import Verdict, run_check
from flightcheck.checks.registry import all_checks
from flightcheck.recording.records import RunInfo
from flightcheck.recording.run import Run
from flightcheck.recording.signals import Signal


def run_of(
    *records: Any,
    series: Mapping[Signal, Sequence[float] | Sequence[Sequence[float]]] | None = None,
    every: int = 1,
    **info: Any,
) -> Run:
    """A run that holds these records and series.

    Args:
        records: records of `flightcheck.recording.records`, in any order.
        series: per signal one value per step (scope ``step``) or one list of values per step (other scopes).
        every: distance of the sampled steps; the first is step 0.
        info: fields of `RunInfo`, for example ``steps=100``.
    """
    by_kind: dict[str, list[Any]] = {}
    for record in records:
        by_kind.setdefault(type(record).__name__, []).append(record)
    frames = {}
    longest = 0
    for signal, values in (series or {}).items():
        rows = [np.atleast_1d(np.asarray(v, dtype=np.float32)) for v in values]
        frames[signal.name] = (np.arange(len(rows), dtype=np.int64) * every, rows)
        longest = max(longest, len(rows) * every)
    if "RunInfo" not in by_kind:
        by_kind["RunInfo"] = [RunInfo(**{"id": "test", "command": "", "script": "train.py", "steps": longest, **info})]
    return Run(by_kind, frames)


def verdict_of(code: str, run: Run) -> Verdict:
    """The verdict of one check on a run."""
    return run_check(all_checks()[code], run)
