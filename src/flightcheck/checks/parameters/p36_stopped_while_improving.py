"""P36: a training that ends while its loss still falls."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import PurePath
from typing import Final

import numpy as np

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.checks.parameters.p33_plateau import NO_PROGRESS_MEASURE
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.rates import highest_rate
from flightcheck.recording.run import Run
from flightcheck.recording.signals import LEARNING_RATE, LOSS
from flightcheck.recording.tables import Floats

_UPDATES, _TIMES = 400, 8
"""Of a trial, at least: so many let a small model get somewhere, and so many times as many a larger one."""
_FEWEST, _SHORT = 12, 150
_USUAL, _USUAL_OF_OTHERS = 3e-4, 1e-2
_ADAPTIVE: Final = ("Adam", "NAdam", "RAdam", "RMSprop", "Lion")
_ANNEALED = 0.1
_LARGE, _FEW_BATCHES = 256, 4
"""Examples in a batch that make the updates few, and batches of an epoch."""


@check(
    "P36",
    "stopped-while-improving",
    severity="warn",
    evidence="T",
    needs=(LOSS, LEARNING_RATE),
    fix="Train longer, with the schedule stretched to the new length.",
)
class StoppedWhileImproving(Check):
    """The script ends while the training loss still falls by much.

    ## What it checks
    The mean loss of eight blocks of the second half of a finished run, against the logarithm of the step: a line that
    falls beyond doubt, and by which twice as many steps would gain more than a tenth of all that was gained
    (information). A warning for a finished run of at most 150 steps at a usual learning rate, whose loop over epochs
    (or the only one over steps) is known, if a trial of eight times as many rounds (of 400 updates, if that is more)
    achieves five times as much, or is better by half than a constant guess where the script ends no better than that.
    ## Why it matters
    Too few epochs is among the most frequent reasons for a poor model, and the cheapest to repair.
    ## How to fix
    Two or four times the steps; then look at the loss on held-out data again.
    ## Source
    Published sets of repaired programs (more epochs: 18 of 52). The rule is our own.
    ## Known false alarms
    Demonstrations, tests and sweeps with a budget end early on purpose: advice, as long as they get anywhere. A
    learning rate that was annealed to under a tenth says that the end was planned.
    """

    steps = Param(100, "shorter runs are demonstrations, and everything still falls in them")
    gain = Param(0.1, "of the loss gained so far, by twice the steps: below, longer training is a matter of taste")
    certainty = Param(4.0, "standard errors of the slope over eight blocks: p < 0.01 with six degrees of freedom")
    annealed = Param(_ANNEALED, "of the peak: schedules end there")
    short = Param(_SHORT, "longer ones that get nowhere have another cause, and eight times as many are no trial")
    usual = Param(_USUAL, "of Adam, 1e-2 of others: below, the rate may be what is too small (P02)")

    def __call__(self, run: Run) -> Iterator[Finding]:
        if run.in_regime(*NO_PROGRESS_MEASURE) or run.maximizes:
            raise NotApplicable("the loss of this kind of training does not measure progress")
        if (proof := _proof(run, longer(run))) is not None:
            yield self._too_few(run, proof)
            return
        if len([o for o in run.optimizers if o.steps]) != 1:
            raise NotApplicable("not one optimizer: the losses may be those of opponents")
        if run.info.ended not in ("finished", "exit"):
            raise NotEnoughEvidence("the training was not watched to its end")
        series = run.series(LOSS, 40)
        if run.info.steps < self.steps.value or not np.isfinite(series.values).all():
            raise NotEnoughEvidence(f"{run.info.steps} of {self.steps.value:.0f} steps, or losses that are not finite")
        if _annealed(run):
            return
        half = int(np.searchsorted(series.steps, run.info.steps / 2))
        if len(series) - half < 24:
            raise NotEnoughEvidence("too few losses of the second half were recorded")
        slope, error, last = _line(series.steps[half:].astype(float), series.values[half:])
        first = float(np.mean(series.values[: max(3, len(series) // 50)]))
        gained, coming = first - last, -slope * math.log(2)
        if gained <= 0 or -slope < self.certainty.value * error or coming <= self.gain.value * gained:
            return
        yield Finding(
            f"The loss fell from {first:.3g} to {last:.3g} in {run.info.steps} steps and still falls: twice as many "
            f"would bring about {max(last - coming, 0.0):.3g}.",
            location=run.plan.backward_location,
            evidence={"first": first, "last": last, "expected_gain": coming, "steps": run.info.steps},
            severity="info",
        )

    @staticmethod
    def _too_few(run: Run, proof: Experiment) -> Finding:
        before, after, counted = proof.before or 0.0, proof.after or 0.0, run.plan.counted
        batch = max((d.batch_size or 0 for d in run.datasets if d.trained), default=0)
        large = batch >= _LARGE and run.info.steps <= _FEW_BATCHES * counted
        each = max(run.info.steps / counted, 1)
        loader = next((i.location for i in run.loaders if i.used_in_training), None)
        return Finding(
            f"The training is over after {run.info.steps} updates: {counted} rounds of "
            f"{each:.3g} {'batch' if each == 1 else 'batches'}{f' of {batch} examples' if batch else ''}. "
            f"With {times(run)} times as many rounds the {proof.metric} is {after:.3g}, and not {before:.3g}.",
            location=(loader if large else None) or run.plan.count_written or run.plan.counting_loop,
            evidence={"steps": run.info.steps, "rounds": counted, "batch": batch, "before": before, "after": after},
            patch=proof.patch,
            fix="Smaller batches make more updates of as many epochs; or more epochs." if large else "",
        )


def longer(run: Run) -> str:
    """The patch of a finished training of few updates, at a usual rate, whose text says how many; empty of others."""
    loop, stepping = run.plan.counting_loop, [o for o in run.optimizers if o.steps]
    if run.info.ended != "finished" or not _FEWEST <= run.info.steps <= _SHORT or len(stepping) != 1:
        return ""
    if run.in_regime(*NO_PROGRESS_MEASURE) or run.maximizes or loop is None or not run.plan.counted > 0:
        return ""
    rate = highest_rate(run, stepping[0])
    usual = _USUAL if stepping[0].type.startswith(_ADAPTIVE) else _USUAL_OF_OTHERS
    if rate is None or rate < usual or _annealed(run):
        return ""
    return f"source:longer@{times(run)}:{PurePath(loop.file).name}:{loop.line}"


def times(run: Run) -> int:
    """How many times the rounds a trial has."""
    return max(_UPDATES // max(run.info.steps, 1), _TIMES)


def with_more_rounds(run: Run) -> str:
    """The line that says how many rounds there are, with more of them."""
    line, counted = run.plan.count_written or run.plan.counting_loop, run.plan.counted
    code = line.code if line is not None else ""
    new = re.sub(rf"(?<![\w.]){counted}(?![\w.])", str(times(run) * counted), code)
    return f"- {code}\n+ {new}" if new != code else f"+ # {times(run) * counted} rounds in the place of {counted}"


def _proof(run: Run, patch: str) -> Experiment | None:
    tried = (e for e in run.experiments if (e.question, e.patch, e.status) == ("P36", patch, "confirmed"))
    return next(tried, None) if patch else None


def _annealed(run: Run) -> bool:
    try:
        rates = run.table(LEARNING_RATE, 2).column(next(o.index for o in run.optimizers if o.steps)).values
    except NotEnoughEvidence:
        return False
    return len(rates) > 1 and float(rates[-1]) < _ANNEALED * float(rates.max())


def _line(steps: Floats, values: Floats) -> tuple[float, float, float]:
    """Slope of the means of eight blocks over log(step), its standard error, and the mean of the last block."""
    blocks = np.array_split(np.arange(len(values)), 8)
    x = np.log(np.array([steps[b].mean() for b in blocks]) + 1.0)
    y = np.array([values[b].mean() for b in blocks])
    x = x - x.mean()
    slope = float((x * y).sum() / (x * x).sum())
    rest = y - y.mean() - slope * x
    return slope, math.sqrt(float((rest * rest).sum()) / 6 / float((x * x).sum())), float(y[-1])
