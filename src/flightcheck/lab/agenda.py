"""What is worth trying, in which order: the fixes of the findings, then the questions where none is the answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import Final

from flightcheck.checks.base import CheckInfo, Finding
from flightcheck.frozen import frozen
from flightcheck.lab.diffs import diff_of
from flightcheck.lab.experiments import NO_EVALUATION, STEPS, Lab
from flightcheck.lab.kept import try_kept
from flightcheck.lab.margins import tenth, tenth_of_error
from flightcheck.lab.metrics import LONGEST, numbers_of_evaluations, steps_of_evaluations, steps_until_told, try_metric
from flightcheck.lab.more_steps import try_more_steps
from flightcheck.lab.printed import ANSWERED, DRAWN, PRINTED, RETURNED
from flightcheck.lab.questions import questions, who_sees_whom
from flightcheck.lab.script_code import sources_of
from flightcheck.lab.signs import turned
from flightcheck.lab.statistics import MORE_SEEDS, holm
from flightcheck.lab.trials import NO_PLACE
from flightcheck.patch import Patch, alternatives
from flightcheck.recording.experiments import NO_TIME, Experiment
from flightcheck.recording.output import OutputPart, lines_of
from flightcheck.recording.printed import is_of_samples, numbers_in
from flightcheck.recording.run import Run
from flightcheck.recording.written_output import written_lines

MOST_FIXES: Final = 3
"""Findings whose fix is tried: discriminators included (catalogue, section 11.2)."""
MOST_ALTERNATIVES: Final = 2
"""Patches tried for one finding, the next only if one is not confirmed."""
_ROUNDS: Final = 2
"""Diagnoses whose fixes are tried: the first, and the one after it was refuted."""
_OF_SIGNAL: Final = ("C05", "C06", "C07", "C08")
"""What bad initial weights look like: if other weights mend it, C09 asks whether they were bad."""
_OF_WIRING: Final = ("C02", "L17", "P08", "P10", "P11", "P12")
"""Facts about who learns at all: where no loss tells, the share of parameters that move does."""
_OF_KEEPING: Final = ("copied:", "turned:")
"""Statements that keep a model: what is evaluated at the end alone tells of them."""
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
_TOGETHER: Final = "keep-graph:"
"""Patches at a line of which all that a check proposes are tried at once."""
_LONGER: Final = 4
"""Times the steps, where the first trial of an exact finding shows nothing, or no training moved in it."""
_SLOW: Final = {"term", "inputs"}
"""Kinds of patches that may need more steps than the first trial has: a term of a VAE, inputs of saturated units."""
_MOVED: Final = 0.03
"""Share of the start: a training that has lost less has not begun to learn (batch noise over blocks is smaller)."""


@frozen
class Candidate:
    """A finding that may be the root cause."""

    info: CheckInfo
    finding: Finding
    rival_of: str = ""
    """Code of the root that explains it unless an experiment says otherwise: tried if that one is not confirmed."""
    of_its_code: tuple[Finding, ...] = ()
    """All root findings of this code that propose a fix of their own, this one among them."""

    @property
    def patches(self) -> list[list[Patch]]:
        """Alternatives, each a list of patches to be applied together."""
        text = self.finding.patch or self.info.patch
        together = [f.patch for f in self._together]
        if together:  # two cuts of one graph: mending one of them shows little
            text = " + ".join(together) + f" | {text}"
        return [[Patch.parse(p) for p in parts] for parts in alternatives(text)]

    @property
    def _together(self) -> tuple[Finding, ...]:
        """Findings at other places of which each needs its own part of one change."""
        own = self.of_its_code
        return own if len({f.patch for f in own}) > 1 and all(f.patch.startswith(_TOGETHER) for f in own) else ()

    def diff(self, patches: list[Patch], run: Run) -> str:
        """What a user would change by hand, at each place its own line."""
        if len(patches) == len(self._together):
            parts = [diff_of([p], f, run) for p, f in zip(patches, self._together)]
            return "\n".join(filter(None, parts))
        return diff_of(patches, self.finding, run)


def untestable(run: Run) -> str:
    """Why nothing can be tried in this training, in words; empty if it can."""
    if run.info.steps == 0:
        return "no optimizer stepped"
    if run.info.ended == "interrupted":
        return "the script was interrupted"
    if run.info.ranks > 1:
        return "several processes train together"
    if run.in_regime("gan"):
        return "the losses of players against each other do not measure progress"
    if run.in_regime("reinforcement"):
        return "the data depend on the model: two runs do not see the same"
    if run.in_regime("compiled"):
        return "the model is compiled"
    return ""


def _without_measure(run: Run) -> bool:
    """It could be tried but for its loss, which does not tell whether it goes better."""
    return (
        bool(run.info.steps)
        and run.in_regime("gan", "reinforcement")
        and not (run.in_regime("compiled") or run.info.ranks > 1 or run.info.ended == "interrupted")
    )


def investigate(
    lab: Lab,
    run: Run,
    candidates: Sequence[Candidate],
    diagnosed_again: Callable[[Sequence[Experiment]], Sequence[Candidate]] = lambda found: (),
) -> Iterator[Experiment]:
    """Run experiments, the most informative first, until the lab's time is over.

    Args:
        lab: with a runner of the same training.
        run: the watched run.
        candidates: what may be the root cause, the likeliest first.
        diagnosed_again: what may be the root cause after these experiments: where a suspicion was refuted, something
            that it explained stands alone.
    """
    reason = untestable(run)
    found: list[Experiment] = []
    asked: set[str] = set()
    seen: list[Candidate] = []
    waiting = list(candidates)
    for _ in range(_ROUNDS):
        seen += waiting
        tested = [c for c in waiting if c.patches][:MOST_FIXES]
        asked |= {c.info.code for c in tested}
        for experiment in _fixes(lab, run, tested, reason):
            found.append(experiment)
            yield experiment
        agent = run.in_regime("reinforcement")
        if reason and agent and "L19" not in asked and not _confirmed(found) and _without_measure(run):
            yield from turned(lab, run)
        if reason or _confirmed(found):
            return
        waiting = [c for c in diagnosed_again(found) if c.info.code not in {s.info.code for s in seen}]
    if not any(_is_exact_error(c) for c in seen):
        who_sees_whom(lab, run)
        for experiment in _late_fixes(
            lab, run, found, seen, lambda told: filter(_is_exact_error, diagnosed_again(told))
        ):
            found.append(experiment)
            yield experiment
        if _confirmed(found):
            return
        for experiment in questions(lab, run, asked):
            found.append(experiment)
            yield experiment
        yield from _late_fixes(lab, run, found, seen, diagnosed_again)


def _late_fixes(
    lab: Lab,
    run: Run,
    found: Sequence[Experiment],
    seen: Sequence[Candidate],
    diagnosed_again: Callable[[Sequence[Experiment]], Iterable[Candidate]],
) -> Iterator[Experiment]:
    """The fix of what only a probe or the questions showed: a model that sees the future, labels of other inputs."""
    known = {c.info.code for c in seen} | {e.question for e in found}
    if not _confirmed(found):
        late = [c for c in diagnosed_again(found) if c.info.code not in known and c.patches]
        yield from _fixes(lab, run, late[:1], "")


def _fixes(lab: Lab, run: Run, tested: Sequence[Candidate], reason: str) -> Iterator[Experiment]:
    """Try what the findings propose, one after another."""
    confirmed: set[str] = set()
    for candidate in tested:
        if candidate.rival_of in confirmed:
            continue
        for patches in candidate.patches[:MOST_ALTERNATIVES]:
            if _judged_by_wiring(run, candidate, patches, reason):
                wired = lab.try_wiring(candidate.info.code, patches)
                yield replace(wired, diff=diff_of(patches, candidate.finding, run))
                break
            agent = bool(reason) and run.in_regime("reinforcement") and _without_measure(run)
            if agent or {p.kind for p in patches} == {"episode-end"}:
                yield _by_return(lab, run, candidate, patches)
                break
            if {p.kind for p in patches} == {"follow"} or (reason and _without_measure(run) and _tells_of_samples(run)):
                yield _by_number(lab, run, candidate, patches, reason)
                break
            if not reason and {p.kind for p in patches} == {"noise-level"}:
                yield _by_samples(lab, run, candidate, patches)
                break
            if reason and not _crashed(run):
                yield Experiment(candidate.info.code, _text(patches), reason=reason)
                break
            if all(p.only_counts for p in patches):
                steps = max(STEPS, steps_of_evaluations(run), steps_until_told(run))
                tried = try_metric(lab, candidate.info.code, patches, steps)
                yield replace(tried, diff=diff_of(patches, candidate.finding, run))
                continue
            if any(p.makes_more_steps for p in patches):
                tried = try_more_steps(lab, run, candidate.info.code, patches, candidate.finding)
                yield replace(tried, diff=diff_of(patches, candidate.finding, run))
                continue
            if any(p.kind == "source" and p.value.startswith(_OF_KEEPING) for p in patches):
                meaning = str(candidate.finding.evidence.get("meaning", ""))
                tried = try_kept(lab, run, candidate.info.code, patches, meaning)
                yield replace(tried, diff=diff_of(patches, candidate.finding, run))
                continue
            experiment = _fix(lab, run, candidate, patches)
            yield experiment
            if experiment.status == "confirmed":
                confirmed.add(candidate.info.code)
                if _is_rate(experiment):
                    yield replace(experiment, question="P01")
                if candidate.info.code in _OF_SIGNAL and patches[0].kind == "reinit":
                    yield replace(experiment, question="C09")
                break


def _judged_by_wiring(run: Run, candidate: Candidate, patches: list[Patch], reason: str) -> bool:
    """A fact about who learns, where no loss tells. Two optimizers over the same parameters were meant for two players:
    what one of them learns is the other one's loss.
    """
    if any(p.kind == "add-parameters" and p.value.startswith("instead") for p in patches):
        return not reason or _without_measure(run)
    return bool(reason) and candidate.info.code in _OF_WIRING and _without_measure(run)


def _by_return(lab: Lab, run: Run, candidate: Candidate, patches: list[Patch]) -> Experiment:
    """No loss tells how well an agent does; what it gets in its episodes does, where the script prints that.

    An agent may learn after more episodes than a trial has: what is a fact is not refuted by its return.
    """
    found = lab.try_patch(candidate.info.code, patches, metrics=(RETURNED,), steps=_EPISODES, seeds=MORE_SEEDS)
    if found.status == "refuted" and candidate.info.evidence in "XB":
        found = replace(found, status="inconclusive", reason=_NOT_YET)
    return replace(found, diff=diff_of(patches, candidate.finding, run))


def _by_number(lab: Lab, run: Run, candidate: Candidate, patches: list[Patch], reason: str) -> Experiment:
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


def _by_samples(lab: Lab, run: Run, candidate: Candidate, patches: list[Patch]) -> Experiment:
    """With other noise the loss is another one; how far samples lie from the data is told at the end, as a rule. What
    the script's number does not confirm is not refuted: a fact needs no trial.
    """
    steps = run.info.steps + 1 if run.info.ended == "finished" else _EPISODES
    found = lab.try_patch(candidate.info.code, patches, metrics=(DRAWN, ANSWERED), steps=steps, refute=False)
    if found.status == "refuted":
        found = replace(found, status="inconclusive", reason=_NOT_YET)
    return replace(found, diff=diff_of(patches, candidate.finding, run))


def _tells_of_samples(run: Run) -> bool:
    """The script prints how far what its model draws lies from the data, or is going to by its text."""
    lines = [line.text for line in lines_of(run.recorded(OutputPart))]
    lines += [line for source in sources_of(run) for line in written_lines(source)]
    return any(is_of_samples(name) for line in lines for name, _ in numbers_in(line))


def _is_exact_error(candidate: Candidate) -> bool:
    return candidate.info.evidence in "XB" and candidate.info.severity in ("error", "critical")


def _crashed(run: Run) -> bool:
    """An exception ended the script before its first step: a fix may show that it trains."""
    return run.info.ended == "exception" and not run.info.steps


def _confirmed(found: Sequence[Experiment]) -> bool:
    return any(e.status == "confirmed" for e in found)


def _is_rate(e: Experiment) -> bool:
    """What a smaller learning rate mends is the learning rate's fault, by P01's own margin."""
    gains = zip(e.befores, e.afters, e.starts, strict=True)
    return e.question != "P01" and e.patch.startswith("lr:x0") and all(b - a > 0.1 * (s - a) for b, a, s in gains)


def adjusted(experiments: Sequence[Experiment], alpha: float) -> list[Experiment]:
    """The experiments with p values adjusted for their number; a confirmation that does not survive is none."""
    tested = [i for i, e in enumerate(experiments) if e.p is not None]
    values = dict(zip(tested, holm([float(experiments[i].p or 0.0) for i in tested]), strict=True))
    told = []
    for i, e in enumerate(experiments):
        if i in values:
            lost = e.status == "confirmed" and values[i] >= alpha
            told.append(replace(e, p=values[i], status="inconclusive" if lost else e.status))
        else:
            told.append(e)
    return told


def _fix(lab: Lab, run: Run, candidate: Candidate, patches: list[Patch]) -> Experiment:
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
    experiment = Experiment(candidate.info.code, _text(patches))
    asks_for_another = experiment.patch.startswith(_OTHER_TARGETS)
    for length in (steps, _LONGER * steps):
        earlier = experiment
        experiment = lab.try_patch(
            candidate.info.code,
            patches,
            metrics=metrics,
            steps=longest if _begins_later(experiment) else min(length, longest),
            evaluates=evaluates,
            margin=margin,
            since=since,
            of=_own_loss(run, candidate.finding, kinds),
        )
        if not experiment.seeds and earlier.seeds:
            experiment = replace(earlier, status="inconclusive", reason=experiment.reason)  # no time for more steps
            break
        # What is a fact may take longer to show: a loss with a floor, a schedule, dropout.
        again = (candidate.info.evidence in "XB" and not asks_for_another) or _unmoved(experiment)
        again |= kinds <= _SLOW and min(experiment.differences, default=0.0) > 0  # better, and not yet by enough
        if not _begins_later(experiment) and (experiment.status not in ("inconclusive", "refuted") or not again):
            break
    if experiment.status == "refuted" and _unmoved(experiment):
        why = f"in {experiment.steps} steps neither training moved"
        experiment = replace(experiment, status="inconclusive", reason=why)
    if experiment.status == "refuted" and asks_for_another:
        why = "the targets that are meant are not easier to predict, which is no reason to keep the others"
        experiment = replace(experiment, status="inconclusive", reason=why)
    stays = candidate.info.code in _OF_WIRING and candidate.info.code not in experiment.gone
    if experiment.status == "refuted" and stays:
        why = f"with it {candidate.info.code} stays"
        experiment = replace(experiment, status="inconclusive", reason=why)
    if experiment.status == "refuted" and candidate.info.evidence in "XB":
        experiment = _by_its_own_number(lab, run, experiment, patches)
    return replace(experiment, diff=candidate.diff(patches, run))


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


def _text(patches: list[Patch]) -> str:
    return " + ".join(map(str, patches))
