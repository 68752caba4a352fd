"""P21: gradients of micro-batches that are summed where their mean was meant."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

import numpy as np

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.frozen import frozen
from flightcheck.recording.provenance.shares import divided_before
from flightcheck.recording.records import Call, Location, OptimizerInfo
from flightcheck.recording.run import Run
from flightcheck.recording.signals import LOSS
from flightcheck.recording.tables import median

_FEW: Final = 5
"""Steps of the beginning and of the end."""


@frozen
class _Round:
    """One optimizer step: how many backward passes it used, and what each loss was divided by."""

    step: int
    passes: int
    divisors: tuple[float, ...]
    location: Location | None
    values: tuple[float, ...] = ()
    """On which backward was called …"""
    terms: tuple[tuple[float, ...], ...] = ()
    """… and what each loss function had returned before it; empty where that is not known."""


@check(
    "P21",
    "accumulation-scale-error",
    severity="warn",
    evidence="B",
    needs=("calls", "loss_calls", "batches"),
    fix="Divide the loss by the number of accumulated micro-batches before backward, exactly once.",
)
class AccumulationScaleError(Check):
    """Gradients of k micro-batches are accumulated, but the loss is divided by 1, or twice, and not by k.

    ## What it checks
    Rounds in which one line calls `backward` k times, for k different batches, before the optimizer steps: the
    value on which `backward` was called against the mean loss that the loss function returned. Equal: nothing was
    divided. A k-squared part: divided twice. Where several losses are weighted, their weights follow from their
    values in all rounds: where these sum to 1 or more, and no division stands on the way to backward, nothing was
    divided. A sum is a warning only where a trial with a k-th of the gradients learns better, or (of one loss) it
    ends above its start and such a trial did not show that it is no matter of the sum.
    ## Why it matters
    Accumulation is to give the gradient of one large batch. The sum is k times that: k times the learning rate for
    SGD, and clipping, epsilon and gradient norms mean something else. Another k makes another training.
    ## How to fix
    `(loss / k).backward()`; with a library that divides itself (accelerate), not once more by hand.
    ## Source
    Hugging Face transformers 34191, nanoGPT 168: gradient accumulation; identity of sum and mean.
    ## Known false alarms
    Sums over tasks, players, chunks of a sequence or single examples are meant as sums: it is a warning only where the
    step stands under a counter (`if i % k == 0`), else information. Whoever divides elsewhere (`p.grad /= k`, a hook, a
    learning rate for sums) is right, too: therefore the trial. Adam forgets the scale: its steps hardly change.
    """

    passes = Param(2, "one backward per step accumulates nothing")
    rounds = Param(3, "equal ratios in three rounds are no coincidence of values")
    tolerance = Param(2e-3, "rounding of a loss in bfloat16 (8 bits of mantissa) stays below")
    weights = Param(0.9, "their sum where nothing is divided: weights of an average sum to 1, divided by k to 1 / k")

    def __call__(self, run: Run) -> Iterator[Finding]:
        if run.in_regime("second-order", "reinforcement", "gan"):
            raise NotApplicable("several backward passes per step are of the nature of this training")
        stepping = [o for o in run.optimizers if o.steps]
        if not stepping:
            raise NotApplicable("no optimizer stepped")
        steps = {o.index: {c.step for c in run.calls if c.kind == "step" and c.subject == o.index} for o in stepping}
        ranges = sorted((min(at), max(at)) for at in steps.values() if at)
        if any(later[0] <= earlier[1] for earlier, later in pairwise(ranges)):
            raise NotApplicable("several optimizers: their backward passes belong to different losses")
        every = list(self._rounds(run))
        for optimizer in stepping:  # one after the other, each in a phase of its own
            accumulated = [r for r in every if r.passes >= self.passes.value and r.step in steps[optimizer.index]]
            if accumulated:
                break
        else:
            if len([c for c in run.calls if c.kind == "step"]) < self.rounds.value:
                raise NotEnoughEvidence("too few steps were seen")
            raise NotApplicable("one backward per step: nothing is accumulated")
        judged = [r for r in accumulated if r.divisors]
        if len(judged) < self.rounds.value:
            raise NotEnoughEvidence("the loss of a micro-batch was not seen at loss functions that take means")
        found = list(self._wrong(run, optimizer, judged))
        at = _line(judged)
        summed = not found and self._weighted(judged) >= self.weights.value
        if summed and at is not None and not divided_before(at.file, at.line):  # weights may be large and divided
            found = list(self._sum(run, optimizer, judged, exact=False))
        yield from found

    def doubtful(self, run: Run) -> Finding | None:
        """The sum under a counter, with its line and the patch of its mean: a trial tells whether it was meant."""
        try:
            told = next((f for f in self(run) if f.evidence["divisor"] == 1.0), None)
        except (NotApplicable, NotEnoughEvidence):
            return None
        return told if told is not None and told.location is not None and run.plan.counted_steps else None

    def _wrong(self, run: Run, optimizer: OptimizerInfo, rounds: list[_Round]) -> Iterator[Finding]:
        k = _usual(rounds)
        divisors = np.concatenate([r.divisors for r in rounds if r.passes == k])
        if np.all(np.abs(divisors - 1) < self.tolerance.value):
            yield from self._sum(run, optimizer, rounds, exact=True)
        elif np.all(np.abs(divisors / (k * k) - 1) < self.tolerance.value):
            yield Finding(
                f"{k} backward passes are accumulated per step, and each loss is divided by {k * k}: the division by "
                f"{k} is made twice.",
                location=_line(rounds),
                evidence={"accumulation": k, "divisor": float(k * k), "optimizer": optimizer.type},
                severity=None if run.plan.counted_steps else "info",
                patch=f"accumulate:x{k}",
                fix=f"Divide the loss by {k} once.",
            )

    def _sum(self, run: Run, optimizer: OptimizerInfo, rounds: list[_Round], *, exact: bool) -> Iterator[Finding]:
        """Nothing is divided: seen at each loss (`exact`), or by the weights of several, where a trial has to tell."""
        k, begin = _usual(rounds), min(r.step for r in rounds)
        sgd = optimizer.type in {"SGD", "ASGD"}
        effect = f" {k} times the intended one" if sgd else f": clipping, epsilon and norms see {k} times of it"
        patch = f"accumulate:x{1 / k:.6g}"
        tried = {e.status for e in run.experiments if (e.question, e.patch) == ("P21", patch)}
        harmful = "confirmed" in tried or ("refuted" not in tried and exact and _blown(run, begin))
        yield Finding(
            f"{k} backward passes are accumulated per step, and no loss is divided by {k}: the gradient is a sum"
            f"{',' if sgd else ''}{effect}.",
            location=_line(rounds),
            evidence={"accumulation": k, "divisor": 1.0, "optimizer": optimizer.type},
            onset_step=begin,
            severity=None if run.plan.counted_steps and harmful else "info",
            patch=patch,
            fix=f"Call (loss / {k}).backward(), with the number of accumulated batches as a variable.",
        )

    def _weighted(self, rounds: list[_Round]) -> float:
        """The sum of the weights with which several losses stand in what backward was called on; 0 if they do not."""
        count = Counter(len(r.terms[0]) for r in rounds).most_common(1)[0][0]
        seen = [(v, t) for r in rounds for v, t in zip(r.values, r.terms) if len(t) == count]
        if count < 2 or len(seen) < self.rounds.value * count:
            return 0.0
        values, terms = np.array([v for v, _ in seen]), np.array([t for _, t in seen])
        weights, _, rank, _ = np.linalg.lstsq(terms, values, rcond=None)
        off = np.abs(terms @ weights - values).max() / max(np.abs(values).max(), 1e-12)
        return float(weights.sum()) if rank == count and off < self.tolerance.value else 0.0

    def _rounds(self, run: Run) -> Iterator[_Round]:
        backwards: dict[int, list[Call]] = defaultdict(list)
        for call in run.calls:
            if call.kind == "backward":
                backwards[call.step].append(call)
        losses: dict[int, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
        means = {s.index for s in run.loss_sites if s.settings.get("reduction", "mean") in ("mean", "batchmean")}
        for observed in run.loss_calls:
            if observed.training:
                losses[observed.step][observed.site].append(
                    observed.value if observed.site in means and observed.value is not None else float("nan")
                )
        different = _different(run)
        unseen = bool(different) and all(different.values())
        """Batches of later rounds are not looked at: they are as those of the first ones."""
        for step, calls in backwards.items():
            if len({c.location for c in calls}) != 1 or not any(
                c.kind == "step" and c.step == step and c.data.get("fresh", True) for c in run.calls
            ):
                continue
            values, terms = self._terms(calls, losses[step])
            divisors = tuple(sum(t) / v for v, t in zip(values, terms))
            yield _Round(
                step, len(calls) if different.get(step, unseen) else 1, divisors, calls[0].location, values, terms
            )

    @staticmethod
    def _terms(
        calls: list[Call], sites: dict[int, list[float]]
    ) -> tuple[tuple[float, ...], tuple[tuple[float, ...], ...]]:
        """What each backward was called on, and what the loss functions had returned; empty where that is not known."""
        if not sites or any(len(found) != len(calls) for found in sites.values()):
            return (), ()
        values = [c.data.get("value") for c in calls]
        terms = tuple(zip(*(sites[s] for s in sorted(sites))))
        if any(not v for v in values) or not np.isfinite(np.array(terms)).all():
            return (), ()
        return tuple(float(v) for v in values if v), terms


def _different(run: Run) -> dict[int, bool]:
    """Steps in which several batches were looked at → no model was given one of them twice."""
    fed: dict[int, dict[tuple[int, str], list[str]]] = defaultdict(lambda: defaultdict(list))
    for batch in run.batches:
        if batch.training:
            fed[batch.step][batch.root, batch.argument].append(batch.digest)
    most = {step: max(arguments.values(), key=lambda d: len(set(d))) for step, arguments in fed.items()}
    return {step: len(set(digests)) == len(digests) for step, digests in most.items() if len(digests) > 1}


def _usual(rounds: list[_Round]) -> int:
    """Backward passes of most rounds."""
    return Counter(r.passes for r in rounds).most_common(1)[0][0]


def _line(rounds: list[_Round]) -> Location | None:
    return next((r.location for r in rounds if r.location), None)


def _blown(run: Run, begin: int) -> bool:
    """The loss ends above its start: steps are too large, and the sum makes them k times as large."""
    losses = run.series(LOSS) if LOSS.name in run.frames else None
    values = losses.values[losses.steps >= begin] if losses is not None else np.zeros(0)
    finite = values[np.isfinite(values)]
    if len(finite) < 2 * _FEW:
        return len(values) > len(finite) > 0
    return median(finite[-max(_FEW, len(finite) // 10) :]) > median(finite[:_FEW])
