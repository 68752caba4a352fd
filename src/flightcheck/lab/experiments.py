"""One experiment: a patched training beside its control, seed after seed, until it is decided or cannot be any more."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, Literal

import numpy as np

from flightcheck.checks.registry import run_checks
from flightcheck.lab import statistics
from flightcheck.lab.printed import ALL_PRINTED, PRINTED, RETURNED, Scale, printed_name, printed_series
from flightcheck.lab.statistics import Comparison, Pair, compare
from flightcheck.lab.trials import Floats, Runner, Trained, Trial
from flightcheck.patch import Patch
from flightcheck.recording.experiments import NO_TIME, Experiment
from flightcheck.recording.run import Run

STEPS: Final = 60
"""Steps of a trial (catalogue, section 3): pilots separated good from bad learning rates by then."""
_POINTS: Final = 60
_FEW_EVALUATIONS: Final = 8
"""Evaluations of the same weights below which answers are compared one by one."""
_FIRST: Final = 5
"""Steps that show the untrained model: where a script fails before its first step, that is what it has."""

NO_EVALUATION: Final = "no evaluation that computes a loss, compares classes or prints a number was seen"
"""Why there is nothing to compare, where evaluations judge."""
TRAINED_SHARE: Final = "trained share"
"""The metric of `Lab.try_wiring`: how many of the models' parameters any step changed, from 0 to 1."""

Margin = Callable[[Pair], float]
"""The smallest improvement that counts, from the first seed's curves."""


