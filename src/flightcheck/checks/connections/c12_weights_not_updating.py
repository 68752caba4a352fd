"""C12: the optimizer steps with a gradient, and the weights stay bit-identical."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.checks.depth import common_path, most_common
from flightcheck.recording.records import ParameterInfo
from flightcheck.recording.run import Run
from flightcheck.recording.signals import GRAD_NORM, LEARNING_RATE, NOT_THERE, UPDATE_NORM, WEIGHT_NORM
from flightcheck.recording.wiring import ReboundParameter


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
    bit-identical before and after every compared step. Or all tensors of all optimizers moved before and are
    bit-identical in each of the last 10 compared steps: no gradient reaches them any more, or one does. Or no optimizer
    steps, the weights stay as they are, and a loop over the parameters ends with `p = p - lr * p.grad`.
    ## Why it matters
    What does not change does not learn. A symptom with an exact cause: learning rate 0, updates below the precision of
    the weights, weights overwritten or restored, an optimizer that was handed other tensors.
    ## How to fix
    See the root cause; `flightcheck` names it where it can.
    ## Source
    mltest, torcheck, SageMaker UnchangedTensor.
    ## Known false alarms
    Biases and gains are left out (a bias before a normalization has a gradient of rounding noise), and parameter groups
    whose learning rate is 0 while other groups learn. LBFGS (an optimizer with a closure) stands still once it has
    converged: inconclusive, as is a standstill at the end that a learning rate of nearly 0 or gradients of exactly 0
    (all margins kept) explain.
    """

    steps = Param(5, "a warm-up may start at learning rate 0, a loss scaler may skip the first steps")
    standstill = Param(10, "steps without any move: a loss scaler skips fewer in a row, and those are not compared")
    rate = Param(1e-3, "share of the largest learning rate below which rounding may undo every step")

    def __call__(self, run: Run) -> Iterator[Finding]:
        if renamed := list(self._renamed(run)):
            yield from renamed
            return
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
            yield from self._standstill(run)
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

    def _renamed(self, run: Run) -> Iterator[Finding]:
        """Without an optimizer: gradients in every round, and a statement that moves a name and no parameter."""
        lines = [r.location for r in run.recorded(ReboundParameter)]
        if not lines or any(o.steps for o in run.optimizers):
            return
        reached = [p for p in run.parameters if p.module >= 0 and p.gradients_nonzero >= self.steps.value]
        if not reached:
            return
        norms = run.table(WEIGHT_NORM, int(self.steps.value))
        columns = [norms.column(p.index).values for p in reached]
        if all(len(c) >= self.steps.value and float(np.ptp(c)) == 0.0 for c in columns):
            yield Finding(
                f"No optimizer steps, and this line gives a name another value, not the parameter: {len(reached)} "
                f"parameters were the same in each of {min(map(len, columns))} rounds, although they had gradients.",
                location=lines[0],
                evidence={"still": len(reached), "of": len(reached)},
                parameters=tuple(p.index for p in reached),
                fix="Change the parameter in place under torch.no_grad(): p -= lr * p.grad, or use torch.optim.SGD.",
            )

    def _standstill(self, run: Run) -> Iterator[Finding]:
        """What moved before, and moves no more: nothing that any optimizer holds."""
        count = int(self.standstill.value)
        trained = [p for p in run.parameters if run.trained(p)]
        try:
            updates = run.table(UPDATE_NORM, count + 1)
        except NotEnoughEvidence:
            return
        columns = [p.index for p in trained if p.index < updates.values.shape[1]]
        moves = np.where(updates.recorded, updates.values, NOT_THERE)[:, columns]
        compared = (moves != NOT_THERE).any(axis=1)
        steps, moved = updates.steps[compared], ((moves != NOT_THERE) & (moves != 0)).any(axis=1)[compared]
        last = int(np.flatnonzero(moved)[-1]) if moved.any() else -1
        since = len(steps) - 1 - last
        if last < 0 or since < count:
            return
        start = int(steps[last + 1])
        if any(o.stands_for_later for o in run.optimizers):
            raise NotEnoughEvidence(f"nothing that is followed has moved since step {start}; later models are not")
        self._explained(run, start, columns)
        stepping = [o for o in run.optimizers if o.steps]
        if any(o.closure for o in stepping):
            raise NotEnoughEvidence(f"nothing has moved since step {start}: LBFGS stands still once it has converged")
        reached = _gradients(run, start, columns)
        yield Finding(
            f"Since step {start} nothing that an optimizer holds has moved: {len(columns)} tensors were bit-identical "
            f"after each of {since} compared steps, "
            + ("although their gradients were not zero." if reached else "and no gradient reaches any of them."),
            location=most_common(o.step_location or o.location for o in stepping),
            evidence={"still": len(columns), "of": len(columns), "since": start},
            onset_step=start,
            parameters=tuple(columns),
        )

    def _explained(self, run: Run, start: int, columns: list[int]) -> None:
        """Raise `NotEnoughEvidence` where a learning rate or gradients of 0 let everything stand still."""
        rates = run.table(LEARNING_RATE, 1)
        late = rates.values[rates.steps >= start]
        largest = float(np.nanmax(rates.values, initial=0.0))
        if not late.size or float(np.nanmax(late)) <= self.rate.value * largest:
            raise NotEnoughEvidence(f"nothing has moved since step {start}: the learning rate is (nearly) 0")
        gradients = run.table(GRAD_NORM, 1)
        there = [c for c in columns if c < gradients.values.shape[1]]
        after = gradients.values[gradients.steps >= start][:, there]
        if after.size and bool((after == 0).any()) and not bool((after > 0).any()):
            raise NotEnoughEvidence(f"nothing has moved since step {start}: all gradients are exactly 0")
        if not after.size or bool((~np.isfinite(after[after != NOT_THERE])).any()):
            raise NotEnoughEvidence(f"nothing has moved since step {start}; whether there were gradients is not known")


def _gradients(run: Run, start: int, columns: list[int]) -> bool:
    """A gradient of these parameters was not zero after this step."""
    gradients = run.table(GRAD_NORM, 1)
    there = [c for c in columns if c < gradients.values.shape[1]]
    return bool((gradients.values[gradients.steps >= start][:, there] > 0).any())


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
