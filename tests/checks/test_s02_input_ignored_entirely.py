"""S02 input-ignored-entirely: equivalence with trainings without inputs, early and late."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flightcheck.checks.base import Verdict
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.records import GraphCut, Location, Plan
from flightcheck.testing import run_of, verdict_of
from tests.checks._experiments import all_without_inputs, fit, untested, without_inputs
from tests.checks._network import line, network

LINE = Location("train.py", 20)


def verdict(*experiments: Experiment, regimes: tuple[str, ...] = ()) -> Verdict:
    return verdict_of("S02", run_of(Plan(batch_location=LINE, regimes=list(regimes)), *experiments))


def test_a_model_that_cannot_fit_either_is_an_error() -> None:
    result = verdict(*all_without_inputs(), fit(0.7), fit(0.7, "Adam(0.003)"))
    assert result.status == "fail"
    (finding,) = result.findings
    assert (finding.severity, finding.location) == (None, LINE)
    assert "it cannot learn 8 examples either" in finding.message
    assert finding.evidence["fits_one_batch"] is False


@pytest.mark.parametrize("fits", [[fit(0.01)], [fit(0.7), fit(0.01, "Adam(0.003)")]])
def test_a_model_that_can_fit_gets_a_note(fits: list[Experiment]) -> None:
    (finding,) = verdict(*all_without_inputs(), *fits).findings
    assert finding.severity == "info"
    assert "although it can learn 8 examples by heart" in finding.message


def test_inputs_that_are_worth_something_pass() -> None:
    assert verdict(without_inputs(0.5, steps=80)).status == "pass"
    assert verdict(*all_without_inputs()[:2], without_inputs(0.5), fit(0.7)).status == "pass"
    # a little better after few steps may be memory: the longer trials decide, and here there are none
    assert verdict(without_inputs(0.05, steps=80)).status == "inconclusive"


def test_a_slow_task_needs_longer() -> None:
    assert verdict(without_inputs(steps=80)).status == "inconclusive"
    assert verdict(*all_without_inputs()[:2], fit(0.7)).status == "inconclusive"


def test_not_tried() -> None:
    assert verdict().status == "inconclusive"
    told = verdict(untested("S02", "inputs:permute", "the model is compiled"))
    assert (told.status, told.reason) == ("inconclusive", "the model is compiled")
    assert verdict(*all_without_inputs()).status == "inconclusive", "whether a batch can be fitted is not known"


def test_the_evaluation_of_a_part_behind_a_cut_says_nothing_of_the_model() -> None:
    """A probe of features that do not hold what it is asked, beside an encoder that learns by another loss."""
    cut = GraphCut("detach", line(40), 0, [0, 1], handed_on=8)
    tried = [*all_without_inputs(), fit(0.7)]
    assert verdict_of("S02", run_of(*network(4), cut, *tried)).status == "inconclusive"
    assert verdict_of("S02", run_of(*network(4), replace(cut, handed_on=0), *tried)).status == "fail"


@pytest.mark.parametrize("regime", ["gan", "reinforcement"])
def test_losses_of_players_do_not_measure_it(regime: str) -> None:
    assert verdict(*all_without_inputs(), fit(0.7), regimes=(regime,)).status == "skipped"
