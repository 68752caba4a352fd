"""What a trial is, and what is left of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from flightcheck.frozen import frozen
from flightcheck.patch import STILL_STEPS, Patch
from flightcheck.recording.inputs import Confusion
from flightcheck.recording.records import RunInfo
from flightcheck.recording.run import NotEnoughEvidence, Run
from flightcheck.recording.signals import ERROR, LOSS

_STILL: Final = 1e-3
"""Share by which losses of the same examples and the same weights may differ: the noise of rounding is smaller."""

NO_PLACE: Final = "this training has no place at which it could act"

Floats = npt.NDArray[np.float64]


@frozen
class Trial:
    """One training to be run: with these patches (none: the control), from this seed, for so many steps."""

    patches: tuple[Patch, ...] = ()
    seed: int = 0
    steps: int = 60
    evaluates: bool = False
    """It goes on until an evaluation was seen."""

    def __str__(self) -> str:
        what = " + ".join(map(str, self.patches)) or "unchanged"
        return f"{what}, seed {self.seed}"


@frozen
class Trained:
    """A trial that was run."""

    trial: Trial
    run: Run | None
    """None if nothing was recorded."""
    failure: str = ""
    """Why it says nothing, in words; empty if it can be used."""
    seconds: float = 0.0

    @classmethod
    def of(cls, trial: Trial, run: Run, seconds: float) -> Trained:
        """What a recorded trial says, and whether it says anything."""
        ended = run.recorded(RunInfo)  # as it was written at the end: a run that was killed has no steps there
        failure = "" if ended and ended[0].steps else _without_a_step(run)
        told = run.trial
        idle = [p for p in map(str, trial.patches) if told is not None and not told.applied.get(p)]
        if told is not None and told.refused:
            failure = f"the script was stopped to protect your files: {told.refused}"
        elif idle and not failure:
            failure = f"{', '.join(idle)}: {NO_PLACE}"
        trained = cls(trial, run, failure, seconds)
        if not failure and any(p.kind == "freeze-batch" for p in trial.patches) and trained._moves():
            return replace(
                trained, failure="the batch could not be frozen: the same examples have another loss each time"
            )
        return trained

    def answered(self) -> tuple[int, int] | None:
        """Wrong answers of the last evaluation that has answers, and all of them."""
        counts = self._answers()
        last = counts[-1] if counts else np.zeros((0, 0), dtype=int)
        return (int(last.sum() - last.trace()), int(last.sum())) if last.sum() else None

    def _answers(self) -> list[npt.NDArray[np.int64]]:
        """Labels against answers of each evaluation; none where only the first of many were looked at."""
        known = self.run.recorded(Confusion) if self.run is not None else []
        last = max((e.step for e in self.run.evaluations), default=0) if self.run is not None else 0
        seen = not known or 2 * known[-1].step >= last
        return [np.array(c.counts, dtype=np.int64) for c in known] if seen else []

    @property
    def crashed(self) -> bool:
        """The script raised an exception before its first step."""
        told = self.run.trial if self.run is not None else None
        refused = told is not None and bool(told.refused)
        return self.run is not None and self.run.info.ended == "exception" and not self.run.info.steps and not refused

    def _moves(self) -> bool:
        """Losses differ although the examples and the weights are the same."""
        still = self.series("loss")[:STILL_STEPS]
        return len(still) > 1 and not np.allclose(still, still[0], rtol=_STILL, atol=1e-12, equal_nan=True)

    def series(self, metric: str, since: int = 0) -> Floats:
        """The metric over the steps, ``(steps,)``; empty where it was not recorded.

        Args:
            metric: ``error``, ``loss``, ``evaluation`` (mean loss of each evaluation) or ``answers`` (share of wrong
                classes in each).
            since: the first step of which a loss or an error counts.
        """
        if self.run is None:
            return np.empty(0)
        if metric == "evaluation":
            values = [e.loss_value for e in self.run.evaluations if e.loss_value is not None]
            return np.array(values, dtype=float)
        if metric == "answers":
            return np.array([1 - c.trace() / c.sum() for c in self._answers() if c.sum()], dtype=float)
        try:
            series = self.run.series(ERROR if metric == "error" else LOSS)
            return series.values[series.steps >= since] if since else series.values
        except NotEnoughEvidence:
            return np.empty(0)


def _without_a_step(run: Run) -> str:
    if run.info.ended == "exception":
        return f"the script ended with {run.info.error}"
    if run.info.ended in ("exit", "finished"):
        return "the script ended before its first step"
    if run.info.ended == "running":  # it was killed, by us or by itself
        return "the trial did not end by itself"
    return "no step was made in the time that was left"


class Runner(Protocol):
    """Runs trials: of a script in processes, or of objects in this one."""

    def run(self, trials: Sequence[Trial], seconds_left: float) -> list[Trained]:
        """Run all of them, in the order given as far as it matters; what cannot be run has a `Trained.failure`."""

    def close(self) -> None:
        """Throw away what trials left behind."""
