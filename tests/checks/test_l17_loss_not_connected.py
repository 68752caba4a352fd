"""L17 loss-not-connected: cuts at the loss and inside the model, and cuts that are meant."""

from __future__ import annotations

from dataclasses import replace

from flightcheck.recording.records import Call, GraphCut, Location, ModuleInfo, OptimizerInfo, ParameterInfo, RootInfo
from flightcheck.testing import run_of, verdict_of

BACKWARD = Location("train.py", 60, "train")
CUT = Location("train.py", 55, "train")
ADAM = OptimizerInfo(0, "Adam", parameters=[0, 1, 2, 3], steps=50)
ENCODER = [ModuleInfo(i, f"net.encoder.{i}", "Linear", "linear", 0, Location("train.py", 10 + i)) for i in range(2)]
LOST = [ParameterInfo(i, f"encoder.{i}.weight", i, [8, 8], "matrix", optimizers=[0], gradient_checks=9) for i in (0, 1)]
HEAD = [
    ParameterInfo(i, f"head.{i}.weight", -1, [i, 8], "matrix", optimizers=[0], gradient_checks=9, gradients_seen=9)
    for i in (2, 3)
]
FED = [replace(p, gradients_seen=9) for p in LOST]


def backward(parameters: int, leaf: bool = False, n: int = 8) -> list[Call]:
    return [Call(i, i, "backward", location=BACKWARD, data={"parameters": parameters, "leaf": leaf}) for i in range(n)]


def test_backward_on_a_copy_fails_at_the_copy() -> None:
    cuts = [
        GraphCut("item", Location("train.py", 70, "train"), 0, [0, 1], count=9),
        GraphCut("tensor", CUT, 0, [0, 1], count=9),
        GraphCut("requires_grad", Location("train.py", 58, "train"), 0, []),
    ]
    (finding,) = verdict_of("L17", run_of(ADAM, *LOST, *cuts, *backward(0, leaf=True))).findings
    assert finding.location == CUT
    assert finding.parameters == (0, 1)


def test_backward_on_a_leaf_without_a_known_cut_fails_at_backward() -> None:
    (finding,) = verdict_of("L17", run_of(ADAM, *LOST, *backward(0, leaf=True))).findings
    assert finding.location == BACKWARD


def test_refused_backward_fails_at_the_cut() -> None:
    error = "RuntimeError: element 0 of tensors does not require grad and does not have a grad_fn"
    cut = GraphCut("integer", CUT, 0, [0, 1])
    verdict = verdict_of("L17", run_of(*LOST, cut, error=error, error_location=BACKWARD, ended="exception"))
    assert [f.location for f in verdict.findings] == [CUT]


def test_refused_backward_of_a_frozen_model() -> None:
    error = "RuntimeError: element 0 of tensors does not require grad and does not have a grad_fn"
    frozen = [replace(p, requires_grad=False) for p in LOST]
    (finding,) = verdict_of("L17", run_of(*frozen, error=error, error_location=BACKWARD)).findings
    assert "requires_grad=False" in finding.message


def test_a_cut_that_leaves_the_head_connected_is_left_to_c02() -> None:
    cut = GraphCut("detach", CUT, 0, [0, 1])
    assert verdict_of("L17", run_of(ADAM, *LOST, *HEAD, cut, *backward(2))).status == "pass"


def test_a_cut_of_everything_is_one_finding_at_its_line() -> None:
    cut = GraphCut("detach", CUT, 0, [0, 1])
    (finding,) = verdict_of("L17", run_of(ADAM, *LOST, cut, *backward(2))).findings
    assert finding.location == CUT
    assert finding.parameters == (0, 1)


def test_cut_beside_a_working_path_passes() -> None:
    cuts = [GraphCut("detach", CUT, 0, [0, 1]), GraphCut("item", CUT, 0, [0, 1, 2, 3])]
    assert verdict_of("L17", run_of(ADAM, *FED, *HEAD, *cuts, *backward(4))).status == "pass"


def test_a_batch_without_objects_passes() -> None:
    calls = [*backward(4), Call(9, 9, "backward", location=BACKWARD, data={"parameters": 0, "leaf": True})]
    assert verdict_of("L17", run_of(ADAM, *FED, *HEAD, *calls)).status == "pass"


def test_parts_that_are_not_trained_pass() -> None:
    target = [replace(p, optimizers=[]) for p in LOST]
    cut = GraphCut("detach", CUT, 0, [0, 1])
    assert verdict_of("L17", run_of(ADAM, *target, *HEAD, cut, *backward(2))).status == "pass"
    frozen = [replace(p, requires_grad=False) for p in LOST]
    assert verdict_of("L17", run_of(ADAM, *frozen, *HEAD, cut, *backward(2))).status == "pass"


def test_manual_training_of_unknown_tensors_passes() -> None:
    assert verdict_of("L17", run_of(GraphCut("item", CUT, 0, []), *backward(0))).status == "pass"


def test_no_grad_without_another_sign_is_a_warning() -> None:
    cut = GraphCut("no_grad", CUT, 0, [0, 1])
    verdict = verdict_of("L17", run_of(ADAM, *LOST, cut, *backward(2)))
    assert [f.severity for f in verdict.findings] == ["warn"]
    loaded = RootInfo(0, "net", "Net", loaded=True)
    assert [f.severity for f in verdict_of("L17", run_of(loaded, ADAM, *LOST, cut, *backward(2))).findings] == ["info"]


def test_unobserved_backward_is_inconclusive() -> None:
    blind = Call(0, 0, "backward", location=BACKWARD)
    unchecked = [replace(p, gradient_checks=0) for p in LOST]
    assert verdict_of("L17", run_of(ADAM, *unchecked, blind, backwards=1)).status == "inconclusive"
    assert verdict_of("L17", run_of(ADAM, *unchecked, *backward(0, n=1))).status == "inconclusive"


def test_no_backward_is_skipped() -> None:
    assert verdict_of("L17", run_of()).status == "skipped"
