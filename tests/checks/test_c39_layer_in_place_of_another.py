"""C39 layer-in-place-of-another."""

from __future__ import annotations

from typing import Any

import pytest

from flightcheck.checks.base import Verdict
from flightcheck.recording.records import Location
from flightcheck.recording.wiring import StandIn
from flightcheck.testing import run_of, verdict_of
from tests.checks._network import network, with_parameters

LINE = Location("train.py", 23, "encode", "return self.mu(h), self.mu(h)")
PAIR = StandIn(0, 2, 4, 2, LINE)
NEVER: dict[str, Any] = {"gradients_seen": 0, "gradients_nonzero": 0, "in_graph": False}


def judge(**changes: Any) -> Verdict:
    return verdict_of("C39", run_of(*with_parameters(network(3), 2, **{**NEVER, **changes}), PAIR, steps=100))


def test_a_layer_that_is_called_for_another_fails_at_the_second_call() -> None:
    (finding,) = judge().findings
    assert finding.location == LINE
    assert finding.parameters == (2,)
    assert finding.patch == "call-instead:net.2>net.4"


@pytest.mark.parametrize("changes", [{"in_graph": True}, {"gradients_seen": 3}, {"optimizers": []}])
def test_one_that_learns_or_is_not_to_learn_passes(changes: dict[str, Any]) -> None:
    assert judge(**changes).status == "pass"


def test_few_looks_and_no_steps_are_inconclusive() -> None:
    assert judge(gradient_checks=3).status == "inconclusive"
    assert verdict_of("C39", run_of(*network(3), PAIR, steps=0)).status == "inconclusive"


def test_one_layer_is_skipped() -> None:
    assert verdict_of("C39", run_of(*network(1), steps=100)).status == "skipped"
