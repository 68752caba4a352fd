"""D07 inputs-and-labels-misaligned: three witnesses together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from flightcheck.adapters.torch.probes.neighbours import first_sight
from flightcheck.checks.base import Verdict
from flightcheck.recording.batches import OrderUse
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.fresh_targets import FreshTarget
from flightcheck.recording.loss_records import LossSite
from flightcheck.recording.records import Location, Plan
from flightcheck.recording.reversed_sums import ReversedSum
from flightcheck.recording.separate_orders import SeparateOrders
from flightcheck.testing import run_of, verdict_of
from tests.checks._batches import LINEAR, batches
from tests.checks._experiments import all_without_inputs, fit, neighbours, untested, without_inputs

LINE = Location("train.py", 7)
BY_HEART = [*all_without_inputs(), fit(0.01)]


def verdict(*records: Any, regimes: tuple[str, ...] = ()) -> Verdict:
    site = LossSite(0, "cross_entropy", Location("train.py", 40), target_origin=LINE, train_calls=60)
    return verdict_of("D07", run_of(Plan(regimes=list(regimes)), site, *records))


def test_labels_without_information_warn() -> None:
    result = verdict(*BY_HEART, neighbours())
    assert result.status == "fail"
    (finding,) = result.findings
    assert (finding.severity, finding.location) == ("warn", LINE)
    assert "has its label in 25.0 % of 2000 cases (chance: 25.0 %)" in finding.message
    assert finding.evidence["offset"] is None


def test_an_offset_proves_it() -> None:
    shifts = [0.25] * 11
    shifts[5 - 2] = 0.93
    (finding,) = verdict(*BY_HEART, neighbours(shifts=shifts)).findings
    assert (finding.severity, finding.evidence["offset"]) == (None, -2)
    assert "With labels shifted by -2 rows it is 0.93." in finding.message


def test_agreement_without_a_shift_proves_nothing() -> None:
    shifts = [0.25] * 11
    shifts[5] = 0.93
    (finding,) = verdict(*BY_HEART, neighbours(shifts=shifts)).findings
    assert finding.severity == "warn"


def test_neighbours_that_agree_are_a_slow_task() -> None:
    assert verdict(*BY_HEART, neighbours(hits=600)).status == "inconclusive"
    # a little above chance: the upper limit decides
    assert verdict(*BY_HEART, neighbours(hits=525, agreement=0.525)).status == "inconclusive"


NUMBERS: dict[str, Any] = {"classes": 0, "hits": 0, "chance": 0.0, "agreement": 0.02, "shifts": [0.02] * 11}


def test_numbers_without_information_warn() -> None:
    (finding,) = verdict(*BY_HEART, neighbours(**NUMBERS)).findings
    assert finding.severity == "warn"
    assert "Targets of examples and of their nearest neighbours have a correlation of 0.02 (2000 cases)" in (
        finding.message
    )


def test_an_offset_of_numbers_proves_it() -> None:
    shifts = [0.02] * 11
    shifts[5 + 1] = 0.7
    (finding,) = verdict(*BY_HEART, neighbours(**{**NUMBERS, "shifts": shifts})).findings
    assert (finding.severity, finding.evidence["offset"]) == (None, 1)
    shifts[5 + 1] = 0.25  # above chance, and no proof
    (finding,) = verdict(*BY_HEART, neighbours(**{**NUMBERS, "shifts": shifts})).findings
    assert finding.severity == "warn"


@pytest.mark.parametrize("changes", [{"agreement": 0.4}, {"agreement": 0.11}, {"agreement": 0.05, "examples": 500}])
def test_numbers_that_neighbours_share_are_a_slow_task(changes: dict[str, Any]) -> None:
    assert verdict(*BY_HEART, neighbours(**{**NUMBERS, **changes})).status == "inconclusive"


def test_inputs_that_are_worth_something_pass() -> None:
    assert verdict(without_inputs(0.5, steps=80), neighbours()).status == "pass"
    assert verdict(*all_without_inputs()[:2], without_inputs(0.5), fit(0.01), neighbours()).status == "pass"


def test_a_model_that_cannot_fit_is_broken_in_another_way() -> None:
    told = verdict(*all_without_inputs(), fit(0.7), fit(0.5, "Adam(0.003)"), neighbours())
    assert told.status == "inconclusive" and "S01" in told.reason


def test_few_examples_are_no_pass() -> None:
    slight = [*all_without_inputs(0.05), fit(0.01)]
    told = verdict(*slight, neighbours(examples=450))
    assert (told.status, told.reason) == ("inconclusive", "450 of 500 examples")


@pytest.mark.parametrize(
    "records",
    [
        (),
        (untested("S02", "inputs:permute", "no time"),),
        (without_inputs(steps=80), fit(0.01), neighbours()),
        (*all_without_inputs(), neighbours()),
        (*BY_HEART,),
        (*BY_HEART, neighbours(examples=200)),
        (*BY_HEART, neighbours(classes=1)),
    ],
)
def test_too_little_is_known(records: tuple[Any, ...]) -> None:
    assert verdict(*records).status == "inconclusive"


@pytest.mark.parametrize("regime", ["gan", "reinforcement"])
def test_where_there_are_no_labels(regime: str) -> None:
    assert verdict(*BY_HEART, neighbours(), regimes=(regime,)).status == "skipped"


def test_what_the_training_has_by_heart_is_no_information() -> None:
    """After some passes real pairs are better than permuted ones; on examples at first sight they are not."""
    slight = [*all_without_inputs(0.05), fit(0.01)]
    assert verdict(*slight, neighbours()).status == "pass"
    assert verdict(*slight, neighbours(new_batches=56, new_gain=0.04)).status == "pass"
    (finding,) = verdict(*slight, neighbours(new_batches=56, new_gain=0.003)).findings
    assert "ends hardly worse than the real one, which knows some by heart (1 and 1.05)" in finding.message
    assert verdict(*all_without_inputs(0.5), fit(0.01), neighbours(new_gain=0.003)).status == "pass"


def test_the_line_is_the_last_order_that_only_one_of_the_two_went_through() -> None:
    lines = {n: Location("train.py", n) for n in (16, 17, 18, 23)}
    (batch,) = batches(1, orders=[lines[n] for n in (23, 18, 16)])
    site = LossSite(0, "cross_entropy", Location("train.py", 40), target_orders=[lines[n] for n in (23, 18, 17)],
                    train_calls=60)  # fmt: skip
    (finding,) = verdict_of("D07", run_of(LINEAR, batch, site, *BY_HEART, neighbours())).findings
    assert finding.location == lines[17]
    assert finding.patch == "source:order:train.py:16+source:same-order:train.py:17"
    alone = replace(site, target_orders=[lines[n] for n in (23, 18)])
    (finding,) = verdict_of("D07", run_of(LINEAR, batch, alone, *BY_HEART, neighbours())).findings
    assert finding.location == lines[16]
    assert finding.patch == "source:unordered:train.py:16"
    used = OrderUse(lines[16], Location("train.py", 20))
    (finding,) = verdict_of("D07", run_of(LINEAR, batch, alone, used, *BY_HEART, neighbours())).findings
    assert finding.location == used.used, "it uses the order for one of the two only"
    assert finding.patch == "source:unordered:train.py:20"
    many = replace(site, target_orders=[lines[17], Location("train.py", 19)])
    (finding,) = verdict_of("D07", run_of(LINEAR, batch, many, *BY_HEART, neighbours())).findings
    assert finding.patch == ""


def test_first_sight() -> None:
    torch.manual_seed(0)
    noise = torch.randn(60).mul(0.02).tolist()
    blind = first_sight([(1.0, 1.0 + v) for v in noise])
    assert blind["new_batches"] == 60
    assert 0 < blind["new_gain"] < 0.02
    assert first_sight([(0.9, 1.0 + v) for v in noise])["new_gain"] > 0.1
    assert "new_gain" not in first_sight([(1.0, 1.0)] * 12), "too few to tell"


def test_a_training_without_inputs_that_only_scatters_hides_nothing() -> None:
    short, zero, permuted = all_without_inputs()
    noise = {"status": "inconclusive", "before": 1.0, "after": 1.3, "low": -0.7, "high": 0.15}
    told = (short, replace(zero, **noise), permuted, fit(0.01))
    (finding,) = verdict(*told, neighbours(new_batches=56, new_gain=0.003)).findings
    assert finding.severity == "warn"
    worse = replace(zero, **{**noise, "high": -0.1})
    assert verdict(short, worse, permuted, fit(0.01), neighbours(new_batches=56, new_gain=0.003)).status == "pass"


DRAWN, TWICE = Location("train.py", 58, code="noise = torch.randn_like(x)"), Location("train.py", 60, code="x = y")


def test_a_target_that_is_a_draw_of_its_own_needs_no_experiment() -> None:
    (finding,) = verdict(FreshTarget(0, DRAWN, 8, 8, TWICE)).findings
    assert (finding.location, finding.severity, finding.patch) == (DRAWN, None, "draws:train.py:58,60")
    assert "drawn once more at line 60" in finding.message
    (finding,) = verdict(FreshTarget(0, DRAWN, 8, 8)).findings
    assert (finding.patch, finding.fix) == ("", "")
    beside = LossSite(1, "l1_loss", LINE, train_calls=60)
    assert [f.severity for f in verdict(FreshTarget(0, DRAWN, 8, 8), beside).findings] == ["info"]


@pytest.mark.parametrize("seen", [FreshTarget(0, DRAWN, 9, 8), FreshTarget(0, DRAWN, 7, 7)])
def test_a_draw_now_and_then_is_no_proof(seen: FreshTarget) -> None:
    assert verdict(seen).status == "inconclusive"
    assert verdict(FreshTarget(0, DRAWN, 8, 8), regimes=("gan",)).status == "skipped"


ONE, OTHER = Location("train.py", 16), Location("train.py", 17)
PARTED = SeparateOrders(0, 8, 8, ONE, OTHER, LINE, 1400, one_loader=False, same_places=0.001)


def test_two_loaders_that_shuffle_by_themselves_need_no_experiment() -> None:
    (finding,) = verdict(PARTED).findings
    assert (finding.location, finding.severity, finding.patch) == (OTHER, None, "shuffle:together")
    assert "lines 16 and 17" in finding.message
    (finding,) = verdict(replace(PARTED, targets=ONE, one_loader=True)).findings
    assert finding.location == LINE
    assert finding.fix == "Take inputs and targets from one batch."


@pytest.mark.parametrize("changes", [{"apart": 7}, {"calls": 3, "apart": 3}, {"same_places": 0.6}])
def test_batches_that_meet_now_and_then_are_no_proof(changes: dict[str, Any]) -> None:
    assert verdict(replace(PARTED, **changes)).status == "inconclusive"
    assert verdict(PARTED, regimes=("gan",)).status == "skipped"


def test_returns_that_nobody_turns_warn_in_reinforcement_learning_alone() -> None:
    turned = ReversedSum(LINE)
    tried = Experiment("D07", "source:first:train.py:7", status="confirmed")
    (finding,) = verdict(turned, regimes=("reinforcement",)).findings
    assert (finding.severity, finding.patch) == ("warn", tried.patch)
    assert verdict(turned, tried, regimes=("reinforcement",)).findings[0].severity is None
    assert verdict(turned).findings == ()
