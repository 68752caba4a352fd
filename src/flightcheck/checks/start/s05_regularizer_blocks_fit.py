"""S05: regularization so strong that nothing is learnt."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.recording.dropouts import DropoutUse
from flightcheck.recording.loss_records import LossSite
from flightcheck.recording.records import Location
from flightcheck.recording.run import Run
from flightcheck.recording.signals import LOSS
from flightcheck.recording.tables import median

_TENTH: Final = 20
"""Steps, at least: of fewer, the watched training is no longer than a trial."""


@check(
    "S05",
    "regularizer-blocks-fit",
    severity="warn",
    evidence="T",
    needs=("experiments",),
    fix="Begin without regularization; add it when the training data are fitted.",
)
class RegularizerBlocksFit(Check):
    """The training stands still, and moves as soon as dropout, weight decay or label smoothing is off.

    ## What it checks
    Asked only where 80 steps took less than a tenth off the error, and the whole watch not half off the loss: trials
    without dropout, without weight decay and without label smoothing, one at a time, where the script uses it. Without
    it the error must fall by five times as much and by 5 % of its start, in each of three seeds. The error is that of
    the prediction, without the penalty.
    Label smoothing above one half is told wherever it is trained with, unless the trial without it shows no gain: the
    share for the right class was given as the share that is spread over all.
    ## Why it matters
    Regularization is for a model that fits its training data too well. One that does not fit them needs less of it.
    ## How to fix
    Lower the component that was named; raise it again when the training loss is low.
    ## Source
    Checklist for debugging neural networks, section 4; CS231n (turn regularization off first);
    Szegedy et al. 2016, section 7 (label smoothing of 0.1).
    ## Known false alarms
    Very slow trainings with strong dropout, as the error of a training step includes the dropped units.
    """

    progress = Param(5, "times the progress: dropout of one half costs a factor of two to three of the first steps")

    smoothing = Param(
        0.5, "Szegedy et al. 2016 and all recipes since spread 0.05 to 0.2; more than half is the reverse"
    )

    def __call__(self, run: Run) -> Iterator[Finding]:
        if run.in_regime("gan", "reinforcement"):
            raise NotApplicable("the losses of this kind of training do not measure a fit")
        trained = [s for s in run.loss_sites if s.train_calls]
        flat = [s for s in trained if float(s.settings.get("label_smoothing") or 0) > self.smoothing.value]
        for site in flat:
            yield self._flat(site)
        if flat:
            return
        tried = [e for e in run.experiments if e.question == "S05"]
        known = [e for e in tried if e.before is not None]
        if known and gets_going(run):
            return
        if not known:
            untried = "not tried: the loss falls, or there is no regularization to leave out"
            raise NotEnoughEvidence(tried[0].reason if tried else untried)
        for e in known:
            if e.status == "confirmed" and e.before is not None and e.after is not None and e.start is not None:
                what = e.patch.removeprefix("regularization:").replace("_", " ")
                yield Finding(
                    f"In {e.steps} steps the {e.metric} goes from {e.start:.3g} to {e.before:.3g}, and to "
                    f"{e.after:.3g} without {what}, in each of {e.seeds} seeds.",
                    location=self._location(run, what),
                    evidence={"component": what, "before": e.before, "after": e.after},
                    patch=e.patch,
                )

    @staticmethod
    def _flat(site: LossSite) -> Finding:
        smoothing = float(site.settings["label_smoothing"])
        return Finding(
            f"{site.function} spreads {smoothing:.3g} of each target over all classes and leaves {1 - smoothing:.3g} "
            "to the right one: label_smoothing is the share that is spread, not the one that is kept.",
            location=site.module_location or site.location,
            evidence={"component": "label smoothing", "label_smoothing": smoothing},
            patch="regularization:label_smoothing",
            fix=f"label_smoothing={1 - smoothing:.3g}, if that was meant, or none.",
        )

    @staticmethod
    def _location(run: Run, what: str) -> Location | None:
        if what == "dropout":
            return next((location for _, location in strongest_dropout(run)), None)
        if what == "weight decay":
            return next((o.location for o in run.optimizers if o.steps), None)
        return run.plan.loss_location


def gets_going(run: Run) -> bool:
    """The watched training takes half off its loss, although its first steps hardly move: it is slow, and not held."""
    losses = run.series(LOSS).values if LOSS.name in run.frames else np.zeros(0)
    tenth = len(losses) // 10
    return tenth >= _TENTH and bool(median(losses[-tenth:]) < median(losses[:tenth]) / 2)


def strongest_dropout(run: Run) -> list[tuple[float, Location | None]]:
    """What drops most: its share and its line, alone in a list; an empty list where nothing drops.

    Modules, recurrent layers that drop between their layers, and calls of dropout as a function.
    """
    modules = [(m.settings.get("p"), m.location) for m in run.modules if m.kind == "dropout"]
    layers = [
        (m.settings.get("dropout"), m.location)
        for m in run.modules
        if m.kind == "rnn" and int(m.settings.get("num_layers") or 1) > 1
    ]
    calls = [(u.p, u.location) for u in run.recorded(DropoutUse) if u.module < 0]
    found = [(float(p), location) for p, location in (*modules, *layers, *calls) if p]
    return sorted(found, key=lambda f: -f[0])[:1]
