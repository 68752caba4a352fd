"""L10 reduction-scale: sums beside means, and sums under plain SGD; the weights and optimizers that make up for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from flightcheck.checks.base import Verdict
from flightcheck.recording.batches import Batch
from flightcheck.recording.loss_records import LossCall, LossSite, LossTerm
from flightcheck.recording.records import Call, Location, OptimizerInfo, Plan
from flightcheck.recording.signals import LOSS
from flightcheck.testing import run_of, verdict_of

MEAN_LINE, SUM_LINE, BACKWARD = Location("train.py", 30), Location("train.py", 31), Location("train.py", 50)
SITE = LossSite(0, "mse_loss", MEAN_LINE)
SUMMING = replace(SITE, settings={"reduction": "sum"})
TERM = LossTerm(0, 1, BACKWARD, "MseLossBackward0", MEAN_LINE, site=0, coefficient=1.0, value=1.0)
BY_HAND = LossTerm(
    0, 1, BACKWARD, "PowBackward0", SUM_LINE, coefficient=0.5, value=None, numel=384, summed=[64, 6]
)  # fmt: skip
SGD = OptimizerInfo(0, "SGD", Location("train.py", 10), [{"lr": 0.1, "momentum": 0.9}], [0], steps=30)
RISING = [1.0 + 0.1 * i for i in range(30)]


def judge(
    *terms: LossTerm, site: LossSite = SITE, optimizer: OptimizerInfo = SGD, n: int = 64, more: tuple[Any, ...] = (),
    losses: list[float] | None = None,
) -> Verdict:  # fmt: skip
    calls = [LossCall(0, i, True, [n, 9], [n, 9], [], "float32", "float32", 1, -1, 1, -1, 1) for i in range(8)]
    batches = [Batch(i, True, 0, "0", [n, 4], "float32", "", 0, 1, 0, 1, 0, 0) for i in range(8)]
    rows = [replace(t, step=i, backward=i) for i in range(8) for t in terms]
    return verdict_of("L10", run_of(site, optimizer, *calls, *batches, *rows, *more, series={LOSS: losses or RISING}))


def test_sum_beside_a_mean_fails() -> None:
    (finding,) = judge(TERM, BY_HAND).findings
    assert finding.location == SUM_LINE
    assert finding.evidence["batch_size"] == 64


def test_sum_by_the_loss_beside_a_mean_by_hand_fails() -> None:
    mean = replace(BY_HAND, summed=[], averaged=[64, 6], coefficient=1 / 384)
    (finding,) = judge(TERM, mean, site=SUMMING).findings
    assert finding.location == MEAN_LINE


@pytest.mark.parametrize("rising", [RISING, [*RISING[:10], float("nan")]])
def test_sum_under_plain_sgd_fails(rising: list[float]) -> None:
    (finding,) = judge(TERM, site=SUMMING, losses=rising).findings
    assert finding.location == MEAN_LINE
    assert "64" in finding.fix


@pytest.mark.parametrize(
    "terms",
    [
        (TERM,),
        (TERM, replace(BY_HAND, coefficient=0.001)),  # weighted to make up for it
        (TERM, replace(BY_HAND, coefficient=None)),
        (TERM, replace(BY_HAND, penalty=True)),
        (TERM, replace(BY_HAND, summed=[8])),  # over experts
        (TERM, replace(BY_HAND, summed=[], averaged=[64, 6], coefficient=1 / 384)),
    ],
)
def test_means_and_weighted_sums_pass(terms: tuple[LossTerm, ...]) -> None:
    assert judge(*terms).status == "pass"


@pytest.mark.parametrize(
    "changes",
    [
        {"losses": RISING[::-1]},
        {"optimizer": replace(SGD, type="Adam")},
        {"optimizer": replace(SGD, groups=[{"lr": 1e-4}])},
        {"optimizer": replace(SGD, groups=[{"lr": 2.0}])},  # too fast for a mean too
        {"more": (Call(0, 0, "clip"),)},
        {"n": 2},
    ],
)
def test_sums_that_do_no_harm_pass(changes: dict[str, Any]) -> None:
    assert judge(TERM, site=SUMMING, **changes).status == "pass"


def test_elbo_of_sums_passes() -> None:
    assert judge(TERM, BY_HAND, site=SUMMING, optimizer=replace(SGD, type="Adam")).status == "pass"


def test_few_losses_are_inconclusive() -> None:
    assert judge(TERM, site=SUMMING, losses=[1.0, 2.0]).status == "inconclusive"


def test_opponents_and_nothing_to_see_are_skipped() -> None:
    assert judge(TERM, BY_HAND, more=(Plan(regimes=["gan"]),)).status == "skipped"
    assert verdict_of("L10", run_of()).status == "skipped"
