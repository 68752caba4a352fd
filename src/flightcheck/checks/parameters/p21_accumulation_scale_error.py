"""P21: gradients of micro-batches that are summed where their mean was meant."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Final

import numpy as np

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.frozen import frozen
from flightcheck.recording.records import Call, Location, OptimizerInfo
from flightcheck.recording.run import Run
from flightcheck.recording.signals import LOSS
from flightcheck.recording.tables import median

_FEW: Final = 5
"""Steps of the beginning and of the end."""


@frozen
class _Round:
    """One optimizer step: how many backward passes it used, and what each loss was divided by."""

    passes: int
    divisors: tuple[float, ...]
    location: Location | None


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
    Rounds in which one line calls `backward` k times, for k different batches, before the optimizer steps: the value
    on which `backward` was called against the mean loss that the loss function returned. Equal: nothing was divided.
    A k-squared part: divided twice. A sum is a warning only where a trial with a k-th of the gradients learns better,
    or the loss ends above its start and such a trial did not show that it is no matter of the sum.
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

    def __call__(self, run: Run) -> Iterator[Finding]:
        if run.in_regime("second-order", "reinforcement", "gan"):
            raise NotApplicable("several backward passes per step are of the nature of this training")
        stepping = [o for o in run.optimizers if o.steps]
        if not stepping:
            raise NotApplicable("no optimizer stepped")
        if len(stepping) > 1:
            raise NotApplicable("several optimizers: their backward passes belong to different losses")
        rounds = [r for r in self._rounds(run, stepping[0]) if r.passes >= self.passes.value]
        if not rounds:
            if len([c for c in run.calls if c.kind == "step"]) < self.rounds.value:
                raise NotEnoughEvidence("too few steps were seen")
            raise NotApplicable("one backward per step: nothing is accumulated")
        judged = [r for r in rounds if r.divisors]
        if len(judged) < self.rounds.value:
            raise NotEnoughEvidence("the loss of a micro-batch was not seen at a loss function that takes means")
        yield from self._wrong(run, stepping[0], judged)

    def doubtful(self, run: Run) -> tuple[Location, str] | None:
        """The line of a sum under a counter, and the patch of its mean: a trial tells whether that was meant."""
        try:
            told = next((f for f in self(run) if f.evidence["divisor"] == 1.0), None)
        except (NotApplicable, NotEnoughEvidence):
            return None
        counted = told is not None and told.location is not None and run.plan.counted_steps
        return (told.location, told.patch) if counted and told is not None and told.location is not None else None

    def _wrong(self, run: Run, optimizer: OptimizerInfo, rounds: list[_Round]) -> Iterator[Finding]:
        k = Counter(r.passes for r in rounds).most_common(1)[0][0]
        divisors = np.concatenate([r.divisors for r in rounds if r.passes == k])
        line = next((r.location for r in rounds if r.location), None)
        if np.all(np.abs(divisors - 1) < self.tolerance.value):
            sgd = optimizer.type in {"SGD", "ASGD"}
            effect = f" {k} times the intended one" if sgd else f": clipping, epsilon and norms see {k} times of it"
            patch = f"accumulate:x{1 / k:.6g}"
            tried = {e.status for e in run.experiments if (e.question, e.patch) == ("P21", patch)}
            harmful = "confirmed" in tried or ("refuted" not in tried and self._blown(run))
            yield Finding(
                f"{k} backward passes are accumulated per step, and no loss is divided by {k}: the gradient is a sum"
                f"{',' if sgd else ''}{effect}.",
                location=line,
                evidence={"accumulation": k, "divisor": 1.0, "optimizer": optimizer.type},
                severity=None if run.plan.counted_steps and harmful else "info",
                patch=patch,
                fix=f"Call (loss / {k}).backward(), with the number of accumulated batches as a variable.",
            )
        elif np.all(np.abs(divisors / (k * k) - 1) < self.tolerance.value):
            yield Finding(
                f"{k} backward passes are accumulated per step, and each loss is divided by {k * k}: the division by "
                f"{k} is made twice.",
                location=line,
                evidence={"accumulation": k, "divisor": float(k * k), "optimizer": optimizer.type},
                severity=None if run.plan.counted_steps else "info",
                patch=f"accumulate:x{k}",
                fix=f"Divide the loss by {k} once.",
            )

    @staticmethod
    def _blown(run: Run) -> bool:
        """The loss ends above its start: steps are too large, and the sum makes them k times as large."""
        losses = run.series(LOSS).values if LOSS.name in run.frames else np.zeros(0)
        finite = losses[np.isfinite(losses)]
        if len(finite) < 2 * _FEW:
            return len(losses) > len(finite) > 0
        return median(finite[-max(_FEW, len(finite) // 10) :]) > median(finite[:_FEW])

    def _rounds(self, run: Run, optimizer: OptimizerInfo) -> Iterator[_Round]:
        backwards: dict[int, list[Call]] = defaultdict(list)
        for call in run.calls:
            if call.kind == "backward":
                backwards[call.step].append(call)
        losses: dict[int, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
        means = {s.index for s in run.loss_sites if s.settings.get("reduction", "mean") == "mean"}
        for observed in run.loss_calls:
            if observed.training:
                losses[observed.step][observed.site].append(
                    observed.value if observed.site in means and observed.value is not None else float("nan")
                )
        fed: dict[int, dict[tuple[int, str], set[str]]] = defaultdict(lambda: defaultdict(set))
        for batch in run.batches:
            if batch.training:
                fed[batch.step][batch.root, batch.argument].add(batch.digest)
        for step, calls in backwards.items():
            if len({c.location for c in calls}) != 1 or not any(
                c.kind == "step" and c.step == step and c.data.get("fresh", True) for c in run.calls
            ):
                continue
            different = max((len(d) for d in fed[step].values()), default=0)
            yield _Round(
                len(calls) if different >= len(calls) else 1,
                self._divisors(calls, losses[step]),
                calls[0].location,
            )

    @staticmethod
    def _divisors(calls: list[Call], sites: dict[int, list[float]]) -> tuple[float, ...]:
        """What each loss was divided by between the loss function and backward; empty where that is not known."""
        if not sites or any(len(values) != len(calls) for values in sites.values()):
            return ()
        totals = np.sum(list(sites.values()), axis=0)
        values = [c.data.get("value") for c in calls]
        if any(not v for v in values) or not np.isfinite(totals).all():
            return ()
        return tuple(float(t / v) for t, v in zip(totals, values) if v)
