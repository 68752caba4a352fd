"""T03: a training that goes on from a checkpoint, and has forgotten a part of its state."""

from __future__ import annotations

from collections.abc import Iterator

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.checks.parameters.p25_optimizer_state_lost import OptimizerStateLost
from flightcheck.recording.records import OptimizerInfo
from flightcheck.recording.run import Run
from flightcheck.recording.states import Resumption


@check(
    "T03",
    "resume-mismatch",
    severity="error",
    evidence="X",
    needs=("Resumption", "optimizers"),
    fix="Save and load together all that a training consists of: model, optimizer, scheduler, scaler, epoch.",
)
class ResumeMismatch(Check):
    """A training goes on from a checkpoint, but its optimizer, scheduler or loss scale begins anew.

    ## What it checks
    At the first step all trained weights equal those in a file, and something proves that this training goes on: the
    optimizer or the scheduler was given its saved state, or the loop begins at the epoch or step in the file. Then: a
    scheduler with the settings of the saved one that stands at 0; an optimizer with an empty state, in cases that P25
    does not tell; a learning rate that is back at its start; a new loss scale.
    ## Why it matters
    The resumed run is another one than an uninterrupted run: warm-up and decay come again, at the wrong time, and the
    first steps without moments throw the model back.
    ## How to fix
    `scheduler.load_state_dict(checkpoint["scheduler"])`, likewise for optimizer and scaler, before the first step.
    ## Source
    PyTorch, Saving and loading a general checkpoint; catalogue T03.
    ## Known false alarms
    Fine-tuning, evaluation and restored best weights do not go on with a count, and are not looked at. A new schedule
    on purpose is seen where its settings differ; with the same ones it is a warning, unless the loop goes on, too.
    Only files read by `torch.load` are known.
    """

    rates_differ = Param(0.01, "relative: a rate in a file and one computed anew differ in rounding only")

    def __call__(self, run: Run) -> Iterator[Finding]:
        resumed = [r for r in run.recorded(Resumption) if self._goes_on(r)]
        if not run.info.steps:
            raise NotEnoughEvidence("no training step was seen")
        if not resumed:
            raise NotApplicable("no training that goes on from a file was seen")
        optimizers = {o.index: o for o in run.optimizers}
        for r in resumed:
            optimizer = optimizers.get(r.optimizer)
            if optimizer is None:
                continue
            for found in (self._schedule(r, optimizer), self._moments(r, optimizer), self._scale(r, optimizer)):
                if found is not None:
                    yield found

    @staticmethod
    def _goes_on(r: Resumption) -> bool:
        restored = bool(r.saved_epoch) and r.scheduler_epoch == r.saved_epoch
        return r.optimizer_given or restored or r.loop_location is not None

    def _schedule(self, r: Resumption, optimizer: OptimizerInfo) -> Finding | None:
        if r.schedulers != 1 or r.scheduler_epoch is None:
            return None
        evidence = {"read_at": str(r.location), "epoch": r.scheduler_epoch, "rate": r.rate}
        if r.saved_epoch and r.scheduler_epoch == 0 and r.same_schedule:
            by_function = r.scheduler in ("LambdaLR", "MultiplicativeLR")
            if by_function and not self._differ(r.rate, r.saved_schedule_rate):
                return None  # the function counts from where the file ends
            return Finding(
                f"The checkpoint holds a {r.scheduler} after {r.saved_epoch} steps, but the one of the resumed "
                f"training begins at 0: its state was not loaded{self._rates(r)}.",
                location=r.scheduler_location or optimizer.location,
                evidence={**evidence, "saved_epoch": r.saved_epoch},
                onset_step=r.step,
                severity=None if r.optimizer_given and r.loop_location is not None else "warn",
                fix="Load the state after this line: scheduler.load_state_dict(checkpoint[…]).",
            )
        if r.schedulers_saved or r.loop_location is None or r.scheduler_epoch or r.saved_rate is None:
            return None
        back = not self._differ(r.rate, r.initial_rate) and self._differ(r.saved_rate, r.initial_rate)
        if not back:
            return None
        return Finding(
            f"Training goes on at {r.counter} {r.count}, but its {r.scheduler} begins at 0: the learning rate was "
            f"{r.saved_rate:g} in the checkpoint and is {r.rate:g} again. The state of the scheduler was not saved.",
            location=r.scheduler_location or optimizer.location,
            evidence={**evidence, "saved_rate": r.saved_rate, r.counter: r.count},
            onset_step=r.step,
            severity="warn",
            fix='Save "scheduler": scheduler.state_dict() in the checkpoint too, and load it after this line.',
        )

    def _rates(self, r: Resumption) -> str:
        if r.rate is None or r.saved_schedule_rate is None or not self._differ(r.rate, r.saved_schedule_rate):
            return ""
        return f", and the learning rate is {r.rate:g} instead of {r.saved_schedule_rate:g}"

    def _differ(self, one: float | None, other: float | None) -> bool:
        return one is None or other is None or abs(one - other) > self.rates_differ.value * max(abs(one), abs(other))

    @staticmethod
    def _moments(r: Resumption, optimizer: OptimizerInfo) -> Finding | None:
        stateful = OptimizerStateLost.stateful(optimizer)
        told = optimizer.state_read_location is not None  # by P25
        if not stateful or told or not r.optimizer_fresh or r.optimizer_given or r.optimizer_saved is None:
            return None
        where = f"at {r.counter} {r.count}" if r.loop_location is not None else "with its scheduler"
        lost = "was saved, but not loaded" if r.optimizer_saved else "is not in the checkpoint"
        name = optimizer.type.lower()
        return Finding(
            f"Training goes on {where} with the weights of a checkpoint, but {optimizer.type} starts empty: its state "
            f"(moments, step count) {lost}.",
            location=optimizer.location,
            evidence={"read_at": str(r.location), "saved": r.optimizer_saved, "count": r.count},
            onset_step=r.step,
            severity="warn",
            fix=f"Load the state after this line: {name}.load_state_dict(checkpoint[…])."
            if r.optimizer_saved
            else f'Save "optimizer": {name}.state_dict() in the checkpoint too, and load it after this line.',
        )

    @staticmethod
    def _scale(r: Resumption, optimizer: OptimizerInfo) -> Finding | None:
        if not r.scaler_fresh or r.saved_scale is None or r.saved_scale == r.scale:
            return None
        return Finding(
            f"The checkpoint holds a loss scale of {r.saved_scale:g}, but the scaler of the resumed training begins "
            f"at {r.scale:g}: the first steps may overflow and be skipped.",
            location=optimizer.step_location or optimizer.location,
            evidence={"read_at": str(r.location), "saved_scale": r.saved_scale, "scale": r.scale},
            onset_step=r.step,
            severity="info",
            fix="Load the state before the first step: scaler.load_state_dict(checkpoint[…]).",
        )
