"""Does a training of few updates get anywhere with more of them?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from flightcheck.checks.base import NotApplicable
from flightcheck.checks.loss._baseline import baseline
from flightcheck.checks.parameters.p36_stopped_while_improving import longer, times, with_more_rounds
from flightcheck.lab.experiments import Lab
from flightcheck.lab.margins import fivefold
from flightcheck.lab.statistics import Pair
from flightcheck.patch import Patch
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.run import NotEnoughEvidence, Run

_LOSSES = 12
"""Of a run, to know what a constant guess would score."""


def more_rounds(lab: Lab, run: Run) -> Iterator[Experiment]:
    """P36: the same training with many times the rounds."""
    patch = longer(run)
    if not patch:
        return
    constant = _constant(run)

    def margin(pair: Pair) -> float:
        """Five times as much, as of a larger rate (P02); or it ends no better than a constant guess, and half of that
        goes.
        """
        before = float(pair.blocks()[0].mean())
        far = fivefold(pair)
        return far if constant is None or before < constant else min(far, before - constant / 2)

    more = [Patch.parse(patch)]
    longest = lab.try_patch("P36", more, steps=run.info.steps, longer=times(run), margin=margin, refute=False)
    yield replace(longest, diff=with_more_rounds(run))


def _constant(run: Run) -> float | None:
    try:
        return baseline(run, _LOSSES).value
    except (NotApplicable, NotEnoughEvidence):
        return None
