"""C15 network-is-linear: layers that are one layer together."""

from __future__ import annotations

from dataclasses import replace

from flightcheck.checks.base import Verdict
from flightcheck.recording.loss_records import LinearStack, LossCall, LossSite
from flightcheck.recording.records import Location, ModuleInfo, OptimizerInfo, ParameterInfo
from flightcheck.testing import run_of, verdict_of

CALL = Location("train.py", 20)
MODULES = [
    ModuleInfo(0, "Net", "Net", "container", 0),
    ModuleInfo(1, "Net.fc1", "Linear", "linear", 0, location=Location("train.py", 8)),
    ModuleInfo(2, "Net.fc2", "Linear", "linear", 0, location=Location("train.py", 9)),
]
PARAMETERS = [
    ParameterInfo(0, "fc1.weight", 1, [64, 10], "matrix", optimizers=[0]),
    ParameterInfo(1, "fc2.weight", 2, [3, 64], "matrix", optimizers=[0]),
]
SGD = OptimizerInfo(0, "SGD", steps=10)
STACK = LinearStack(0, [0, 1], [1, 2], [10, 64], [64, 3], CALL)


def verdict(
    stack: LinearStack, modules: list[ModuleInfo] = MODULES, parameters: list[ParameterInfo] = PARAMETERS
) -> Verdict:
    return verdict_of("C15", run_of(SGD, *modules, *parameters, stack))


def test_two_layers_without_activation_fail_where_the_first_is_called() -> None:
    (finding,) = verdict(STACK).findings
    assert finding.location == CALL
    assert "10 → 64 → 3" in finding.message
    assert finding.evidence["layers"] == 2


def test_a_state_that_a_layer_hands_to_itself_is_one_layer_and_not_several() -> None:
    stack = LinearStack(0, [0, 0, 0, 1], [1, 1, 1, 2], [10, 64, 64, 64], [64, 64, 64, 3], CALL)
    (finding,) = verdict(stack).findings
    assert finding.message.startswith("The 2 layers (10 → 64 → 64 → 64 → 3; one is called 3 times in a row)")
    assert "tanh" in finding.fix
    (unknown,) = verdict(replace(stack, parameters=[-1, 0, 0, 1])).findings
    assert unknown.message.startswith("The 3 layers")


def test_in_a_sequential_the_layer_itself_is_the_line() -> None:
    modules = [replace(MODULES[0], type="Sequential"), *MODULES[1:]]
    (finding,) = verdict(STACK, modules).findings
    assert finding.location == MODULES[1].location


def test_a_narrow_layer_in_the_middle_is_a_factorization() -> None:
    assert verdict(replace(STACK, inputs=[10, 2], outputs=[2, 3])).status == "pass"


def test_a_frozen_layer_is_a_projection() -> None:
    assert verdict(STACK, parameters=[replace(PARAMETERS[0], optimizers=[]), PARAMETERS[1]]).status == "pass"


def test_one_layer_is_a_linear_model_on_purpose() -> None:
    assert verdict(LinearStack(0, [0], [1], [10], [3], CALL)).status == "skipped"


def test_bent_models_pass_and_unknown_ones_are_inconclusive() -> None:
    call = LossCall(0, 0, True, [4, 3], [4], [], "float32", "int64", 1.0, -1, 1, 0, 2)
    assert verdict_of("C15", run_of(SGD, LossSite(0, "cross_entropy", CALL), call)).status == "pass"
    assert verdict_of("C15", run_of(SGD)).status in ("inconclusive", "skipped")
