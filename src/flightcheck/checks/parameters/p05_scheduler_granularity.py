"""P05: a schedule counted in epochs that is called per batch, or the other way round."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path, PurePath

import numpy as np

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.checks.parameters._warmups import given_rate, restarts
from flightcheck.recording.provenance.unstepped import steps_elsewhere
from flightcheck.recording.records import OptimizerInfo, SchedulerInfo
from flightcheck.recording.run import Run
from flightcheck.recording.signals import LEARNING_RATE

CONSTANT = "scheduler:off"
OF_TORCH = {
    "LambdaLR", "MultiplicativeLR", "StepLR", "MultiStepLR", "ConstantLR", "LinearLR", "ExponentialLR", "PolynomialLR",
    "CosineAnnealingLR", "CosineAnnealingWarmRestarts", "CyclicLR", "OneCycleLR", "ReduceLROnPlateau",
}  # fmt: skip
"""One of a script's own may have methods of its own that set the rate."""
PERIODIC = {"CyclicLR", "CosineAnnealingWarmRestarts"}


@check(
    "P05",
    "scheduler-granularity",
    severity="error",
    evidence="X",
    needs=("schedulers", "plan", LEARNING_RATE),
    fix="Give the schedule its length in the unit in which it is called: batches if per batch, epochs if per epoch.",
)
class SchedulerGranularity(Check):
    """The schedule's length and the number of its calls differ by far: it counts batches as epochs or the reverse.

    ## What it checks
    The horizon in the scheduler's settings (step_size, milestones, gamma, T_max, total_steps, total_iters, patience)
    against the planned calls: epochs × steps per epoch / optimizer steps per call. A schedule that is never called: in
    three epochs and more, or in a whole training at a constant rate, where no line of the script could call it.
    Without a scheduler: a rate that is set by hand and rises in a straight line from about zero, begins anew after as
    many steps three times or more, and never gets to half of the rate that the optimizer was made with.
    ## Why it matters
    `StepLR(30)` called per batch decays within an epoch until nothing moves; a cosine with T_max in epochs called per
    batch swings up and down; `OneCycleLR` over batches called per epoch never leaves its warm-up, nor does a warm-up of
    more batches than an epoch has that is told the number of the batch in its epoch.
    ## How to fix
    Move `scheduler.step()` to the loop whose passes the settings count, or multiply the settings by the number of
    batches per epoch.
    ## Source
    Karpathy, A Recipe for Training Neural Networks ("do not trust learning rate decay defaults"); PyTorch OneCycleLR.
    ## Known false alarms
    Cycles on purpose (`CyclicLR`, warm restarts, one cosine per epoch) are left out, as are full-batch training and
    schedules that are merely longer than the run; resumed optimizers are inconclusive.
    """

    short = Param(0.5, "a schedule that is over before half of its calls (catalogue: horizon/planned < 0.5)")
    long = Param(2.0, "a schedule of which less than half is used (catalogue: horizon/planned > 2)")
    vanished = Param(1e-4, "step decay for training from scratch ends at 1e-2…1e-3 of the first rate")
    batches = Param(4, "with fewer steps per epoch, calls per batch and per epoch cannot be told apart")
    warm = Param(0.5, "of the optimizer's rate: a warm-up that gets near it may begin anew on purpose, with each cycle")
    beside = Param(50, "files in the folder of the script: one of more would have to be read to know what it steps")
    idle = Param(100, "steps of a whole training: a test of a few may end before the schedule is to begin")
    idle_epochs = Param(3, "a schedule in epochs is called at the latest when the first epochs have passed")

    def __call__(self, run: Run) -> Iterator[Finding]:
        if not run.schedulers:
            set_by_hand = [o for o in run.optimizers if o.steps and o.lr_write_location]
            if not set_by_hand:
                raise NotApplicable("no learning-rate scheduler")
            yield from (found for o in set_by_hand for found in self._begins_anew(run, o))
            return
        if any(o.state_loaded for o in run.optimizers):
            raise NotEnoughEvidence("resumed training: the schedule's place in the whole run is unknown")
        undecided: list[str] = []
        for scheduler in run.schedulers:
            try:
                yield from self._compare(run, scheduler)
            except NotEnoughEvidence as e:
                undecided.append(f"{scheduler.type}: {e}")
        if undecided:
            raise NotEnoughEvidence("; ".join(undecided))

    def _compare(self, run: Run, s: SchedulerInfo) -> Iterator[Finding]:
        per_epoch, epochs = run.plan.steps_per_epoch, run.plan.epochs
        steps = max((o.steps for o in run.optimizers if o.index == s.optimizer), default=run.info.steps)
        several = [o for o in run.optimizers if o.steps]
        if not s.calls:
            if self._could_not_be_called(run, s, steps):
                yield self._never_called(run, s, steps)
                return
            raise NotEnoughEvidence("it was not called in the watched steps")
        if any(o.created_at_step for o in several) and steps < max(o.steps for o in several):
            raise NotEnoughEvidence("it belongs to one of several trainings, and the plan of another one is known")
        if not per_epoch:
            raise NotEnoughEvidence("steps per epoch are unknown")
        if any(
            x.used_in_training and x.iterators >= 3 and x.batches < 0.5 * x.iterators * (x.length or 0)
            for x in run.loaders
        ):
            raise NotEnoughEvidence("passes over the loader are not completed, so epochs cannot be counted")
        if per_epoch < self.batches.value or s.type in PERIODIC:
            return
        stride = s.optimizer_steps_per_call
        if stride is None and s.calls < 2 and steps >= per_epoch:
            stride = float(per_epoch)
        if not stride:
            raise NotEnoughEvidence("one call does not show how often it is called")
        per_batch = stride < 0.5 * per_epoch
        rounds = run.plan.rounds // max(1, run.plan.accumulation) if run.plan.rounds else None
        total = epochs * per_epoch if epochs else rounds
        calls = total / stride if total else None
        if s.type == "ReduceLROnPlateau":
            yield from self._plateau(run, s, per_batch, per_epoch)
            return
        horizon, what, kind = self._horizon(s)
        if horizon is None:
            raise NotEnoughEvidence("its settings do not say how long it is")
        if calls is None and not (per_batch and kind == "decay"):
            raise NotEnoughEvidence("the planned number of epochs is unknown")
        # With unknown epochs a decay that is over within half of ONE epoch is still a fact.
        known = calls if calls is not None else per_epoch / stride
        evidence = {"horizon_calls": horizon, "planned_calls": known, "optimizer_steps_per_call": stride}
        if horizon < self.short.value * known and per_batch:
            one_epoch = abs(horizon - per_epoch / stride) <= 0.05 * horizon
            if not (kind == "wave" and one_epoch):  # one cosine per epoch is a known design
                counted = horizon <= 1.1 * (epochs or 1) or kind in {"decay", "end"}
                yield self._over_early(s, evidence, f"{what} × {per_epoch}", kind, counted)
        elif calls is not None and horizon > self.long.value * calls and not per_batch and kind != "decay":
            counted = total is not None and 0.5 * total <= horizon <= 2 * total
            if counted or kind == "cycle":
                yield self._hardly_used(s, evidence, what, kind)

    def _could_not_be_called(self, run: Run, s: SchedulerInfo, steps: int) -> bool:
        """It would have been by now, and nothing that steps in the script was anything but an optimizer."""
        per_epoch, epochs = run.plan.steps_per_epoch or 0, run.plan.epochs or 0
        over = run.info.ended == "finished" and steps >= self.idle.value
        late = steps > self.idle_epochs.value * per_epoch > 0 and epochs > self.idle_epochs.value
        if not (over or late) or s.location is None:
            return False
        if sum(other.optimizer == s.optimizer for other in run.schedulers) > 1:
            return False  # one may be held by another, until its turn comes
        rates = run.table(LEARNING_RATE).column(s.optimizer).values
        places = [o.step_location for o in run.optimizers if o.step_location is not None]
        files = {s.location.file, *(p.file for p in places)}
        constant = len(rates) > 1 and float(np.ptp(rates)) == 0.0
        beside = {str(other) for f in files for other in Path(f).parent.glob("*.py")} - files
        if not constant or s.type not in OF_TORCH or len(beside) > self.beside.value:
            return False
        return not any(steps_elsewhere(f, [p.line for p in places if p.file == f]) for f in {*files, *beside})

    @staticmethod
    def _never_called(run: Run, s: SchedulerInfo, steps: int) -> Finding:
        whole = "the whole training of " if run.info.ended == "finished" else ""
        return Finding(
            f"{s.type} was never called in {whole}{steps} optimizer steps: the learning rate stayed constant, and no "
            "line of the script could call it.",
            location=s.location,
            evidence={"steps": steps},
            severity="warn",
            fix="Call scheduler.step() once per epoch (or per batch, if its settings count batches).",
        )

    def _begins_anew(self, run: Run, optimizer: OptimizerInfo) -> Iterator[Finding]:
        """A warm-up by hand that counts the batches of an epoch, and not of the training."""
        column = run.table(LEARNING_RATE).column(optimizer.index)
        every = len(column) > 1 and bool((column.steps[1:] - column.steps[:-1] == 1).all())
        found = restarts(column.values) if every else None
        given, at = given_rate(optimizer), optimizer.lr_count_location
        if found is None or not given or found.highest >= self.warm.value * given:
            return
        counter = f"{optimizer.lr_count} " if at is not None else ""
        yield Finding(
            f"The learning rate is set by hand and rises from about 0 to {found.highest:.3g} in {found.period} steps, "
            f"then begins anew, {found.rises} times so far: it never gets near the {given:.3g} that {optimizer.type} "
            f"was given. The count {counter}begins at 0 in each epoch.",
            location=at or optimizer.lr_write_location,
            evidence={"period": found.period, "rises": found.rises, "highest": found.highest, "given": given},
            fix="Compute the rate from the number of all steps so far, epoch * batches + batch.",
            patch=f"source:carried@{optimizer.lr_count}:{PurePath(at.file).name}:{at.line}" if at is not None else "",
        )

    def _over_early(
        self, s: SchedulerInfo, evidence: dict[str, float], right: str, kind: str, counted: bool
    ) -> Finding:
        horizon, planned = evidence["horizon_calls"], evidence["planned_calls"]
        what = right.rpartition(" × ")[0]
        then = "the rate then swings back up and down." if kind == "wave" else "almost no learning rate is left then."
        return Finding(
            f"{s.type} ({what}) is called per batch, {planned:.0f} times in this training, but is over after "
            f"{horizon:.0f} calls ({100 * horizon / planned:.1f} %): {then}",
            location=s.step_location or s.location,
            evidence=evidence,
            severity=None if counted else "warn",
            fix=f"Call scheduler.step() once per epoch, or give it batches: {right}.",
            patch=CONSTANT,
        )

    def _hardly_used(self, s: SchedulerInfo, evidence: dict[str, float], what: str, kind: str) -> Finding:
        horizon, planned = evidence["horizon_calls"], evidence["planned_calls"]
        then = "the rate never leaves its warm-up." if kind == "cycle" else "the rate hardly falls."
        return Finding(
            f"{s.type} ({what}) is called per epoch, {planned:.0f} times in this training: only "
            f"{100 * planned / horizon:.1f} % of the schedule will be used, {then}",
            location=s.step_location or s.location,
            evidence=evidence,
            fix="Call scheduler.step() after every optimizer step, or give the schedule its length in epochs.",
            patch="scheduler:batch",
        )

    def _plateau(self, run: Run, s: SchedulerInfo, per_batch: bool, per_epoch: int) -> Iterator[Finding]:
        patience = s.settings.get("patience")
        if not per_batch or patience is None or patience >= per_epoch or s.calls < 2 * per_epoch:
            return
        rates = run.table(LEARNING_RATE).column(s.optimizer).values
        if len(rates) and rates[0] > 0 and rates[-1] <= 0.11 * rates[0]:
            yield Finding(
                f"ReduceLROnPlateau (patience={patience}) is called per batch: batch noise counted as stagnation "
                f"and cut the rate from {rates[0]:.2g} to {rates[-1]:.2g} within {s.calls / per_epoch:.1f} epochs.",
                location=s.step_location or s.location,
                evidence={"patience": patience, "first": float(rates[0]), "last": float(rates[-1])},
                fix="Call it once per epoch with the mean (validation) loss of the epoch.",
                patch=CONSTANT,
            )

    def _horizon(self, s: SchedulerInfo) -> tuple[float | None, str, str]:
        """Calls until the schedule is over, the setting that says so, and what comes after.

        The last is ``decay`` (a rate too small to learn), ``end`` (a constant rest), ``wave`` or ``cycle``.
        """
        get = s.settings.get
        gamma = get("gamma")
        falls = math.log(self.vanished.value) / math.log(gamma) if gamma and 0 < gamma < 1 else None
        if s.type == "StepLR" and get("step_size") and falls:
            return float(get("step_size", 1)) * math.ceil(falls), f"step_size={get('step_size')}", "decay"
        if s.type == "ExponentialLR" and falls:
            return falls, f"gamma={gamma}", "decay"
        if s.type == "MultiStepLR" and (milestones := self._milestones(get("milestones"))):
            return float(max(milestones)), f"milestones={milestones}", "decay"
        if s.type == "CosineAnnealingLR" and get("T_max"):
            return float(get("T_max", 1)), f"T_max={get('T_max')}", "wave"
        if s.type == "OneCycleLR" and get("total_steps"):
            return float(get("total_steps", 1)), f"total_steps={get('total_steps')}", "cycle"
        falling = s.type == "PolynomialLR" or (
            s.type == "LinearLR" and get("end_factor", 1.0) < 0.1 * get("start_factor", 1 / 3)
        )
        if falling and get("total_iters"):
            return float(get("total_iters", 1)), f"total_iters={get('total_iters')}", "end"
        return None, "", ""

    @staticmethod
    def _milestones(value: object) -> list[int]:
        if isinstance(value, dict):
            return sorted(int(k) for k in value)
        return sorted(int(v) for v in value) if isinstance(value, (list, tuple)) else []
