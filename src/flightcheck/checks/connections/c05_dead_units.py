"""C05: units that fire for no example, and so never learn again."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import cast

import numpy as np

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, Severity, check
from flightcheck.checks.depth import Floats, before_trouble, written_at
from flightcheck.recording.records import ModuleInfo, ParameterInfo
from flightcheck.recording.run import Run
from flightcheck.recording.signals import ACTIVATION_DEAD, GRAD_NORM_TOTAL
from flightcheck.recording.tables import Ints, median


@check(
    "C05",
    "dead-units",
    severity="error",
    evidence="T",
    needs=(ACTIVATION_DEAD,),
    fix="Lower the learning rate or warm it up; initialize with He's rule; or use LeakyReLU.",
    patch="lr:x0.1 | reinit:kaiming",
)
class DeadUnits(Check):
    """A large part of a ReLU layer fires for no example.

    ## What it checks
    The share of a layer's units that fired for none of the last examples (at least 1000, or the whole data set). Error
    above 90 %; information above 35 % where the share grew by 20 points since the start. Not after the first NaN.
    ## Why it matters
    The gradient of a unit that never fires is exactly zero: it stays dead, and a layer that is wholly dead stops all
    learning before it. Most often one step with a too high learning rate killed it.
    ## How to fix
    Lower the learning rate or warm it up, use He's initialization, or LeakyReLU.
    ## Source
    SageMaker DeadRelu and DeepDiagnosis count zeros, which are half of a healthy layer; here units over many examples.
    The limit of 3/n for a unit that never fired in n examples is the rule of three.
    ## Known false alarms
    Sparse features on purpose. A part of a layer is information only: a public temporal convolution network for the
    adding problem had 63 % dead channels in its first layer, up from 37 %, and trains well. Layers of fewer than 8
    units are judged only when training has stopped altogether.
    """

    few_examples = Param(100, "a unit that no example of a tiny data set fires is no sign of anything")
    looks = Param(4, "the first look and three that cover 1000 examples: a unit that never fired does so in < 0.3 %")
    dead = Param(0.9, "healthy networks had at most 11 % at the end of training")
    partly = Param(0.35, "learning rate × 30 with Adam gave 36–53 %")
    growth = Param(0.2, "healthy layers kept their share within a few points")
    width = Param(8, "in a narrower layer many dead units are chance")

    def __call__(self, run: Run) -> Iterator[Finding]:
        table = run.table(ACTIVATION_DEAD, 1)
        end = before_trouble(run, table)
        examples = self._examples(run)
        judged = few = 0
        found: dict[int, list[Finding]] = {}
        for module in run.modules:
            column = table.column(module.index)
            usable = np.isfinite(column.values) & (column.steps <= (table.steps[end - 1] if end else -1))
            shares, steps = column.values[usable], column.steps[usable]
            if not len(shares):
                continue
            if len(shares) < self.looks.value or examples < self.few_examples.value:
                few += 1
                continue
            judged += 1
            if (finding := self._layer(run, module, steps, shares)) is not None:
                found.setdefault(module.root, []).append(finding)
        for layers in found.values():  # one cause: the layer that died first, and the others with it
            first = min(layers, key=lambda f: (f.onset_step, f.severity != "error"))
            more = f" So it is in {len(layers)} layers." if len(layers) > 1 else ""
            worst = "error" if any(f.severity == "error" for f in layers) else "info"
            evidence = {**first.evidence, "layers": len(layers)}
            yield replace(first, message=first.message + more, severity=cast(Severity, worst), evidence=evidence)
        if not judged and few:
            raise NotEnoughEvidence("the units were seen on too few examples, or not often enough")
        if not judged:
            raise NotApplicable("no ReLU was seen")

    def _layer(self, run: Run, module: ModuleInfo, steps: Ints, shares: Floats) -> Finding | None:
        severity = self._severity(run, module, shares)
        if severity is None:
            return None
        feeding = _feeding(run, module)
        limit = self.dead.value if severity == "error" else self.partly.value
        share, onset = float(shares[-3:].min()), int(steps[_last_rise(shares, limit)])
        at_start = onset == steps[0]
        return Finding(
            f"{share:.0%} of the units of {module.path} ({module.type}) fire for no example "
            f"{'from the start' if at_start else f'since step {onset}'} (limit {limit:.0%}, at first {shares[0]:.0%}).",
            location=(written_at(run, [feeding.module]) if feeding and at_start else None) or module.location,
            module=module.path,
            evidence={"dead": share, "dead_at_start": float(shares[0])},
            onset_step=onset,
            severity=severity,
        )

    def _severity(self, run: Run, module: ModuleInfo, shares: Floats) -> Severity | None:
        lasting = float(shares[-3:].min())
        feeding = _feeding(run, module)
        if feeding and feeding.shape[0] < self.width.value:
            stopped = lasting == 1.0 and (total := run.series(GRAD_NORM_TOTAL).values[-3:]).size and not total.any()
            return "error" if stopped else None
        if lasting > self.dead.value:
            return "error"
        if lasting > self.partly.value and lasting - float(shares[0]) >= self.growth.value:
            return "info"
        return None

    def _examples(self, run: Run) -> float:
        """How many different examples training sees, infinite if none was seen to return."""
        batches = [b for b in run.batches if b.training and b.shape]
        first = [b for b in batches if (b.root, b.argument) == (batches[0].root, batches[0].argument)]
        different = {b.digest for b in first}
        if len(first) < 3 or len(different) == len(first):
            return math.inf
        return len(different) * median([b.shape[0] for b in first])


def _last_rise(shares: Floats, limit: float) -> int:
    """Where the final stay above the limit begins."""
    below = np.flatnonzero(shares <= limit)
    return int(below[-1]) + 1 if len(below) else 0


def _feeding(run: Run, module: ModuleInfo) -> ParameterInfo | None:
    """The matrix of the layer that feeds an activation (its own, where the activation is a function)."""
    order = {m.index: m.order for m in run.modules if m.root == module.root and -1 < m.order <= module.order}
    before = [p for p in run.parameters if p.role == "matrix" and p.module in order and p.shape]
    return max(before, key=lambda p: order[p.module], default=None)
