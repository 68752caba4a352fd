"""P12: zero_grad, backward and step in the wrong order, or one of them missing."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import PurePath

import numpy as np

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.checks.depth import where
from flightcheck.checks.parameters._clearing import kept_by_hand, not_cleared, taken_away
from flightcheck.checks.parameters._closures import broken_closure
from flightcheck.checks.parameters._unfed import through_old_graphs, without_backward
from flightcheck.recording.drawn_anew import DrawnAnew
from flightcheck.recording.provenance.hand_updates import names_gradients
from flightcheck.recording.provenance.unstepped import steps_later
from flightcheck.recording.records import Call, Location, OptimizerInfo
from flightcheck.recording.run import Run
from flightcheck.recording.signals import WEIGHT_NORM
from flightcheck.recording.surroundings import UncalledMethod
from flightcheck.recording.tables import median


@check(
    "P12",
    "step-protocol-broken",
    severity="error",
    evidence="X",
    needs=("calls", "optimizers"),
    fix="In every round: optimizer.zero_grad(), loss.backward(), optimizer.step(), in this order.",
)
class StepProtocolBroken(Check):
    """Gradients are never cleared, cleared before they are used, or never used at all.

    ## What it checks
    The order of the calls of `zero_grad`, `backward` and `step` of each optimizer, and what its gradients were at each
    step: carried over from rounds before (all of them, those of a part, or in most rounds), gone, or produced and never
    used; an optimizer that is constructed anew over and over, so that its state is lost; micro-batches whose gradients
    are cleared before the step; one backward and one step behind the loop over the batches, for the last of them only;
    steps without any backward; a backward that goes again through the losses of earlier rounds, which are added up.
    Updates by hand: gradients that are still there when the next backward begins. In a closure (LBFGS): a loss that is
    computed outside of it, gradients that are added to those of the evaluation before, that are cleared before the
    optimizer gets them, or between the parts of the loss.
    ## Why it matters
    Each of these trains something else than the loss, or nothing, and raises no error.
    ## How to fix
    `zero_grad`, `backward`, `step`, once per round; with accumulation, `zero_grad` only after the step.
    ## Source
    The most frequent silent bugs on the PyTorch forum (15 % are missed or misplaced training calls).
    ## Known false alarms
    SAM and gradient penalties run two backward passes per step and clear in between, players of a
    GAN clear gradients that the other one left: none of these lacks a fresh gradient at its step. A weight that moves
    without its optimizer is an update by hand and is not reported.
    """

    steps = Param(5, "a habit of the loop shows in five rounds, an exception for the first batch in one")
    always = Param(0.9, "of the rounds: once per epoch, or once per log, the loop may do something else")
    rare = Param(0.4, "of the steps in a row: cleared in every second round, half of them use old gradients")
    most = Param(0.5, "of the backward passes: the first one of an epoch, whose sum is new, may be one of a few")
    unused = Param(50, "backward passes that reach an optimizer before it steps: more than a critic's head start")
    passes = Param(3, "steps, of which each follows a whole pass over the data: few are seen")
    stage = Param(1.5, "passes over the data with one optimizer: a task, a fold, a round of data, and no epoch")
    restarts = Param(3, "a new optimizer per stage of a training is a design, one per few steps is not")

    def __call__(self, run: Run) -> Iterator[Finding]:
        by_hand = list(kept_by_hand(run, int(self.steps.value), self.always.value))
        yield from by_hand
        if by_hand:
            return
        if not run.optimizers:
            raise NotApplicable("no optimizer: the script updates its parameters by hand")
        watched, told = 0, False
        for optimizer in run.optimizers:
            if optimizer.closure:
                watched += 1
                yield from broken_closure(run, optimizer, int(self.steps.value), self.always.value)
                continue
            steps = [
                c for c in run.calls if c.kind == "step" and c.subject == optimizer.index and not c.data.get("closure")
            ]
            watched += len(steps) >= self.steps.value
            few, always = int(self.steps.value), self.always.value
            found = list(self._never_stepped(run, optimizer)) if not optimizer.steps and not steps else []
            if len(steps) >= self.steps.value:
                found = list(self._without_gradient(run, optimizer, steps))
                found = found or list(without_backward(run, optimizer, steps, few))
                wiped = self._wiped(run, optimizer)
                found = found or list(taken_away(run, optimizer, steps, wiped, few=few, always=always))
                found = found or list(not_cleared(run, optimizer, steps, few=few, always=always, rare=self.rare.value))
                found = found or list(self._micro_batches(run, optimizer, steps))
            if len(steps) >= self.passes.value:
                found = found or list(self._last_batch_only(run, optimizer, steps))
            found = found or list(self._restarted(run, optimizer))
            watched += bool(found)
            told = told or bool(found)
            yield from found
        if not told:
            yield from through_old_graphs(run, int(self.steps.value), self.most.value)
        if not watched:
            raise NotEnoughEvidence(f"no optimizer was seen stepping {self.steps.value:.0f} times")

    def _backwards(self, run: Run, optimizer: OptimizerInfo) -> list[Call]:
        return [c for c in run.calls if c.kind == "backward" and optimizer.index in (c.data.get("optimizers") or ())]

    def _wiped(self, run: Run, optimizer: OptimizerInfo) -> list[Call]:
        """Calls of zero_grad that threw away gradients no step had used."""
        calls = [c for c in run.calls if c.kind == "zero_grad" and c.data.get("pending")]
        return [
            c
            for c in calls
            if optimizer.index in c.data.get("optimizers", [c.data.get("optimizer", c.subject)])
            or ("optimizers" not in c.data and c.data.get("optimizer", c.subject) == -1)
        ]

    def _backward_line(self, run: Run, optimizer: OptimizerInfo) -> Location | None:
        lines = Counter(c.location for c in self._backwards(run, optimizer) if c.location)
        return lines.most_common(1)[0][0] if lines else run.plan.backward_location

    def _without_gradient(self, run: Run, optimizer: OptimizerInfo, steps: list[Call]) -> Iterator[Finding]:
        later = [c for c in steps[1:] if c.data.get("gradients") is not None]
        if len(later) < self.steps.value - 1:
            return
        # after a backward pass that brought it none, an optimizer is cut off (C02), not cleared too late
        empty = [
            c for c in later
            if c.data.get("gradients") == 0 and c.data.get("backwards", 0) >= 1 and c.data.get("last") != "backward"
        ]  # fmt: skip
        wiped = self._wiped(run, optimizer)
        if len(empty) < self.always.value * len(later) or len(wiped) < self.always.value * len(empty):
            return
        # An optimizer that nothing has called yet is not known at the first backward: that one is not counted.
        begun = any(c.kind == "backward" and c.seq < steps[0].seq for c in run.calls)
        early = not steps[0].data.get("backwards", 1) and not begun
        n, total = len(empty), len(later)
        line = steps[-1].location or optimizer.step_location if early else wiped[-1].location
        yield Finding(
            (
                f"{optimizer.type}.step() comes before backward in each round: in {n} of {total} steps all gradients "
                "had just been cleared, so it changes nothing."
                if early
                else f"zero_grad() stands between backward and {optimizer.type}.step(): in {n} of {total} steps all "
                "gradients were already cleared, so nothing learns."
            ),
            location=line or self._backward_line(run, optimizer),
            evidence={"steps": total, "without_gradient": n},
            onset_step=empty[0].step,
            parameters=tuple(sorted(set(optimizer.parameters))),
            fix="Move optimizer.step() behind loss.backward()."
            if early
            else "Move zero_grad() before loss.backward().",
            patch="zero-grad",
        )

    def _micro_batches(self, run: Run, optimizer: OptimizerInfo, steps: list[Call]) -> Iterator[Finding]:
        backwards = self._backwards(run, optimizer)
        rounds = median([c.data.get("backwards", 0) for c in steps])
        lines = {c.location for c in backwards}
        wiped = self._wiped(run, optimizer)
        batches = max((x.batches for x in run.loaders if x.used_in_training), default=0)
        counted, beside = run.plan.counted_steps and rounds >= 2, run.plan.steps_beside_output
        by_batch = rounds >= 3 and batches >= self.always.value * run.info.backwards
        passes = [x.length for x in run.loaders if x.used_in_training and x.length]
        by_hand = run.plan.steps_per_epoch == 1 and not passes and _batches_in_a_step(run) >= self.always.value * rounds
        whole_pass = rounds >= 3 and (by_hand or (by_batch and 0 < min(passes, default=0) <= rounds))
        by_batch = by_batch or whole_pass or self._in_slices(run, rounds, wiped)
        if len(lines) != 1 or not wiped or not (counted or by_batch):
            return
        if run.info.backwards < self.always.value * len(backwards):
            return  # the number of batches is not comparable
        if len(wiped) < self.always.value * len(steps) * (rounds - 1):
            return
        if whole_pass and not beside:
            yield Finding(
                f"Each step of {optimizer.type} stands behind a whole pass over the data: {rounds:.0f} backward passes "
                "with zero_grad() between them, of which only the last batch counts.",
                location=steps[-1].location or optimizer.step_location or wiped[-1].location,
                evidence={"backwards_per_step": rounds, "cleared": len(wiped), "steps": len(steps)},
                fix="Move optimizer.step() into the loop over the batches.",
                patch=f"step:{optimizer.index}",
            )
        else:
            yield Finding(
                f"Each step of {optimizer.type} follows {rounds:.0f} backward passes on {rounds:.0f} batches, but "
                "zero_grad() runs between them: only the last batch counts."
                + (" step() stands under the condition of what is printed." if beside else ""),
                location=steps[-1].location or optimizer.step_location if beside else wiped[-1].location,
                evidence={"backwards_per_step": rounds, "cleared": len(wiped), "steps": len(steps)},
                fix="Move step() out of the condition: one step for each backward."
                if beside
                else "Clear the gradients only after optimizer.step().",
                patch="zero-grad",
            )

    def _in_slices(self, run: Run, rounds: float, wiped: list[Call]) -> bool:
        """Each step follows several batches that the script makes by itself; whoever wants the gradient of each, as for
        a projection, a sum of clipped ones or a Fisher information, reads it.
        """
        files = {c.location.file for c in wiped if c.location is not None}
        several = rounds >= 3 and _batches_in_a_step(run) >= self.always.value * rounds
        read = any(c.data.get("read") for c in wiped) or any(map(names_gradients, files))
        return several and bool(files) and not read

    def _last_batch_only(self, run: Run, optimizer: OptimizerInfo, steps: list[Call]) -> Iterator[Finding]:
        """One backward and one step stand behind the loop over the batches."""
        loop, line = run.plan.loop_left, self._backward_line(run, optimizer)
        if loop is None or line is None or line != run.plan.backward_location:
            return
        within = {c.seq: 0 for c in steps}
        count = 0
        for call in sorted(run.calls, key=lambda c: c.seq):
            if call.kind == "forward" and call.data.get("grad"):
                count += 1
            elif call.seq in within:
                within[call.seq], count = count, 0
        batches = sorted(within.values())[len(within) // 2]
        if batches < 2 or sum(n > 1 for n in within.values()) < self.always.value * len(within):
            return
        yield Finding(
            f"backward and {optimizer.type}.step() stand behind the loop in line {loop.line}: of {batches} batches "
            "only the last one counts, and each pass makes one step.",
            location=line,
            evidence={"batches_per_step": batches, "steps": len(steps), "loop": loop.line},
            fix="Move zero_grad, backward and step into the loop over the batches.",
            patch=f"source:into:{PurePath(line.file).name}:{line.line}",
        )

    def _never_stepped(self, run: Run, optimizer: OptimizerInfo) -> Iterator[Finding]:
        seen = [c for c in run.calls if c.kind == "backward" and c.data.get("optimizers") is not None]
        mine = self._backwards(run, optimizer)
        # Which optimizers a backward pass reaches is looked at in the first rounds; the rest goes on alike.
        count = run.info.backwards * len(mine) // len(seen) if seen else 0
        if any(c.kind in {"scaler_step", "scaler_skip"} and c.subject in (optimizer.index, -1) for c in run.calls):
            return
        over = run.info.ended == "finished"
        alone = not any(o.steps for o in run.optimizers)
        if count < (self.steps.value if over and alone else self.unused.value):
            return
        others = {o.index for o in run.optimizers if o.steps}
        held = [p for p in run.parameters if optimizer.index in p.optimizers and (p.in_graph or p.gradients_nonzero)]
        if not held or any(others.intersection(p.optimizers) or p.updates_nonzero for p in held):
            return
        if run.in_regime("gan", "reinforcement") and not alone:
            raise NotEnoughEvidence(f"{optimizer.type} has not stepped yet; a player may have to wait")
        if self._moves(run, [p.index for p in held]):
            return
        if not over and optimizer.location and steps_later(optimizer.location.file, optimizer.location.line):
            raise NotEnoughEvidence(f"{optimizer.type} is to step in later rounds only")
        condition = optimizer.condition_location
        named = next((u.location for u in run.recorded(UncalledMethod) if u.name == "step" and _of_optimizer(u)), None)
        other = self._steps_in_its_place(run, optimizer) if not (named or condition) else None
        yield Finding(
            f"{optimizer.type} never stepped: {count} backward passes computed gradients for its {len(held)} "
            "parameters, and none was used"
            + (f": `{condition.code}` was never true." if condition else "")
            + (f": another optimizer steps a second time in {where(other)}." if other else "" if condition else "."),
            location=named or condition or other or self._backward_line(run, optimizer),
            evidence={"backwards": count, "optimizer_line": str(optimizer.location)},
            parameters=tuple(p.index for p in held),
            fix="Call step: without its parentheses the statement does nothing."
            if named
            else f"Call step() of {optimizer.type} after loss.backward().",
            patch=f"step:{optimizer.index}",
        )

    def _steps_in_its_place(self, run: Run, optimizer: OptimizerInfo) -> Location | None:
        """The line behind its backward pass at which another optimizer steps that has a line of its own besides."""
        lines: dict[int, Counter[Location | None]] = defaultdict(Counter)
        behind: dict[int, Location | None] = {}
        mine = False
        for call in run.calls:
            if call.kind == "backward":
                mine = optimizer.index in (call.data.get("optimizers") or ())
            elif call.kind == "step":
                lines[call.subject][call.location] += 1
                if mine:
                    behind[call.subject] = call.location
        doubled = (i for i, at in lines.items() if len([n for n in at.values() if n >= self.steps.value]) > 1)
        return next((line for i in doubled if (line := behind.get(i)) is not None), None)

    def _moves(self, run: Run, parameters: list[int]) -> bool:
        try:
            table = run.table(WEIGHT_NORM, 2)
        except NotEnoughEvidence:
            return False
        for index in parameters:
            norms = table.column(index).values
            if len(norms) > 1 and not float(np.ptp(norms)) <= 1e-6 * float(np.abs(norms).max()):
                return True
        return False

    def _restarted(self, run: Run, optimizer: OptimizerInfo) -> Iterator[Finding]:
        again = optimizer.state_restarts
        stateful = optimizer.type not in {"SGD", "ASGD"} or any(g.get("momentum") for g in optimizer.groups)
        steps = max(run.info.steps, optimizer.steps, 1)
        if not stateful or not again or optimizer.state_loaded:
            return
        held = set(optimizer.parameters)
        if any(len(d.rounds) >= again and held.intersection(d.parameters) for d in run.recorded(DrawnAnew)):
            return  # of other weights (P40)
        every, length = steps / (again + 1), run.plan.steps_per_epoch
        stage = length is not None and every >= self.stage.value * length
        yield Finding(
            f"{optimizer.type} was built anew {again} times over the same parameters, about every {every:.0f} steps: "
            "its moments start from zero each time.",
            location=optimizer.location,
            evidence={"restarts": again, "steps": steps},
            severity=None if every <= 2 else "warn" if again >= self.restarts.value and not stage else "info",
            fix="Construct the optimizer once, before the loop.",
            patch="keep-state",
        )


def _of_optimizer(uncalled: UncalledMethod) -> bool:
    """The method that a statement names and does not call is not that of a schedule."""
    return uncalled.location is not None and "sched" not in uncalled.location.code.lower()


def _batches_in_a_step(run: Run) -> int:
    """The most batches of several examples each, all different, that were trained on between two steps: gradients of
    single examples, or of several tasks on the same batch, may be taken one after the other.
    """
    digests: dict[int, set[str]] = {}
    for batch in run.batches:
        if batch.training and batch.shape and batch.shape[0] > 1:
            digests.setdefault(batch.step, set()).add(batch.digest)
    return max(map(len, digests.values()), default=0)
