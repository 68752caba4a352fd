"""T07: a setting that is declared, and another value that is in effect."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.recording.records import Location, OptimizerInfo
from flightcheck.recording.run import Run
from flightcheck.recording.signals import LEARNING_RATE
from flightcheck.recording.states import Resumption
from flightcheck.recording.surroundings import Setting

_WORDS = {
    "lr": "learning rate", "batch_size": "batch size", "weight_decay": "weight decay", "momentum": "momentum",
    "dropout": "dropout", "epochs": "number of epochs",
}  # fmt: skip
_RATES = ("max_lrs", "max_lr", "base_lr", "eta_min", "min_lrs")


@check(
    "T07",
    "config-drift",
    severity="info",
    evidence="X",
    needs=("settings", "optimizers"),
    fix="Use the declared setting where its value is needed, or take it out of the arguments.",
)
class ConfigDrift(Check):
    """An argument or configuration declares a value that the training does not use.

    ## What it checks
    Learning rate, weight decay, momentum, batch size, dropout and epochs that an `ArgumentParser`, a dataclass or a
    dictionary of the script declares, and that no line of it takes, against the values of optimizers, loaders and
    modules. And a learning rate that a loaded optimizer state put in the place of the declared one.
    ## Why it matters
    The record of the run says one thing, and another was trained: comparisons and sweeps over such a setting mean
    nothing.
    ## How to fix
    Pass the setting on: `lr=args.lr`. After `optimizer.load_state_dict`, set `group["lr"]` again if a new one is meant.
    ## Source
    Karpathy, A Recipe for Training Neural Networks; catalogue T07.
    ## Known false alarms
    None known: a setting that any line may take (scaled, passed on as a whole) is left out, also where it does nothing.
    """

    near = Param(1e-6, "relative: the same number after a detour through 32 bits")

    def __call__(self, run: Run) -> Iterator[Finding]:
        if not run.settings:
            raise NotApplicable("no arguments or configuration with a setting of the training were seen")
        if not run.info.steps:
            raise NotEnoughEvidence("no training step was seen")
        for setting in run.settings:
            found = self._overwritten(run, setting) if setting.taken else self._unused(run, setting)
            if found is not None:
                yield found

    def _same(self, one: float, other: Any) -> bool:
        return isinstance(other, int | float) and math.isclose(one, other, rel_tol=self.near.value, abs_tol=1e-12)

    def _unused(self, run: Run, setting: Setting) -> Finding | None:
        values = self._in_effect(run, setting.sets)
        if not values or any(self._same(setting.value, v) for v, _ in values):
            return None
        value, where = values[0]
        line = f" ({Path(where.file).name}:{where.line})" if where is not None else ""
        return Finding(
            f"{setting.name} is declared as {setting.value:g}, but no line uses it: the {_WORDS[setting.sets]} in "
            f"effect is {value:g}{line}.",
            location=setting.location or where,
            evidence={"declared": setting.value, "in_effect": value, "declared_by": setting.kind, "from": str(where)},
        )

    def _in_effect(self, run: Run, sets: str) -> list[tuple[float, Location | None]]:
        """All values that are in effect, with the lines that they come from."""
        found: list[tuple[Any, Location | None]] = []
        stepping = [o for o in run.optimizers if o.steps]
        if sets == "batch_size":
            found = [(x.batch_size, x.location) for x in run.loaders if x.used_in_training]
        elif sets == "dropout":
            found = [(m.settings.get("p"), m.location) for m in run.modules if m.kind == "dropout"]
        elif sets == "epochs":
            found = [(run.plan.epochs, run.plan.backward_location)]
        elif sets == "lr":
            found = [(v, o.lr_location or o.location) for o in stepping for v in self._rates(run, o)]
        elif sets == "weight_decay":
            found = [(g.get(sets), o.decay_location or o.location) for o in stepping for g in o.groups]
        else:
            found = [(g.get(sets), o.location) for o in stepping for g in o.groups]
        return [(float(v), where) for v, where in found if isinstance(v, int | float)]

    @staticmethod
    def _rates(run: Run, optimizer: OptimizerInfo) -> list[Any]:
        """The rates of an optimizer: at its start, of its schedule, and those that were seen."""
        rates = [g.get(k) for g in optimizer.groups for k in ("initial_lr", "lr")]
        for scheduler in run.schedulers:
            several = [scheduler.settings.get(k) for k in _RATES if scheduler.optimizer == optimizer.index]
            rates += [v for s in several for v in (s if isinstance(s, list) else [s])]
        if LEARNING_RATE.name in run.frames:
            rates += [float(v) for v in run.table(LEARNING_RATE).column(optimizer.index).values]
        return [r for r in rates if r is not None]

    def _overwritten(self, run: Run, setting: Setting) -> Finding | None:
        """A state that was loaded brought its own learning rate."""
        for r in run.recorded(Resumption) if setting.sets == "lr" else ():
            optimizer = next((o for o in run.optimizers if o.index == r.optimizer), None)
            if optimizer is None or not r.optimizer_given or r.schedulers or r.initial_rate is not None:
                continue
            if r.rate is None or not self._same(setting.value, r.constructed_rate):
                continue
            if self._same(setting.value, r.rate) or not self._same(r.rate, r.saved_rate):
                continue
            return Finding(
                f"{setting.name} is {setting.value:g}, and {optimizer.type} is built with it, but the optimizer state "
                f"that was loaded brings its own: the learning rate in effect is {r.rate:g}.",
                location=optimizer.location,
                evidence={"declared": setting.value, "in_effect": r.rate, "read_at": str(r.location)},
                onset_step=r.step,
                fix='If the declared one is meant: for g in optimizer.param_groups: g["lr"] = … after load_state_dict.',
            )
        return None
