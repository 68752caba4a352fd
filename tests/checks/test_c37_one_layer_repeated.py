"""C37 one-layer-repeated."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flightcheck.recording.records import Location
from flightcheck.recording.wiring import RepeatedModule
from flightcheck.testing import run_of, verdict_of
from tests.checks._network import OPTIMIZER, network

LINE = Location("train.py", 12, "__init__", "self.heads = nn.ModuleList([nn.Linear(8, 1)] * 5)")
REPEATED = RepeatedModule(0, LINE, 2, "net.heads", 5)


def test_one_layer_at_five_places_warns() -> None:
    (finding,) = verdict_of("C37", run_of(*network(3), REPEATED, steps=100)).findings
    assert finding.location == LINE
    assert "5 places of net.heads" in finding.message
    assert finding.parameters == (1,)
    assert finding.patch == "source:separate:train.py:12"


@pytest.mark.parametrize("code", ["self.shared = [block] * 4", "layers = [self.tied_layer] * n"])
def test_weights_that_are_shared_by_name_pass(code: str) -> None:
    meant = replace(REPEATED, location=replace(LINE, code=code))
    assert verdict_of("C37", run_of(*network(3), meant, steps=100)).status == "pass"


def test_a_list_of_models_fails_where_several_optimizers_hold_the_same() -> None:
    models = replace(REPEATED, container="", places=0)
    records = [r for r in network(3) if r is not OPTIMIZER]
    first = replace(OPTIMIZER, parameters=[0, 1, 2])
    assert verdict_of("C37", run_of(*records, first, models, steps=100)).status == "pass"
    (finding,) = verdict_of("C37", run_of(*records, first, replace(first, index=1), models, steps=100)).findings
    assert "one set of weights" in finding.message


def test_no_list_of_layers_is_skipped() -> None:
    assert verdict_of("C37", run_of(*network(3), steps=100)).status == "skipped"


def test_no_step_is_inconclusive() -> None:
    assert verdict_of("C37", run_of(*network(3), REPEATED, steps=0)).status == "inconclusive"
