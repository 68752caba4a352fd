"""P09 parameter-duplicated: updated twice per round."""

from __future__ import annotations

from dataclasses import replace

from flightcheck.recording.records import Call, Location, ModuleInfo, OptimizerInfo, ParameterInfo
from flightcheck.testing import run_of, verdict_of

A = OptimizerInfo(0, "Adam", Location("train.py", 10), steps=20)
B = OptimizerInfo(1, "SGD", Location("train.py", 11), steps=20)
MODULE = ModuleInfo(0, "net.0", "Linear", "linear", 0)
WEIGHT = ParameterInfo(0, "net.0.weight", 0, [4, 4], "matrix", optimizers=[0])


def rounds(*order: tuple[str, int]) -> list[Call]:
    return [Call(i, i // len(order), *order[i % len(order)]) for i in range(10 * len(order))]


def test_twice_in_one_optimizer_fails() -> None:
    (finding,) = verdict_of("P09", run_of(A, MODULE, replace(WEIGHT, optimizers=[0, 0]))).findings
    assert finding.location == A.location
    assert finding.severity is None


def test_two_optimizers_after_one_backward_fail() -> None:
    both = replace(WEIGHT, optimizers=[0, 1])
    run = run_of(A, B, MODULE, both, *rounds(("backward", -1), ("step", 0), ("step", 1)))
    (finding,) = verdict_of("P09", run).findings
    assert finding.location == B.location
    assert finding.severity is None


def test_two_optimizers_that_take_turns_are_info() -> None:
    both = replace(WEIGHT, optimizers=[0, 1])
    run = run_of(A, B, MODULE, both, *rounds(("backward", -1), ("step", 0), ("backward", -1), ("step", 1)))
    assert [f.severity for f in verdict_of("P09", run).findings] == ["info"]


def test_stages_one_after_the_other_pass() -> None:
    both = replace(WEIGHT, optimizers=[0, 1])
    first, second = rounds(("backward", -1), ("step", 0)), rounds(("backward", -1), ("step", 1))
    assert verdict_of("P09", run_of(A, B, MODULE, both, *first, *second)).status == "pass"


def test_one_holder_passes() -> None:
    assert verdict_of("P09", run_of(A, B, MODULE, WEIGHT)).status == "pass"


def test_inconclusive_and_skipped() -> None:
    assert verdict_of("P09", run_of(replace(A, steps=0), MODULE, WEIGHT)).status == "inconclusive"
    assert verdict_of("P09", run_of(MODULE, WEIGHT)).status == "skipped"