class Lab:
    """Runs experiments until its time is over."""

    def __init__(self, runner: Runner, seconds: float, say: Callable[[str], None] = lambda text: None) -> None:
        self._runner = runner
        self._until = time.monotonic() + seconds
        self._say = say
        self._trial_seconds = 0.0

    @property
    def seconds_left(self) -> float:
        """What is left of the budget."""
        return self._until - time.monotonic()

    def run(self, trial: Trial) -> Trained:
        """One trial by itself."""
        if self._too_late():
            return Trained(trial, None, NO_TIME)
        self._say(str(trial))
        (trained,) = self._runner.run([trial], self.seconds_left)
        self._trial_seconds = max(self._trial_seconds, trained.seconds)
        return trained

    def try_patch(
        self,
        question: str,
        patches: Sequence[Patch],
        *,
        metrics: Sequence[str] = ("error", "loss"),
        steps: int = STEPS,
        evaluates: bool = False,
        seeds: int = statistics.SEEDS,
        margin: Margin | None = None,
        refute: bool = True,
        purpose: Literal["fix", "question"] = "fix",
        longer: int = 1,
        since: int = 0,
        of: str = "",
        brings: Sequence[str] = (),
    ) -> Experiment:
        """Try patches together against the unchanged training.

        Args:
            question: code of the check that asks.
            patches: applied together.
            metrics: what is compared, in order of preference; the first that all trials recorded.
            steps: per trial.
            evaluates: trials go on until an evaluation was seen.
            seeds: repetitions that a confirmation needs; some more where these promise it and differ.
            margin: the smallest improvement that counts.
            refute: go on where a confirmation is out of reach, in order to refute.
            purpose: see `Experiment.purpose`.
            longer: steps that the patched training makes of the batches of one step: errors are compared after as many
                batches.
            since: the step before which both are the same training: losses and errors count from there on.
            brings: codes of what the patch brings along, and the change that is made by hand does not.
            of: where a training has several losses, the line of the one whose error is compared (``train.py:31``).
        """
        started = time.monotonic()
        text = " + ".join(map(str, patches))
        judged = [*patches, Patch("score", f"at={of}")] if of else patches
        told = Experiment(question, text, purpose, steps=steps)
        beside: list[tuple[Trained, Trained]] = []
        most = statistics.MORE_SEEDS if seeds == statistics.SEEDS else seeds
        for seed in range(most):
            if self._too_late(2):
                told = replace(told, reason=NO_TIME)
                break
            self._say(f"{question}: {text} (seed {seed + 1} of {seeds if seed < seeds else most})")
            beside.append(self.beside(judged, seed, steps, evaluates, longer))
            try:
                metric, pairs, scale = _pairs(beside, metrics, longer, since)
                comparison = compare(pairs, scale.margin if margin is None else margin(pairs[0]), seeds)
            except _UntestedError as e:
                return replace(told, reason=str(e), seconds=time.monotonic() - started)
            except ValueError as e:
                return replace(told, status="inconclusive", reason=str(e), seconds=time.monotonic() - started)
            told = _told(told, comparison, metric, pairs, scale)
            if self._decided(comparison, refute) or (len(beside) >= seeds and not comparison.worth_more_seeds):
                break
        if beside:
            gone, new = _findings(beside[0][0].run, beside[0][1].run)
            new = [code for code in new if code not in brings]
            if told.status == "confirmed" and new:
                told = replace(told, status="inconclusive", reason=f"with it {', '.join(new)} appears")
            failed = next((one.failure for one, _ in beside if one.crashed), "")
            told = replace(told, gone=gone, reason=told.reason or (f"without it {failed}" if failed else ""))
        return replace(told, seconds=time.monotonic() - started)

    def try_wiring(self, question: str, patches: Sequence[Patch], steps: int = STEPS) -> Experiment:
        """Try patches where no loss measures progress: do parameters learn that did not, and is the finding gone?

        Confirmed if, in each of three seeds, a larger share of the parameters moves, the finding of the unchanged
        training is gone and no exact error appears. Nothing is ever refuted here.
        """
        started = time.monotonic()
        told = Experiment(question, " + ".join(map(str, patches)), metric=TRAINED_SHARE, steps=steps)
        shares: list[tuple[float, float]] = []
        gone: list[str] = []
        reason = ""
        for seed in range(statistics.SEEDS):
            if self._too_late(2):
                return replace(told, reason=NO_TIME, seconds=time.monotonic() - started)
            self._say(f"{question}: {told.patch} (seed {seed + 1} of {statistics.SEEDS})")
            control, patched = self.beside(patches, seed, steps, False)
            failure = control.failure or patched.failure
            if failure or control.run is None or patched.run is None:
                return replace(told, reason=failure, seconds=time.monotonic() - started)
            shares.append((_trained_share(control.run), _trained_share(patched.run)))
            gone, new = _findings(control.run, patched.run)
            if new:
                reason = f"with it {', '.join(new)} appears"
            elif question not in gone:
                reason = f"with it {question} stays"
            elif shares[-1][1] <= shares[-1][0]:
                reason = "with it no more parameters learn"
            if reason:
                break
        befores, afters = ([s[i] for s in shares] for i in (0, 1))
        return replace(
            told,
            status="inconclusive" if reason else "confirmed",
            reason=reason,
            before=float(np.mean(befores)),
            after=float(np.mean(afters)),
            befores=befores,
            afters=afters,
            seeds=len(shares),
            gone=gone,
            seconds=time.monotonic() - started,
        )

    def beside(
        self, patches: Sequence[Patch], seed: int, steps: int, evaluates: bool, longer: int = 1
    ) -> tuple[Trained, Trained]:
        """The training without and with the patches, from one seed; the patched one makes `longer` times the steps."""
        scored = (p if p.kind == "score" else p.scored for p in patches)
        rules = tuple(dict.fromkeys(p for p in scored if p is not None))
        changes = tuple(p for p in patches if p.kind != "score")
        pair = [Trial(rules, seed, steps, evaluates), Trial((*changes, *rules), seed, longer * steps, evaluates)]
        control, patched = self._runner.run(pair, self.seconds_left)
        self._trial_seconds = max(self._trial_seconds, control.seconds, patched.seconds)
        return control, patched

    def _too_late(self, trials: int = 1) -> bool:
        return self.seconds_left < max(0.5, 0.7 * self._trial_seconds)

    @staticmethod
    def _decided(comparison: Comparison, refute: bool) -> bool:
        if comparison.status != "inconclusive":
            return True
        hopeless = min(comparison.differences) <= comparison.margin
        return hopeless and not refute


class _UntestedError(Exception):
    """Why there is nothing to compare."""


