"""Are weights of the classes better by the script's own measure?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from flightcheck.checks.data.d10_class_imbalance_untreated import patch_of, uncorrected
from flightcheck.checks.parameters.p02_lr_too_low import planned_steps
from flightcheck.lab.diffs.added_lines import WEIGHTED
from flightcheck.lab.experiments import Lab
from flightcheck.lab.metrics import steps_of_evaluations
from flightcheck.lab.printed import BALANCED, RECALLED
from flightcheck.lab.script_code import sources_of
from flightcheck.lab.statistics import Pair
from flightcheck.patch import Patch
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.printed import is_of_classes, is_of_the_rare, numbers_in
from flightcheck.recording.run import Run
from flightcheck.recording.written_output import written_lines

_STEPS: Final = 300
"""Where the end is not known, or too far: a rare class is learnt late."""
_MOST: Final = 3000
"""Steps of a trial that goes to the end."""
_CLEARLY: Final = 0.1
"""Of a share of the script's own: less may be the price of other answers."""
_ALMOST_NOTHING: Final = 0.2
"""Of a class: whoever finds less of it cannot have meant to."""


def classes_alike(lab: Lab, run: Run) -> Iterator[Experiment]:
    """Does weighting the classes raise a number of the script's own in which they count alike?

    With weights, more of a rare class is found in any case: of such a number only one that is almost nothing counts.
    """
    lines = [line for source in sources_of(run) for line in written_lines(source)]
    names = {n.name for n in run.printed} | {name for line in lines for name, _ in numbers_in(line)}
    metric = BALANCED if any(map(is_of_classes, names)) else RECALLED
    if metric == RECALLED and not any(map(is_of_the_rare, names)):
        return
    planned = run.info.steps if run.info.ended == "finished" else planned_steps(run) or 0
    steps = planned + 1 if 0 < planned <= _MOST else max(_STEPS, steps_of_evaluations(run))  # it may be told at the end
    for site in uncorrected(run):
        patch, margin = Patch.parse(patch_of(run, site)), _of_what_lacks if metric == BALANCED else _of_nothing
        balanced = lab.try_patch(
            "D10", [patch], metrics=(metric,), steps=steps, evaluates=True, margin=margin, refute=False
        )
        yield replace(balanced, diff=WEIGHTED)
        return


def _of_what_lacks(pair: Pair) -> float:
    """D10: a third of what the script's share lacks to all, and at least a tenth of all."""
    reached, whole = _share(pair)
    return max((whole - reached) / 3, _CLEARLY * whole)


def _of_nothing(pair: Pair) -> float:
    """D10: a third of all, where almost nothing of a class was found; else no gain is enough."""
    reached, whole = _share(pair)
    return whole / 3 if reached < _ALMOST_NOTHING * whole else math.inf


def _share(pair: Pair) -> tuple[float, float]:
    """What was reached without the patch, of 1 or of 100."""
    reached = -float(pair.blocks()[0].mean())
    return reached, 1.0 if max(-pair.control.min(), -pair.patched.min()) <= 1 else 100.0
