"""The trial of what one finding proposes: in how many steps, and by what it is judged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePath
from typing import Final

from flightcheck.checks.base import Finding
from flightcheck.frozen import frozen
from flightcheck.lab.candidates import Candidate
from flightcheck.lab.diffs import diff_of
from flightcheck.lab.experiments import NO_EVALUATION, STEPS, Lab, Margin
from flightcheck.lab.margins import tenth, tenth_of_error
from flightcheck.lab.metrics import LONGEST, numbers_of_evaluations, steps_of_evaluations, steps_until_told
from flightcheck.lab.printed import ANSWERED, DRAWN, PRINTED, RETURNED
from flightcheck.lab.statistics import MORE_SEEDS
from flightcheck.lab.trials import NO_PLACE
from flightcheck.patch import Patch
from flightcheck.recording.experiments import NO_TIME, Experiment
from flightcheck.recording.run import Run

OF_WIRING: Final = ("C02", "L17", "P08", "P10", "P11", "P12")
"""Facts about who learns at all: where no loss tells, the share of parameters that move does."""
_OTHER_TARGETS: Final = ("targets:unshift", "source:later:")
"""Patches that ask for something else: a lower error speaks for them, a higher one does not speak against them."""
_UNBLOCKED_STEPS: Final = 200
"""Steps in which an output that another term held at a constant begins to learn: a VAE's first 60 show nothing yet."""
_LATE_STEPS: Final = 150
"""Steps after a fault that begins late (a thaw, a second training in the script) in which its fix begins to help."""
_LATEST: Final = 3000
"""Steps before such a fault: more are too long for a trial."""
_EPISODES: Final = 2000
"""Steps in which an agent plays some dozens of episodes: scripts print their return seldom."""
_NOT_YET: Final = "not better in these steps"
_OF_ONE_LOSS: Final = {"align-shapes", "keep-graph"}
"""Kinds of patches that act on the loss at a finding's line alone."""
_OF_ANOTHER_MODEL: Final = {"step", "add-parameters"}
"""Kinds of patches that let another model learn, too: where two have losses of their own, as the opponents of a GAN
have, the error of all together need not become smaller.
"""
_LONGER: Final = 4
"""Times the steps, where the first trial of an exact finding shows nothing, or no training moved in it."""
_SLOW: Final = {"term", "inputs"}
"""Kinds of patches that may need more steps than the first trial has: a term of a VAE, inputs of saturated units."""
_MOVED: Final = 0.03
"""Share of the start: a training that has lost less has not begun to learn (batch noise over blocks is smaller)."""


@frozen
class _Plan:
    """How long a fix is tried, and by what it is judged."""

    metrics: tuple[str, ...] = ("error", "loss")
    steps: int = STEPS
    longest: int = LONGEST
    evaluates: bool = False
    margin: Margin | None = None
    since: int = 0
    of: str = ""


def _planned(run: Run, candidate: Candidate, patches: list[Patch]) -> _Plan:
    kinds = {p.kind for p in patches}
    onset, longest = candidate.finding.onset_step, LONGEST
    since = onset if candidate.info.evidence == "X" and STEPS < onset <= _LATEST else 0
    if since:  # before, both trainings are the same
        longest = onset + LONGEST
    steps, evaluates = max(STEPS, min(longest, int(1.5 * onset) + 20 if not since else onset + _LATE_STEPS)), False
    metrics: tuple[str, ...] = ("error", "loss")
    margin = tenth if candidate.info.code == "P01" and kinds == {"lr"} else None
    if kinds == {"term"}:  # what it held at a constant must begin to learn, which takes longer than to get better
        steps, margin = max(steps, _UNBLOCKED_STEPS), tenth_of_error
    if any(p.judged_by_evaluations for p in patches):
        metrics, evaluates = ("evaluation", "answers", PRINTED), True
        steps = max(steps, steps_of_evaluations(run))
    elif any(p.judged_by_numbers_of_the_script for p in patches):
        metrics, evaluates, steps = (ANSWERED,), True, max(steps, steps_of_evaluations(run))
    elif kinds & {"clamp", "precision", "unscale-first"} or candidate.info.code == "L21":
        metrics = ("loss",)  # L21: without its gradient, the term is in the loss and not in the error
    elif any(p.changes_the_loss or p.scored for p in patches) and "align-shapes" not in kinds:
        same = all(p.value == "negate" or not p.changes_the_loss for p in patches)
        metrics = ("error", PRINTED if same else ANSWERED)
        if run.in_regime("own-loss"):  # no loss that has an error: then an evaluation must be seen
            steps, evaluates = max(steps, steps_of_evaluations(run)), True
    return _Plan(metrics, steps, longest, evaluates, margin, since, _own_loss(run, candidate.finding, kinds))


def try_fix(lab: Lab, run: Run, candidate: Candidate, patches: list[Patch]) -> Experiment:
    """Try what a finding proposes, by the training's own error wherever that tells.

    Args:
        lab: with a runner of the same training.
        run: the watched run.
        candidate: the finding.
        patches: one of its alternatives, applied together.
    """
    experiment = _tried(lab, candidate, patches, _planned(run, candidate, patches))
    if experiment.status == "refuted" and (why := _unsaid(experiment, candidate)):
        experiment = replace(experiment, status="inconclusive", reason=why)
    if experiment.status == "refuted" and candidate.info.evidence in "XB":
        experiment = _by_its_own_number(lab, run, experiment, patches)
    return replace(experiment, diff=candidate.diff(patches, run))


