"""T02: the same steps from the same seeds give other numbers."""

from __future__ import annotations

from collections.abc import Iterator

from flightcheck.checks.base import Check, Finding, Param, check
from flightcheck.recording.run import Run


@check(
    "T02",
    "step-not-deterministic",
    severity="info",
    evidence="B",
    needs=("Probe",),
    fix="Seed every generator; torch.use_deterministic_algorithms(True) names the operation where PyTorch knows it.",
)
class StepNotDeterministic(Check):
    """Two trainings with the same seeds, on the same machine, do not have the same losses.

    ## What it checks
    Two trials that change nothing, from the same seeds: the losses of their first four steps are compared bit by bit.
    ## Why it matters
    A run that cannot be repeated cannot be debugged, and two of its variants differ by chance.
    ## How to fix
    Seed Python, NumPy and torch, the loader's generator and its workers; ask PyTorch for deterministic algorithms.
    ## Source
    PyTorch, Reproducibility.
    ## Known false alarms
    Operations with atomics on a GPU are not deterministic by design: advice only. Data that are fetched from elsewhere.
    """

    relative = Param(1e-4, "above what the order of summation changes in float32: then the data or a generator differ")

    def __call__(self, run: Run) -> Iterator[Finding]:
        found = run.probe("repeat").result
        if found["equal"]:
            return
        large = float(found["difference"]) > self.relative.value
        why = ": more than rounding, so a generator or the data differ" if large else ", as rounding does"
        yield Finding(
            f"Repeated with the same seeds, the loss of step {found['step']} differs by "
            f"{found['difference']:.1g} of its size{why}.",
            location=run.seeding.location if run.seeding else None,
            evidence={"step": found["step"], "difference": found["difference"]},
        )
