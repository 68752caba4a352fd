"""C45 softmax-between-layers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from flightcheck.recording.experiments import Experiment
from flightcheck.recording.hidden_softmaxes import HiddenSoftmax
from flightcheck.recording.records import Location, ModuleInfo
from flightcheck.recording.signals import LOSS
from flightcheck.testing import run_of, verdict_of

ONE = HiddenSoftmax(Location("train.py", 20), 64, calls=8, layers=1)
OTHER = replace(ONE, location=Location("train.py", 21), features=32)
FLAT, FALLING = np.full(60, 2.3), np.linspace(2.3, 0.4, 60)
BOTH = "swap-activation:softmax@train.py:20,train.py:21"


def test_several_are_an_error_where_relu_learns_better() -> None:
    (finding,) = verdict_of("C45", run_of(ONE, OTHER)).findings
    assert (finding.severity, finding.patch, finding.location) == ("info", BOTH, ONE.location)
    for status, severity in (("confirmed", None), ("refuted", "info"), ("inconclusive", "info")):
        tried = Experiment("C45", BOTH, status=status)
        (finding,) = verdict_of("C45", run_of(ONE, OTHER, tried)).findings
        assert finding.severity == severity
    assert "2 layers are fed" in finding.message and "about 0.016" in finding.message


def test_a_module_is_told_where_it_is_made() -> None:
    made = Location("train.py", 9)
    module = ModuleInfo(3, "net.act", "Softmax", "other", 0, location=made)
    (finding,) = verdict_of("C45", run_of(module, replace(ONE, module=3, layers=2))).findings
    assert (finding.location, finding.module) == (made, "net.act")


def test_one_in_a_model_that_learns_passes() -> None:
    """A mixture of topics, decoded by a layer: ReLU may fit better, and is not meant."""
    tried = Experiment("C45", "swap-activation:softmax@train.py:20", status="confirmed")
    assert verdict_of("C45", run_of(ONE, tried, series={LOSS: FALLING})).status == "pass"
    assert verdict_of("C45", run_of(ONE, tried, series={LOSS: FLAT})).status == "fail"


def test_without_one_it_is_skipped() -> None:
    assert verdict_of("C45", run_of()).status == "skipped"