def _tried(lab: Lab, candidate: Candidate, patches: list[Patch], plan: _Plan) -> Experiment:
    """Tried once, and in more steps where what was seen in the first ones tells nothing."""
    experiment = Experiment(candidate.info.code, " + ".join(map(str, patches)))
    for length in (plan.steps, _LONGER * plan.steps):
        earlier = experiment
        experiment = lab.try_patch(
            candidate.info.code,
            patches,
            metrics=plan.metrics,
            steps=plan.longest if _begins_later(experiment) else min(length, plan.longest),
            evaluates=plan.evaluates,
            margin=plan.margin,
            since=plan.since,
            of=plan.of,
        )
        if not experiment.seeds and earlier.seeds:
            return replace(earlier, status="inconclusive", reason=experiment.reason)  # no time for more steps
        # What is a fact may take longer to show: a loss with a floor, a schedule, dropout.
        again = candidate.info.evidence in "XB" and not experiment.patch.startswith(_OTHER_TARGETS)
        again |= _unmoved(experiment)
        # better, and not yet by enough
        again |= {p.kind for p in patches} <= _SLOW and min(experiment.differences, default=0.0) > 0
        if not _begins_later(experiment) and (experiment.status not in ("inconclusive", "refuted") or not again):
            break
    return experiment


def _unsaid(refuted: Experiment, candidate: Candidate) -> str:
    """Why a trial that did not help says nothing against its finding; empty if it does."""
    if _unmoved(refuted):
        return f"in {refuted.steps} steps neither training moved"
    if refuted.patch.startswith(_OTHER_TARGETS):
        return "the targets that are meant are not easier to predict, which is no reason to keep the others"
    code = candidate.info.code
    return f"with it {code} stays" if code in OF_WIRING and code not in refuted.gone else ""


def try_by_return(lab: Lab, run: Run, candidate: Candidate, patches: list[Patch]) -> Experiment:
    """No loss tells how well an agent does; what it gets in its episodes does, where the script prints that.

    An agent may learn after more episodes than a trial has: what is a fact is not refuted by its return.
    """
    found = lab.try_patch(candidate.info.code, patches, metrics=(RETURNED,), steps=_EPISODES, seeds=MORE_SEEDS)
    if found.status == "refuted" and candidate.info.evidence in "XB":
        found = replace(found, status="inconclusive", reason=_NOT_YET)
    return replace(found, diff=diff_of(patches, candidate.finding, run))


def try_by_number(lab: Lab, run: Run, candidate: Candidate, patches: list[Patch], reason: str) -> Experiment:
    """Where a loss compares with another model, a number of the script's own may tell how well it goes: what an agent
    gets, how far samples lie from the data. It may need more steps, so what it does not confirm is not refuted.
    """
    metrics = (DRAWN,) if run.in_regime("gan") else (RETURNED, ANSWERED)
    found = lab.try_patch(candidate.info.code, patches, metrics=metrics, steps=_EPISODES, refute=False)
    if not found.seeds and found.reason != NO_TIME:
        found = replace(found, reason=reason or found.reason)
    elif found.status == "refuted":
        found = replace(found, status="inconclusive", reason=_NOT_YET)
    return replace(found, diff=diff_of(patches, candidate.finding, run))


def try_by_samples(lab: Lab, run: Run, candidate: Candidate, patches: list[Patch]) -> Experiment:
    """With other noise the loss is another one; how far samples lie from the data is told at the end, as a rule. What
    the script's number does not confirm is not refuted: a fact needs no trial.
    """
    steps = run.info.steps + 1 if run.info.ended == "finished" else _EPISODES
    found = lab.try_patch(candidate.info.code, patches, metrics=(DRAWN, ANSWERED), steps=steps, refute=False)
    if found.status == "refuted":
        found = replace(found, status="inconclusive", reason=_NOT_YET)
    return replace(found, diff=diff_of(patches, candidate.finding, run))


def _by_its_own_number(lab: Lab, run: Run, refuted: Experiment, patches: list[Patch]) -> Experiment:
    """A fact whose fix leaves the training error as it is: the number that the script prints may tell more. And where
    there are several losses, the error may be that of another one.
    """
    if not refuted.metric.startswith(PRINTED) and numbers_of_evaluations(run):
        steps = min(LONGEST, max(refuted.steps, steps_of_evaluations(run), steps_until_told(run)))
        told = lab.try_patch(refuted.question, patches, metrics=(ANSWERED,), steps=steps, evaluates=True, refute=False)
        if told.status == "confirmed":
            return told
    losses = [s for s in run.loss_sites if s.train_calls]
    kinds = {p.kind for p in patches}
    if len(losses) > 1 and (kinds == {"keep-graph"} or (kinds <= _OF_ANOTHER_MODEL and len(run.roots) > 1)):
        return replace(refuted, status="inconclusive", reason="the error is that of all losses together")
    return refuted


def _begins_later(experiment: Experiment) -> bool:
    """What was to be seen does not begin in these steps: the fault, or what judges of it."""
    return experiment.reason.endswith(NO_PLACE) or experiment.reason == NO_EVALUATION


def _own_loss(run: Run, finding: Finding, kinds: set[str]) -> str:
    """The line of the loss that a finding is about, where there are others: they tell nothing of its fix."""
    sites = [s.location for s in run.loss_sites if s.train_calls and s.location is not None]
    at = finding.location
    if at is None or len(sites) < 2 or not kinds <= _OF_ONE_LOSS:
        return ""
    here = any((s.file, s.line) == (at.file, at.line) for s in sites)
    return f"{PurePath(at.file).name}:{at.line}" if here else ""


def _unmoved(e: Experiment) -> bool:
    """Neither training got anywhere, with the patch or without it: too few steps to refute anything."""
    if e.metric.startswith(PRINTED) or e.start is None or e.before is None or e.after is None or not e.starts:
        return False
    return min(e.before, e.after) > (1 - _MOVED) * e.start