def _pairs(
    beside: Sequence[tuple[Trained, Trained]], metrics: Sequence[str], longer: int = 1, since: int = 0
) -> tuple[str, list[Pair], Scale]:
    """The first metric that all trials recorded, and the scale of its values.

    Raises:
        _UntestedError: a trial failed, or none of the metrics is in all of them.
    """
    for failure in (t.failure for both in beside for t in both if t.failure and not (t is both[0] and t.crashed)):
        raise _UntestedError(failure)
    for metric in _in_order(metrics, beside):
        pairs = []
        if metric in ALL_PRINTED:
            name = printed_name([t for both in beside for t in both], metric)
            series = [[printed_series(t, name) for t in both] for both in beside]
            scale = Scale.of(name, [values for both in series for values in both])
            if name:
                same = [_same_training(*both) for both in beside]
                pairs = [
                    Pair(
                        scale.to(a), scale.to(b), evaluations=True, same_training=s, best=scale.best,
                        ratios=scale.logarithmic,
                    )
                    for (a, b), s in zip(series, same)
                ]  # fmt: skip
                return f"{PRINTED} {name}", pairs, scale
            continue
        for one, other in beside:
            a, b = one.series(metric, since), other.series(metric, since)
            if one.crashed and len(b):
                a = np.full(len(b), float(np.median(b[:_FIRST])))
            if not len(a) or not len(b):
                break
            if longer > 1 and metric in ("error", "loss"):
                b = b[: len(b) // longer * longer].reshape(-1, longer).mean(1)
            a, b = _padded(a, one, len(b)), _padded(b, other, len(a))
            evaluations, largest = metric in ("evaluation", "answers"), 1.0 if metric == "answers" else math.inf
            alike = evaluations and _same_training(one, other)
            pairs.append(Pair(a, b, evaluations, largest, alike, _answers(one, other) if alike else None))
        if len(pairs) == len(beside):
            return metric, pairs, Scale()
    raise _UntestedError(
        NO_EVALUATION
        if "evaluation" in metrics
        else "no return of an episode was printed"
        if RETURNED in metrics
        else "neither a loss nor an error of it was seen"
    )


def _in_order(metrics: Sequence[str], beside: Sequence[tuple[Trained, Trained]]) -> Sequence[str]:
    """Answers first, where one evaluation or a few of the same weights are all there is: each example tells, not only
    each seed.
    """
    few = max((len(t.series("answers")) for both in beside for t in both), default=0) < _FEW_EVALUATIONS
    known = all(_answers(*both) is not None and _same_training(*both) for both in beside)
    return ["answers", *metrics] if few and known and "answers" in metrics else metrics


def _answers(one: Trained, other: Trained) -> tuple[int, int, int] | None:
    """Wrong answers of the last evaluation of each, and of how many; None unless both answered as many."""
    told = [t.answered() for t in (one, other)]
    if told[0] is None or told[1] is None or told[0][1] != told[1][1]:
        return None
    return told[0][0], told[1][0], told[0][1]


def _same_training(one: Trained, other: Trained) -> bool:
    """The patch changed no step: the losses are equal, bit for bit."""
    a, b = one.series("loss"), other.series("loss")
    return bool(len(a)) and np.array_equal(a, b)


def _padded(values: Floats, trained: Trained, length: int) -> Floats:
    """A training that an exception ended has no loss any more: that is worse than any."""
    if trained.run is not None and trained.run.info.ended == "exception" and len(values) < length:
        return np.concatenate([values, np.full(length - len(values), np.nan)])
    return values


def _told(told: Experiment, c: Comparison, metric: str, pairs: list[Pair], scale: Scale) -> Experiment:
    ends = [p.blocks() for p in pairs]
    return replace(
        told,
        status=c.status,
        metric=metric,
        before=scale.back(c.before),
        after=scale.back(c.after),
        start=scale.back(c.start),
        seeds=len(pairs),
        befores=[scale.back(float(a.mean())) for a, _ in ends],
        afters=[scale.back(float(b.mean())) for _, b in ends],
        starts=[scale.back(p.untrained()) for p in pairs],
        differences=c.differences,
        low=c.low,
        high=c.high,
        margin=c.margin,
        p=c.p,
        seeds_needed=c.seeds_needed,
        controls=[_thinned(p.control, scale) for p in pairs],
        patched=[_thinned(p.patched, scale) for p in pairs],
    )


def _trained_share(run: Run) -> float:
    """Of the parameters of called models: those that an update moved."""
    called = [p for p in run.parameters if p.module >= 0]
    return sum(p.updates_nonzero > 0 for p in called) / max(len(called), 1)


def _thinned(values: Floats, scale: Scale) -> list[float]:
    picked = [scale.back(float(v)) for v in values[:: max(1, -(-len(values) // _POINTS))]]
    return [round(v, 6) if np.isfinite(v) else float("nan") for v in picked]


def _findings(control: Run | None, patched: Run | None) -> tuple[list[str], list[str]]:
    """Codes of loud findings that the patch removed, and exact errors that it brought."""
    if control is None or patched is None:
        return [], []
    before = {v.info.code for v in run_checks(control) if v.findings and v.info.severity != "info"}
    verdicts = [v for v in run_checks(patched) if v.findings and v.info.severity != "info"]
    after = {v.info.code for v in verdicts}
    new = {v.info.code for v in verdicts if v.info.evidence in "XB" and v.info.severity in ("error", "critical")}
    return sorted(before - after), sorted(new - before)
