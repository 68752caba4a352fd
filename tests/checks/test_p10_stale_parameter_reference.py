"""P10 stale-parameter-reference: the optimizer steps over tensors nobody uses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from flightcheck.recording.records import Location, ModuleInfo, OptimizerInfo, ParameterInfo, RootInfo
from flightcheck.recording.signals import WEIGHT_NORM
from flightcheck.testing import run_of, verdict_of

OPTIMIZER_LINE, COPY_LINE, HEAD_LINE = (Location("train.py", n) for n in (10, 14, 15))
ROOT = RootInfo(0, "model", "Net", COPY_LINE, constructed_seq=9)
BODY = ModuleInfo(1, "model.body", "Linear", "linear", 0, Location("train.py", 3))
HEAD = ModuleInfo(2, "model.head", "Linear", "linear", 0, HEAD_LINE)
ADAM = OptimizerInfo(0, "Adam", OPTIMIZER_LINE, steps=40, constructed_seq=5)
STALE = ParameterInfo(0, "Adam.param0", -1, [8, 8], "matrix", optimizers=[0], gradient_checks=20)
UNHELD = ParameterInfo(1, "model.body.weight", 1, [8, 8], "matrix", in_graph=True)


def test_a_model_copied_after_the_optimizer_fails_at_the_copy() -> None:
    (finding,) = verdict_of("P10", run_of(ROOT, BODY, ADAM, STALE, UNHELD)).findings
    assert finding.location == COPY_LINE
    assert finding.parameters == (1,)


def test_a_model_of_a_function_that_makes_them_fails_at_the_optimizer(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text("def build_model():\n    net = Net()\n    return net\n")
    made = Location(str(script), 2, "build_model", "net = Net()")
    (finding,) = verdict_of("P10", run_of(replace(ROOT, location=made), BODY, ADAM, STALE, UNHELD)).findings
    assert finding.location == OPTIMIZER_LINE, "the function made the first model, too"


def test_an_older_model_fails_at_the_optimizer() -> None:
    (finding,) = verdict_of("P10", run_of(replace(ROOT, constructed_seq=1), BODY, ADAM, STALE, UNHELD)).findings
    assert finding.location == OPTIMIZER_LINE


def test_a_replaced_head_fails_at_the_head() -> None:
    held = replace(UNHELD, optimizers=[0])
    new = ParameterInfo(2, "model.head.weight", 2, [10, 8], "matrix", in_graph=True, location=HEAD_LINE)
    (finding,) = verdict_of("P10", run_of(ROOT, BODY, HEAD, ADAM, STALE, held, new)).findings
    assert finding.location == HEAD_LINE
    assert finding.module == "model.head"


def test_unused_parameters_alone_pass() -> None:
    assert verdict_of("P10", run_of(ROOT, BODY, ADAM, STALE, replace(UNHELD, optimizers=[0]))).status == "pass"


def test_master_weights_pass() -> None:
    master = replace(STALE, gradients_nonzero=20, gradients_seen=20)
    assert verdict_of("P10", run_of(ROOT, BODY, ADAM, master, UNHELD)).status == "pass"
    moving = {WEIGHT_NORM: [[1.0, 1.0 + i / 50] for i in range(20)]}
    assert verdict_of("P10", run_of(ROOT, BODY, ADAM, STALE, UNHELD, series=moving)).status == "pass"


def test_inconclusive_and_skipped() -> None:
    assert (
        verdict_of("P10", run_of(ROOT, BODY, ADAM, replace(STALE, gradient_checks=0), UNHELD)).status == "inconclusive"
    )
    assert verdict_of("P10", run_of(ROOT, BODY, replace(ADAM, steps=0), STALE, UNHELD)).status == "inconclusive"
    assert verdict_of("P10", run_of(ROOT, BODY, UNHELD)).status == "skipped"
