"""T09 metric-wrong: all pairs by accident and on purpose, logits and probabilities cut at a half."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

import flightcheck
from flightcheck.checks.tracking.t09_metric_wrong import IN_STORED_ORDER
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.inputs import DatasetInfo
from flightcheck.recording.loss_records import LossCall, LossSite
from flightcheck.recording.records import LoaderInfo, Location
from flightcheck.recording.surroundings import Comparison
from flightcheck.testing import run_of, verdict_of

LINE = Location("train.py", 40, code="correct += (prediction == y).float().mean()")
PAIRS = Comparison("==", LINE, left_shape=[64, 1], right_shape=[64])
CUT = Comparison(">", LINE, left_shape=[64, 1], threshold=0.5, minimum=-3.0, maximum=4.0)
SITE = LossSite(0, "binary_cross_entropy_with_logits", LINE)
CALL = LossCall(0, 0, True, [32], [32], [], "float32", "float32", 0.7, -1, 1, 0, 1)


def test_all_pairs_fail() -> None:
    (finding,) = verdict_of("T09", run_of(PAIRS, steps=9)).findings
    assert finding.location == LINE
    assert finding.fix.startswith("Give both the shape (64,)")
    assert finding.patch == "metric:align:train.py:40"


@pytest.mark.parametrize(
    "on_purpose",
    [
        replace(PAIRS, left_shape=[64]),
        replace(PAIRS, right_shape=[1, 64]),
        replace(PAIRS, same_data=True),
        replace(PAIRS, counting=True),
        replace(PAIRS, operation=">"),
        replace(PAIRS, location=replace(LINE, code="labels[:, None] == labels")),
    ],
)
def test_pairs_on_purpose_pass(on_purpose: Comparison) -> None:
    assert verdict_of("T09", run_of(on_purpose, steps=9)).status == "pass"


def test_logits_cut_at_a_half_fail() -> None:
    (finding,) = verdict_of("T09", run_of(CUT, SITE, CALL, steps=9)).findings
    assert "62%" in finding.message
    assert finding.patch == "metric:cut:train.py:40"


def test_probabilities_other_thresholds_and_other_losses_pass() -> None:
    assert verdict_of("T09", run_of(replace(CUT, minimum=0.0, maximum=1.0), SITE, CALL, steps=9)).status == "pass"
    assert verdict_of("T09", run_of(replace(CUT, threshold=0.0), SITE, CALL, steps=9)).status == "pass"
    assert verdict_of("T09", run_of(CUT, replace(SITE, function="mse_loss"), CALL, steps=9)).status == "pass"
    assert verdict_of("T09", run_of(replace(CUT, left_shape=[64, 5]), SITE, CALL, steps=9)).status == "pass"


def test_nothing_to_see() -> None:
    assert verdict_of("T09", run_of(steps=0)).status == "skipped"
    assert verdict_of("T09", run_of(steps=9)).status == "inconclusive"


def recorded(folder: Path, metric: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> str:
    torch.manual_seed(0)
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x = torch.randn(40, 4)
    y = (x[:, 0] > 0).float()
    with flightcheck.watch(runs_dir=folder, report=False) as watched:
        for _ in range(12):
            optimizer.zero_grad()
            nn.functional.binary_cross_entropy_with_logits(model(x).squeeze(1), y).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            metric(3 * model(x) if metric is scaled else model(x), y)
    assert watched.run is not None
    return verdict_of("T09", watched.run).status


def scaled(out: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return (out > 0.5).squeeze(1).float() == y


def test_what_is_recorded(tmp_path: Path) -> None:
    assert recorded(tmp_path, lambda out, y: ((out > 0).float() == y).float().mean()) == "fail"
    assert recorded(tmp_path, lambda out, y: (out.squeeze(1) > 0.5) == y) == "fail"
    assert recorded(tmp_path, lambda out, y: (out.squeeze(1).sigmoid() > 0.5) == y) == "pass"
    assert recorded(tmp_path, lambda out, y: (out.squeeze(1) > 0).float() == y) == "pass"
    assert recorded(tmp_path, scaled) == "pass"
    assert recorded(tmp_path, lambda out, y: torch.round(out.squeeze(1)) == y) == "fail"
    assert recorded(tmp_path, lambda out, y: out.squeeze(1).sigmoid().round() == y) == "pass"
    assert recorded(tmp_path, lambda out, y: torch.round(out, decimals=2)) == "pass"


SHUFFLED = DatasetInfo(0, 0, examples=300, sampler="RandomSampler", evaluated=True, passes=2)
PROOF = Experiment("T09", IN_STORED_ORDER, status="confirmed", metric="printed test acc", before=0.33, after=0.91)


def test_a_number_that_depends_on_the_order_fails() -> None:
    loader = LoaderInfo(0, LINE, 10, 32, True, 300)
    (finding,) = verdict_of("T09", run_of(SHUFFLED, loader, PROOF, replace(PAIRS, left_shape=[64]), steps=9)).findings
    assert finding.location == LINE and "0.33, but 0.91" in finding.message


@pytest.mark.parametrize(
    ("seen", "tried"),
    [
        (SHUFFLED, replace(PROOF, status="inconclusive")),
        (replace(SHUFFLED, passes=0), PROOF),
        (replace(SHUFFLED, evaluated=False), PROOF),
        (replace(SHUFFLED, sampler="SequentialSampler"), PROOF),
    ],
)
def test_a_shuffled_evaluation_alone_passes(seen: DatasetInfo, tried: Experiment) -> None:
    assert verdict_of("T09", run_of(seen, tried, replace(PAIRS, left_shape=[64]), steps=9)).status == "pass"
