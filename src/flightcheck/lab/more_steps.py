"""Is a training better that uses what it left out: each batch of a pass, each round of a loop?

Step by step the two are the same training, so what is compared is where each stands after as many batches, or at its
end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from flightcheck.checks.base import Finding
from flightcheck.lab.experiments import Lab
from flightcheck.lab.kept import compared
from flightcheck.lab.printed import PRINTED, Scale, printed_name, printed_series
from flightcheck.lab.statistics import MORE_SEEDS
from flightcheck.lab.trials import Trained
from flightcheck.patch import Patch
from flightcheck.recording.experiments import NO_TIME, Experiment
from flightcheck.recording.run import Run

_STEPS: Final = 12
"""Of the training as it is: of fewer no errors are compared, only evaluations."""
_FEWEST: Final = 4
_MOST: Final = 1200
"""Steps of the patched one."""
_LAST: Final = 12
"""Steps whose mean error is that of the end."""


def try_more_steps(lab: Lab, run: Run, question: str, patches: Sequence[Patch], finding: Finding) -> Experiment:
    """Try a patch with which the script makes several steps where it made one.

    Args:
        lab: runs the trainings.
        run: the watched run.
        question: code of the check that asks.
        patches: of the statements that stand outside of a loop, or leave it.
        finding: its evidence tells how many batches there are for one step (``batches_per_step``, ``batches``), or how
            many rounds of a loop for one (``rounds``).
    """
    told = finding.evidence
    times = int(told.get("batches_per_step") or told.get("batches") or told.get("rounds") or 1)
    whole = run.info.steps if run.info.ended == "finished" else 0
    if not told.get("batches_per_step") and 0 < whole * times <= _MOST:
        return _to_the_end(lab, question, patches, whole, times)
    steps = min(_STEPS, _MOST // max(times, 1))
    if steps < _FEWEST:
        return Experiment(
            question, " + ".join(map(str, patches)), reason=f"{_FEWEST} passes of {times} steps are too many"
        )
    metrics = ("evaluation", "answers", PRINTED, "error", "loss")
    return lab.try_patch(question, patches, metrics=metrics, steps=steps, evaluates=True, longer=times)


def _to_the_end(lab: Lab, question: str, patches: Sequence[Patch], steps: int, times: int) -> Experiment:
    """Both trainings run to their end; the last number of each counts. Nothing is refuted: more rounds may be too many
    for unseen examples.
    """
    told = Experiment(question, " + ".join(map(str, patches)), steps=steps)
    beside: list[tuple[Trained, Trained]] = []
    for _ in range(MORE_SEEDS):
        if beside and lab.seconds_left < max(t.seconds for both in beside for t in both):
            return replace(told, reason=told.reason or NO_TIME)
        pair = lab.beside(patches, len(beside), steps + 1, False, times)
        told = replace(told, seconds=told.seconds + sum(t.seconds for t in pair))
        if failure := next((t.failure for t in pair if t.failure), ""):
            return replace(told, status="inconclusive" if beside else "untested", reason=failure)
        beside.append(pair)
        ends = _ends(beside)
        if ends is None:
            return replace(told, reason="neither a number of an evaluation nor an error was seen")
        told, decided = compared(told, *ends)
        if decided:
            break
    return told


def _ends(beside: Sequence[tuple[Trained, Trained]]) -> tuple[str, np.ndarray, Scale] | None:
    """A metric that all trainings have, its value at the end of each, ``(seeds, 2)``, and the scale."""
    for metric in ("evaluation", "answers", PRINTED, "error", "loss"):
        name = printed_name([t for both in beside for t in both], metric) if metric == PRINTED else ""
        series = [[printed_series(t, name) if name else t.series(metric) for t in both] for both in beside]
        if not all(len(values) for both in series for values in both) or (metric == PRINTED and not name):
            continue
        last = _LAST if metric in ("error", "loss") else 1
        ends = np.array([[float(values[-last:].mean()) for values in both] for both in series])
        return (f"{PRINTED} {name}" if name else metric), ends, Scale.of(name, list(ends.T)) if name else Scale()
    return None
