"""What is worth trying, in which order: the fixes of the findings, then the questions where none is the answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from flightcheck.lab.candidates import Candidate
from flightcheck.lab.diffs import diff_of
from flightcheck.lab.experiments import STEPS, Lab
from flightcheck.lab.fixes import OF_WIRING, try_by_number, try_by_return, try_by_samples, try_fix
from flightcheck.lab.kept import try_kept
from flightcheck.lab.metrics import steps_of_evaluations, steps_until_told, try_metric
from flightcheck.lab.more_steps import try_more_steps
from flightcheck.lab.questions import questions, who_sees_whom
from flightcheck.lab.script_code import sources_of
from flightcheck.lab.signs import turned
from flightcheck.lab.statistics import holm
from flightcheck.patch import Patch
from flightcheck.recording.experiments import Experiment
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
_OF_KEEPING: Final = ("copied:", "turned:")
"""Statements that keep a model: what is evaluated at the end alone tells of them."""


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
            if all(p.only_counts for p in patches) and (not reason or _without_measure(run)):
                steps = max(STEPS, steps_of_evaluations(run), steps_until_told(run))
                tried = try_metric(lab, candidate.info.code, patches, steps)
                yield replace(tried, diff=diff_of(patches, candidate.finding, run))
                continue
            agent = bool(reason) and run.in_regime("reinforcement") and _without_measure(run)
            if agent or {p.kind for p in patches} == {"episode-end"}:
                yield try_by_return(lab, run, candidate, patches)
                break
            if {p.kind for p in patches} == {"follow"} or (reason and _without_measure(run) and _tells_of_samples(run)):
                yield try_by_number(lab, run, candidate, patches, reason)
                break
            if not reason and {p.kind for p in patches} == {"noise-level"}:
                yield try_by_samples(lab, run, candidate, patches)
                break
            if reason and not _crashed(run):
                yield Experiment(candidate.info.code, " + ".join(map(str, patches)), reason=reason)
                break
            if any(p.makes_more_steps for p in patches):
                tried = try_more_steps(lab, run, candidate.info.code, patches, candidate.finding)
                yield replace(tried, diff=diff_of(patches, candidate.finding, run))
                continue
            if any(p.kind == "source" and p.value.startswith(_OF_KEEPING) for p in patches):
                meaning = str(candidate.finding.evidence.get("meaning", ""))
                tried = try_kept(lab, run, candidate.info.code, patches, meaning)
                yield replace(tried, diff=diff_of(patches, candidate.finding, run))
                continue
            experiment = try_fix(lab, run, candidate, patches)
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
    return bool(reason) and candidate.info.code in OF_WIRING and _without_measure(run)


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
