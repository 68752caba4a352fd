"""D15 dtype-or-quantization-loss."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import flightcheck
from flightcheck.checks.base import Verdict
from flightcheck.recording.cancellations import Cancellation
from flightcheck.recording.loss_records import LossSite
from flightcheck.recording.records import Location
from flightcheck.testing import run_of, verdict_of
from tests.checks._batches import LINEAR, batches, losses

SITE = LossSite(0, "mse_loss", Location("train.py", 50))
TWO = {"minimum": 0.0, "maximum": 1.0, "distinct": 2, "zeros": 0.9, "mean": 0.1, "std": 0.3}


def run(code: str = "X = load()", **inputs: Any) -> Verdict:
    return verdict_of("D15", run_of(LINEAR, *batches(8, origin=Location("train.py", 10, "", code), **inputs)))


@pytest.mark.parametrize(
    "code",
    [
        "X = (images // 16).float()",
        "x = torch.tensor(d.images / 16, dtype=torch.long)",
        "X = (X / 255).astype(np.uint8)",
        "self.x = x.div(1) / 255.0; self.x = self.x.to(torch.int32)",
    ],
)
def test_integer_division_fails_at_its_line(code: str) -> None:
    (finding,) = run(code, **TWO).findings
    assert finding.location is not None
    assert finding.location.line == 10
    assert finding.patch == "source:fractions:train.py:10"


@pytest.mark.parametrize(("by", "status"), [(16.0, "fail"), (3.0, "pass")])
def test_an_earlier_line_that_divides_as_integers(by: float, status: str) -> None:
    earlier = Location("train.py", 4, "", f"X = X // {by:.0f}")
    standardized = {**TWO, "minimum": -0.7, "maximum": 2.1}
    found = run(
        "X = (X - 0.25) / 0.35", **standardized, divisions=[Location("train.py", 10), earlier], divided_by=[0.35, by]
    )
    assert found.status == status
    for finding in found.findings:
        assert (finding.location, finding.patch) == (earlier, "source:fractions:train.py:4")


def test_a_second_division_is_undone() -> None:
    (finding,) = run(minimum=0.0, maximum=1 / 255, distinct=200, zeros=0.1, mean=0.002, std=0.001).findings
    assert finding.patch == "inputs:x255"
    assert finding.location is not None and finding.location.line == 10


def test_a_second_division_is_told_where_it_stands() -> None:
    tiny = {"minimum": 0.0, "maximum": 1 / 255, "distinct": 200, "zeros": 0.1, "mean": 0.002, "std": 0.001}
    divided = {"divisions": [Location("train.py", 40), Location("train.py", 33)], "divided_by": [0.5, 255.0]}
    (finding,) = run(**tiny, **divided).findings
    assert finding.location == Location("train.py", 33)


@pytest.mark.parametrize(
    "code",
    [
        "bits = torch.randint(0, 2, (n, 8)).float()",
        "X = torch.tensor(list(product([0, 1], repeat=8)), dtype=torch.long)",
        "bits = (numbers[:, None] // 2 ** torch.arange(8)) % 2",
        "X = X[: len(X) // 2 ]",
        "x = (images > 0.5).float()",
        "X = torch.tensor(X, dtype=torch.int64)  # 0/1",
    ],
)
def test_binary_inputs_pass(code: str) -> None:
    assert run(code, **TWO).status == "pass"


def test_all_zero_inputs_fail() -> None:
    zero = {"minimum": 0.0, "maximum": 0.0, "mean": 0.0, "std": 0.0, "zeros": 1.0, "distinct": 1}
    assert run(**zero).status == "fail"
    state = batches(8, **zero)
    other = batches(8, argument="1")
    assert verdict_of("D15", run_of(LINEAR, *state, *other)).status == "pass"
    points = batches(8, requires_grad=True)  # of an equation, beside its initial condition at 0
    assert verdict_of("D15", run_of(LINEAR, *state, *points)).status == "pass"


def test_divided_by_255_twice_fails() -> None:
    assert run(minimum=0.0, maximum=1 / 255, mean=0.001, std=0.001, distinct=200).status == "fail"


def test_usual_inputs_pass() -> None:
    assert run().status == "pass"
    assert run(minimum=0.0, maximum=1.0, distinct=17).status == "pass"


def test_regression_targets_cut_to_integers_are_a_warning() -> None:
    cut = losses([0.5] * 8, target_dtype="int64", target_min=-2, target_max=3, target_distinct=6)
    (finding,) = verdict_of("D15", run_of(SITE, LINEAR, *batches(8), *cut)).findings
    assert finding.location == SITE.location
    counts = losses([0.5] * 8, target_dtype="int64", target_min=0, target_max=40, target_distinct=30)
    assert verdict_of("D15", run_of(SITE, LINEAR, *batches(8), *counts)).status == "pass"


def targets(code: str, **facts: Any) -> Verdict:
    """Of a model that is given ids, which have nothing to lose themselves."""
    site = replace(SITE, target_origin=Location("train.py", 46, "", code))
    given = {"target_dtype": "int64", "target_min": -3, "target_max": 4, "target_distinct": 7} | facts
    return verdict_of("D15", run_of(site, *batches(8, first_module="embedding"), *losses([0.5] * 8, **given)))


def test_targets_are_judged_whatever_the_model_is_given() -> None:
    (finding,) = targets("return kinds, edge, y.long()").findings
    assert (finding.patch, finding.location) == (
        "source:fractions:train.py:46",
        Location("train.py", 46, "", "return kinds, edge, y.long()"),
    )
    assert targets("y = torch.tensor((a - mean) / std).int()", target_dtype="int32").status == "fail"


def test_whole_numbers_in_float_fail_where_their_line_divides_and_cuts() -> None:
    floats = {"target_dtype": "float32", "target_integral": True}
    assert targets("target = ((price - mu) / sigma).astype(np.int64)", **floats).status == "fail"
    assert targets("target = (price - mu) / sigma", **floats).status == "skipped"
    fractions = {"target_dtype": "float32", "target_integral": False}
    assert targets("target = ((price - mu) / sigma).astype(np.int64)", **fractions).status == "skipped"
    pixels = {"target_min": 0, "target_max": 1, "target_distinct": 2}
    assert targets("y = (grey / 255).astype(np.uint8)", **floats, **pixels).status == "fail"


def test_outcomes_of_games_that_a_line_collects_are_silent() -> None:
    outcomes = {"target_min": -1, "target_max": 1, "target_distinct": 3}
    assert targets("won = torch.tensor([g.winner for g in games])", **outcomes).status == "skipped"


def test_ids_are_skipped() -> None:
    assert verdict_of("D15", run_of(*batches(8, first_module="embedding"))).status == "skipped"


def test_few_batches_are_inconclusive() -> None:
    assert verdict_of("D15", run_of(LINEAR, *batches(2, **TWO))).status == "inconclusive"
    assert verdict_of("D15", run_of(LINEAR)).status == "inconclusive"


GAPS = Location("train.py", 39, "", "return times.diff().log1p()")
TIMES = Location("train.py", 38, "", "times = torch.tensor(log)")
UNIX = Cancellation(TIMES, GAPS, 22000, 22000, 0.5, 128.0, 40.0, 1.7e9)


def test_differences_of_numbers_that_were_rounded_before() -> None:
    (finding,) = verdict_of("D15", run_of(LINEAR, *batches(8), UNIX)).findings
    assert "line 39" in finding.message and "128 apart" in finding.message
    assert (finding.location, finding.patch) == (TIMES, "source:double:train.py:38")
    unknown = replace(UNIX, location=GAPS, converted=False)
    assert verdict_of("D15", run_of(LINEAR, *batches(8), unknown)).findings[0].patch == ""


@pytest.mark.parametrize(
    "changes", [{"odd": 0.0}, {"elements": 40, "coarse": 40}, {"coarse": 9000}, {"spacing": 1.0}],
    ids=["coarse from the start", "few", "only some", "whole numbers"],
)  # fmt: skip
def test_other_differences_pass(changes: dict[str, Any]) -> None:
    assert verdict_of("D15", run_of(LINEAR, *batches(8), replace(UNIX, **changes))).status == "pass"


@pytest.mark.parametrize("kind", ["diff", "slices", "first", "double", "small", "two results", "mean", "shares"])
def test_differences_are_watched(tmp_path: Path, kind: str) -> None:
    rng = np.random.default_rng(0)
    log = (1.7e9 + rng.uniform(0, 1e7, (300, 1)) + rng.exponential(30, (300, 12)).cumsum(1)).tolist()
    with flightcheck.watch(runs_dir=tmp_path, report=False) as watched:
        times = torch.tensor(log, dtype=torch.float64 if kind == "double" else None)
        times = times - 1.69e9 if kind == "small" else times
        if kind == "slices":
            x = times[:, 1:] - times[:, :-1]
        elif kind == "first":
            x = torch.stack([(row - row[0])[1:] for row in times])
        elif kind == "two results":
            x = times - torch.tensor(log)
        elif kind == "mean":
            x = times - times.mean()
        elif kind == "shares":  # of which PyTorch itself asks whether they sum to 1
            x = torch.distributions.Multinomial(300, probs=torch.softmax(torch.randn(300, 400), 1)).sample()
        else:
            x = times.diff(dim=1)
        x = x.float()
        model = torch.nn.Linear(x.shape[1], 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-9)
        for rows in x.split(30):
            optimizer.zero_grad()
            model(rows).square().mean().backward()
            optimizer.step()
    assert watched.run is not None and watched.run.coverage.blind == []
    told = [f for f in verdict_of("D15", watched.run).findings if "differences are taken" in f.message]
    assert bool(told) == (kind in ("diff", "slices", "first"))
    if told:
        assert told[0].location is not None and "torch.tensor(log" in told[0].location.code
