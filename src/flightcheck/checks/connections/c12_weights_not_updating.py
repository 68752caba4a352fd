"""C12: the optimizer steps with a gradient, and the weights stay bit-identical."""

from __future__ import annotations

from collections.abc import Iterator

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.checks.depth import common_path, most_common
from flightcheck.recording.records import ParameterInfo
from flightcheck.recording.run import Run


@check(
    "C12",
    "weights-not-updating",
    severity="error",
    evidence="X",
    needs=("parameters",),
    fix="Find out what undoes the step: a learning rate of 0, a hook, a copy of the weights, or too low precision.",
)
class WeightsNotUpdating(Check):
    """A weight had a non-zero gradient in every step and never changed by a single bit.

    ## What it checks
    In at least 5 steps of an optimizer that holds the tensor its gradient was not zero, and the tensor was
    bit-identical before and after every compared step.
    ## Why it matters
    What does not change does not learn. A symptom with an exact cause: learning rate 0, updates below the precision of
    the weights, weights overwritten or restored, an optimizer that was handed other tensors.
    ## How to fix
    See the root cause; `flightcheck` names it where it can.
    ## Source
    mltest, torcheck, SageMaker UnchangedTensor.
    ## Known false alarms
    Biases and gains are left out (a bias before a normalization has a gradient of rounding noise), and parameter groups
    whose learning rate is 0 while other groups learn.
    """

    steps = Param(5, "a warm-up may start at learning rate 0, a loss scaler may skip the first steps")

    def __call__(self, run: Run) -> Iterator[Finding]:
        trained = [p for p in run.parameters if run.trained(p) and p.role in ("matrix", "embedding")]
        frozen_by_rate = _frozen_by_rate(run)
        trained = [p for p in trained if p.index not in frozen_by_rate]
        if not trained:
            raise NotApplicable("no optimizer that steps holds a weight matrix")
        seen = [p for p in trained if min(p.update_checks, p.gradients_nonzero) >= self.steps.value]
        if not seen:
            if all(p.gradient_checks >= self.steps.value and p.gradients_nonzero < self.steps.value for p in trained):
                raise NotApplicable("no weight had a gradient (C02)")
            most = max(p.update_checks for p in trained)
            raise NotEnoughEvidence(
                f"values before and after a step were compared in {most} of {self.steps.value:.0f} steps"
            )
        still = [p for p in seen if p.updates_nonzero == 0]
        if not still:
            return
        modules = [m for p in still if (m := run.module(p.module)) is not None]
        holders = {o for p in still for o in p.optimizers}
        place = common_path(m.path for m in modules) or still[0].name
        yield Finding(
            f"{len(still)} of {len(seen)} weights ({place}) were bit-identical after each of "
            f"{min(p.update_checks for p in still)} compared steps, although their gradients were not zero.",
            location=most_common(o.step_location or o.location for o in run.optimizers if o.index in holders),
            module=place,
            evidence={"still": len(still), "of": len(seen)},
            parameters=tuple(p.index for p in still),
        )


def _frozen_by_rate(run: Run) -> set[int]:
    """Parameters in groups with learning rate 0 beside groups that learn: frozen on purpose."""
    found: set[int] = set()
    for optimizer in run.optimizers:
        rates = [float(group.get("lr", 1.0)) for group in optimizer.groups]
        if not any(rates):
            continue
        start = 0
        for group, rate in zip(optimizer.groups, rates):
            count = int(group.get("parameters", 0))
            if rate == 0.0:
                found.update(optimizer.parameters[start : start + count])
            start += count
    return found - _held_elsewhere(run, found)


def _held_elsewhere(run: Run, indices: set[int]) -> set[int]:
    held: list[ParameterInfo] = [p for p in run.parameters if p.index in indices]
    return {p.index for p in held if len(set(p.optimizers)) > 1}
