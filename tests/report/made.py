"""One run with one fault, for all reports."""

from __future__ import annotations

from typing import Any

from flightcheck.checks.base import Verdict
from flightcheck.diagnosis import Diagnosis, diagnose
from flightcheck.recording.records import Coverage, Location
from flightcheck.recording.run import Run
from flightcheck.testing import run_of
from tests.verdicts import failed, passed, undecided

LINE = Location("train.py", 41, "forward", "return torch.softmax(x, dim=1)")
DOUBLED = failed(
    "L03",
    message="CrossEntropyLoss received probabilities (rows sum to 1 in 50 of 50 observed calls), "
    "so its floor is 1.461 and not 0.",
    location=LINE,
    module="net",
    evidence={"floor": 1.4612, "spread": float("nan"), "loss_line": Location("train.py", 50)},
    fix="Return the logits from forward(); apply softmax only when predicting.",
    patch="drop-module:softmax",
)
FAULTY = (
    DOUBLED,
    failed("P33", 200),
    failed("C07", 40),
    failed("P13", 280, location=Location("train.py", 12), message="Weight decay 0.5 shrinks norm gains."),
    failed("T01", message="No seed is set."),
    passed("P01"),
    passed("D01"),
    undecided("D07", "1 of 8 batches"),
)
HEALTHY = (passed("P01"), passed("D01"), passed("L03"), undecided("D07", "1 of 8 batches"))


def run_with(**info: Any) -> Run:
    values: dict[str, Any] = {"id": "20261123-1", "command": "train.py", "steps": 300, "evaluations": 2}
    coverage = Coverage(modules=14, modules_seen=14, sampled_steps=100, steps=300, every=3.0)
    return run_of(coverage, **{**values, "overhead": 0.0131, "ended": "stopped", "seconds": 12.3, **info})


def case(*verdicts: Verdict, **info: Any) -> tuple[Run, Diagnosis]:
    run = run_with(**info)
    return run, diagnose(run, verdicts)
