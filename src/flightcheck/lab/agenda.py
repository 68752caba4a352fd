"""What is worth trying, in which order: the fixes of the findings first, then what no single run can show."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from flightcheck.checks.base import CheckInfo, Finding
from flightcheck.lab.diffs import diff_of
from flightcheck.lab.experiments import STEPS, Lab
from flightcheck.lab.statistics import Pair, holm
from flightcheck.lab.trials import Trained, Trial
from flightcheck.patch import Patch
from flightcheck.recording.experiments import Experiment, Probe
from flightcheck.recording.run import Run

MOST_FIXES: Final = 3
"""Findings whose fix is tried: discriminators included (catalogue, section 11.2)."""
MOST_ALTERNATIVES: Final = 2
"""Patches tried for one finding, the next only if one is not confirmed."""
_INPUT_STEPS: Final = 80
_LONG_STEPS: Final = 300
_FIT_STEPS: Final = 400
_LEAK_STEPS: Final = 4
_LONGEST: Final = 400
_LONGER: Final = 4
"""Times the steps, where the first trial of an exact finding shows nothing."""


@dataclass(frozen=True)
class Candidate:
    """A finding that may be the root cause."""

    info: CheckInfo
    finding: Finding
    rival_of: str = ""
    """Code of the root that explains it unless an experiment says otherwise: tried if that one is not confirmed."""

    @property
    def patches(self) -> list[list[Patch]]:
        """Alternatives, each a list of patches to be applied together."""
        text = self.finding.patch or self.info.patch
        return [[Patch.parse(p) for p in part.split("+")] for part in text.split("|") if part.strip()]


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


def investigate(lab: Lab, run: Run, candidates: Sequence[Candidate]) -> Iterator[Experiment]:
    """Run experiments, the most informative first, until the lab's time is over.

    Args:
        lab: with a runner of the same training.
        run: the watched run.
        candidates: what may be the root cause, the likeliest first.
    """
    reason = untestable(run)
    tested = [c for c in candidates if c.patches]
    confirmed: set[str] = set()
    for candidate in tested[:MOST_FIXES]:
        if candidate.rival_of in confirmed:
            continue
        for patches in candidate.patches[:MOST_ALTERNATIVES]:
            if reason:
                yield Experiment(candidate.info.code, _text(patches), reason=reason)
                break
            experiment = _fix(lab, run, candidate, patches)
            yield experiment
            if experiment.status == "confirmed":
                confirmed.add(candidate.info.code)
                if _is_rate(experiment):
                    yield replace(experiment, question="P01")
                break
    exact = any(c.info.evidence in "XB" and c.info.severity in ("error", "critical") for c in candidates)
    if not reason and not exact and not confirmed:
        yield from _questions(lab, run, {c.info.code for c in tested[:MOST_FIXES]})


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
    steps, evaluates = max(STEPS, min(_LONGEST, int(1.5 * candidate.finding.onset_step) + 20)), False
    metrics: tuple[str, ...] = ("error", "loss")
    margin = _tenth if candidate.info.code == "P01" and kinds == {"lr"} else None
    if "mode" in kinds:
        metrics, evaluates = ("evaluation",), True
        steps = max(steps, _steps_of_evaluations(run))
    elif kinds & {"clamp", "precision", "unscale-first"}:
        metrics = ("loss",)
    elif any(p.changes_the_loss for p in patches) and "align-shapes" not in kinds:
        metrics = ("error",)
    experiment = Experiment(candidate.info.code, _text(patches))
    # What is a fact may take longer to show: a loss with a floor, a schedule, dropout.
    longer = (steps, _LONGER * steps) if candidate.info.evidence in "XB" else (steps,)
    for length in longer:
        experiment = lab.try_patch(
            candidate.info.code,
            patches,
            metrics=metrics,
            steps=min(length, _LONGEST),
            evaluates=evaluates,
            margin=margin,
        )
        if experiment.status not in ("inconclusive", "refuted"):
            break
    return replace(experiment, diff=diff_of(patches, candidate.finding, run))


def _steps_of_evaluations(run: Run) -> int:
    """Steps that hold four evaluations, as far as the watched run tells; at most `_LONGEST`."""
    at = [e.step for e in run.evaluations]
    later = [b - a for a, b in itertools.pairwise(at) if b > a]
    between = later[0] if later else (at[0] if at else STEPS)
    return min(_LONGEST, (at[0] if at else 0) + 3 * max(between, 1) + 2)


def _questions(lab: Lab, run: Run, asked: set[str]) -> Iterator[Experiment]:
    """What no single run can show: who sees whom, is it repeatable, are inputs used, is the learning rate far off?"""
    _repeated(lab, run, _measure(lab, run, ("leaks", "gradients"), _LEAK_STEPS))
    permuted = Experiment("S02", "inputs:permute", reason="the targets are no labels of the inputs")
    if _supervised(run):
        permuted = lab.try_patch(
            "S02", [Patch("inputs", "permute")], metrics=("error",), steps=_INPUT_STEPS, seeds=1, purpose="question"
        )
    yield permuted
    found = False
    for experiment in (*_without_regularization(lab, run, permuted), *_other_rates(lab, run, asked)):
        found = found or experiment.status == "confirmed"
        yield experiment
    if _same(permuted) and not found:
        yield from _without_inputs(lab, run)


def _supervised(run: Run) -> bool:
    """The loss compares predictions with targets that come with the data: they change as the batches do.

    In contrastive learning the target is the place of a partner, the same in every step.
    """
    calls = [c for c in run.training_calls() if not c.target_requires_grad]
    targets = {(c.target_mean, c.target_std, tuple(c.label_counts or ()), *c.target_shape) for c in calls}
    batches = {b.digest for b in run.batches if b.training}
    return bool(calls) and (len(targets) > 1 or len(batches) == 1)


def _other_rates(lab: Lab, run: Run, asked: set[str]) -> Iterator[Experiment]:
    """P01 and P02: a tenth of the learning rate, ten times as much, a hundred times as much."""
    if "P01" not in asked:
        slower = lab.try_patch("P01", [Patch("lr", "x0.1")], steps=_INPUT_STEPS, margin=_tenth, refute=False)
        yield slower
        if slower.status == "confirmed":
            return
    if run.in_regime("finetune") or _warms_up(run):
        return
    for factor in ("x10", "x100"):
        faster = lab.try_patch("P02", [Patch("lr", factor)], steps=_INPUT_STEPS, margin=_fivefold, refute=False)
        yield faster
        if faster.status == "confirmed" or (faster.after is not None and faster.differences[0] < 0):
            return


def _without_inputs(lab: Lab, run: Run) -> Iterator[Experiment]:
    """The inputs made no difference: for how long, and can the model fit anything at all?"""
    still = [Patch("freeze-batch", "8"), Patch("regularization", "off")]
    fit = lab.try_patch("S01", still, steps=_FIT_STEPS, seeds=1, purpose="question")
    yield fit
    if fit.after is not None and fit.start is not None and fit.after > 0.05 * fit.start:
        rescued = [*still, Patch("optimizer", "Adam(0.003)")]
        yield lab.try_patch("S01", rescued, steps=_FIT_STEPS, seeds=1, purpose="question")
    _measure(lab, run, ("neighbours",), _LONG_STEPS)
    for value in ("zero", "permute"):
        yield lab.try_patch(
            "S02", [Patch("inputs", value)], metrics=("evaluation", "error", "loss"), steps=_LONG_STEPS,
            evaluates=True, seeds=1, purpose="question",
        )  # fmt: skip


def _without_regularization(lab: Lab, run: Run, control: Experiment) -> Iterator[Experiment]:
    """S05: where the training hardly moves, is it held back?"""
    if control.before is None or control.start is None or control.before < 0.9 * control.start:
        return
    held = {
        "dropout": any(m.kind == "dropout" and m.settings.get("p") for m in run.modules),
        "weight_decay": any(g.get("weight_decay") for o in run.optimizers if o.steps for g in o.groups),
        "label_smoothing": any(s.settings.get("label_smoothing") for s in run.loss_sites),
    }
    for name in (n for n, used in held.items() if used):
        yield lab.try_patch("S05", [Patch("regularization", name)], steps=_INPUT_STEPS, margin=_fivefold, refute=False)


def _measure(lab: Lab, run: Run, probes: tuple[str, ...], steps: int) -> Trained:
    """One trial in which nothing is changed and something is measured; the run keeps the result."""
    measured = lab.run(Trial(tuple(Patch("probe", p) for p in probes), steps=steps))
    if measured.run is not None:
        run.records.setdefault("Probe", []).extend(measured.run.probes)
    return measured


def _repeated(lab: Lab, run: Run, once: Trained) -> None:
    """T02: a trial that changes nothing has the losses of the control, bit by bit."""
    one, other = once.series("loss"), lab.run(Trial(steps=_INPUT_STEPS)).series("loss")
    n = min(len(one), len(other))
    if n:
        one, other = one[:n], other[:n]
        differs = np.flatnonzero(~((one == other) | (np.isnan(one) & np.isnan(other))))
        step = int(differs[0]) if len(differs) else -1
        size = float(abs(one[step] - other[step]) / max(abs(one[step]), 1e-30)) if step >= 0 else 0.0
        result = {"equal": step < 0, "step": step, "difference": size}
        run.records.setdefault("Probe", []).append(Probe("repeat", result))


def _same(e: Experiment) -> bool:
    """With and without the patch it ends the same: the unpatched one is not better by the margin."""
    return e.low is not None and -e.low < e.margin


def _tenth(pair: Pair) -> float:
    """P01: a tenth of what the smaller rate achieved."""
    _, after = pair.blocks()
    return max(0.1 * (pair.start() - float(after.mean())), 0.01 * abs(pair.start()))


def _fivefold(pair: Pair) -> float:
    """P02: the larger rate achieves five times as much, and at least 5 % of the start."""
    before, _ = pair.blocks()
    done = max(pair.start() - float(before.mean()), 0.0)
    return max(4 * done, 0.05 * abs(pair.start()) - done)


def _warms_up(run: Run) -> bool:
    """The schedule raises the learning rate far beyond that of the first steps."""
    from flightcheck.recording.run import NotEnoughEvidence
    from flightcheck.recording.signals import LEARNING_RATE

    try:
        rates = run.table(LEARNING_RATE, 2).values
    except NotEnoughEvidence:
        return True
    early = rates[:_INPUT_STEPS].max(initial=0.0)
    return bool(rates.max(initial=0.0) > 1.5 * early or rates[:5].max(initial=0.0) < 0.5 * early)


def _text(patches: list[Patch]) -> str:
    return " + ".join(map(str, patches))
