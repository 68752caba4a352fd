"""C29 bias-or-decay-with-norm: a bias that is subtracted again, and biases that count."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flightcheck.checks.base import Verdict
from flightcheck.recording.records import Location, ModuleInfo, ParameterInfo
from flightcheck.recording.signals import GRAD_NORM
from flightcheck.testing import run_of, verdict_of

CONV = ModuleInfo(0, "model.0", "Conv2d", "conv", 0, Location("train.py", 9), order=0, settings={"out_channels": 8})
NORM = ModuleInfo(1, "model.1", "BatchNorm2d", "batchnorm", 0, order=1, settings={"num_features": 8})
WEIGHT = ParameterInfo(0, "model.0.weight", 0, [8, 1, 3, 3], "matrix")
BIAS = ParameterInfo(1, "model.0.bias", 0, [8], "bias")


def judge(
    layer: ModuleInfo = CONV, norm: ModuleInfo = NORM, bias: ParameterInfo = BIAS, gradient: float = 1e-8, n: int = 5
) -> Verdict:
    return verdict_of("C29", run_of(layer, norm, WEIGHT, bias, series={GRAD_NORM: [[1.0, gradient]] * n}))


def test_bias_before_a_normalization_is_named() -> None:
    (finding,) = judge().findings
    assert (finding.module, finding.location) == ("model.0", CONV.location)


def test_linear_before_instance_norm_is_named() -> None:
    linear = replace(CONV, type="Linear", kind="linear", settings={"out_features": 8})
    assert judge(linear, replace(NORM, type="InstanceNorm1d", kind="norm")).status == "fail"


def test_bias_with_a_gradient_passes() -> None:
    assert judge(gradient=0.1).status == "pass"


@pytest.mark.parametrize(
    "norm",
    [
        replace(NORM, type="LayerNorm", kind="norm"),
        replace(NORM, type="GroupNorm", kind="norm"),
        replace(NORM, settings={"num_features": 16}),
        replace(NORM, root=1),
    ],
)
def test_other_normalizations_are_skipped(norm: ModuleInfo) -> None:
    assert judge(norm=norm).status == "skipped"


def test_few_gradients_are_inconclusive() -> None:
    assert judge(n=2).status == "inconclusive"
