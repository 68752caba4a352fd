"""What reports say of experiments: one line for each outcome, and the keys of the JSON."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from flightcheck.diagnosis import diagnose
from flightcheck.patch import KINDS
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.records import Location, OptimizerInfo
from flightcheck.recording.run import Run
from flightcheck.report.console import console_for
from flightcheck.report.experiments import patch_in_words, tried_in_words
from flightcheck.report.json import report_json
from flightcheck.report.terminal import print_report
from flightcheck.testing import run_of
from tests.report.made import DOUBLED
from tests.verdicts import failed

RATE = OptimizerInfo(0, "Adam", Location("train.py", 9), groups=[{"lr": 0.02}], steps=60)
TRIED: dict[str, Any] = {
    "status": "confirmed", "metric": "error", "before": 1.21, "after": 0.33, "start": 2.3, "seeds": 3, "steps": 60,
    "low": 0.8, "high": 0.9, "margin": 0.0242, "p": 0.00024, "diff": "- return softmax(x)\n+ return x",
    "gone": ["L16"], "seconds": 1.5,
}  # fmt: skip


def experiment(**changes: Any) -> Experiment:
    return Experiment("L03", "drop-module:softmax", **{**TRIED, **changes})


def run_with(*experiments: Experiment) -> Run:
    return run_of(RATE, *experiments, steps=60, overhead=0.01, id="1")


def printed(*experiments: Experiment, **options: Any) -> str:
    out = io.StringIO()
    run = run_with(*experiments)
    print_report(run, diagnose(run, [DOUBLED]), console_for(out, 200), **options)
    return out.getvalue()


LINES = [
    (experiment(), "without the softmax before the loss, 3 seeds × 60 steps, error 1.21 → 0.33. confirmed"),
    (
        experiment(status="refuted", seeds=2, after=1.22),
        "without the softmax before the loss, 2 seeds × 60 steps, error 1.21 → 1.22. refuted",
    ),
    (
        experiment(status="inconclusive", seeds_needed=7),
        "without the softmax before the loss, 3 seeds × 60 steps, error 1.21 → 0.33. "
        "inconclusive (7 seeds would decide it)",
    ),
    (
        experiment(status="inconclusive", reason="with it C14 appears", seeds_needed=7),
        "without the softmax before the loss, 3 seeds × 60 steps, error 1.21 → 0.33. "
        "inconclusive (with it C14 appears)",
    ),
    (
        experiment(status="inconclusive", before=None, after=None, reason="8 steps with and without the patch"),
        "without the softmax before the loss: inconclusive (8 steps with and without the patch)",
    ),
    (
        Experiment("L03", "drop-module:softmax", reason="the model is compiled"),
        "without the softmax before the loss: untested (the model is compiled)",
    ),
    (experiment(seeds=1), "without the softmax before the loss, 1 seed × 60 steps, error 1.21 → 0.33. confirmed"),
    (
        experiment(metric="evaluation"),
        "without the softmax before the loss, 3 seeds × 60 steps, loss of the evaluation 1.21 → 0.33. confirmed",
    ),
]


@pytest.mark.parametrize(("tried", "text"), LINES, ids=[t.status for t, _ in LINES])
def test_one_line_for_each_outcome(tried: Experiment, text: str) -> None:
    assert tried_in_words(tried, run_with()) == text
    assert f"  Tried: {text}\n" in printed(tried)


def test_a_diff_is_shown_for_what_is_confirmed_only() -> None:
    assert "         - return softmax(x)\n         + return x\n" in printed(experiment())
    assert "return softmax" not in printed(experiment(status="inconclusive"))


def test_control_characters_of_a_reason_do_not_reach_the_terminal() -> None:
    assert "\x1b" not in printed(experiment(status="inconclusive", reason="\x1b[31mred"))


def test_nothing_tried_is_not_told() -> None:
    assert "Tried" not in printed()


def test_patches_in_words() -> None:
    run = run_with()
    assert patch_in_words("lr:x0.1", run) == "learning rate 0.02 → 0.002"
    assert patch_in_words("lr:0.5", run) == "learning rate 0.5"
    assert patch_in_words("lr:x10", run_of(steps=3)) == "learning rate x10"
    assert patch_in_words("freeze-batch:8 + optimizer:Adam(0.003)", run) == (
        "the first 8 examples again and again, Adam(0.003) as optimizer"
    )
    assert patch_in_words("clip:1.0", run) == "gradients clipped at norm 1.0"
    assert patch_in_words("axes:softmax=-1:train.py:3", run) == "the softmax over the classes"
    assert patch_in_words("loss:several", run) == "a yes or no for each output"
    assert patch_in_words("loss:ignore=0", run) == "targets 0 left out of the loss"
    assert patch_in_words("add-parameters:instead=1", run).endswith("in the place of its own")
    assert patch_in_words("add-parameters", run) == "the optimizer holds all parameters of the model"
    assert patch_in_words("targets:next", run) == "targets one position ahead, judged by the next token"
    assert patch_in_words("source:fractions:train.py:3", run) == "whole numbers not forced"
    assert patch_in_words("of-a-newer-version:3", run) == "of-a-newer-version:3"
    for kind in KINDS:
        assert patch_in_words(kind, run)


def test_json() -> None:
    run = run_with(experiment(), Experiment("S02", "inputs:permute", "question", reason="no time"))
    report = report_json(run, diagnose(run, [DOUBLED]))
    json.dumps(report, allow_nan=False)
    told = {
        "trial": "confirmed", "before": 1.21, "after": 0.33, "metric": "error", "tried": "drop-module:softmax",
        "diff": "- return softmax(x)\n+ return x", "reason": None, "seeds": 3, "steps": 60, "improvement": [0.8, 0.9],
        "margin": 0.0242, "p": 0.00024, "seeds_needed": None,
    }  # fmt: skip
    assert report["findings"][0]["fix"] == {
        "text": "Return the logits from forward(); apply softmax only when predicting.",
        "patch": "drop-module:softmax",
        **told,
    }
    first, second = report["experiments"]
    assert first == {"question": "L03", "seconds": 1.5, "gone": ["L16"], **told}
    assert (second["question"], second["trial"], second["reason"]) == ("S02", "untested", "no time")
    assert report["refuted"] == []


def test_what_was_refuted_is_in_the_json_and_not_among_the_findings() -> None:
    run = run_of(Experiment("D03", "inputs:standardize", status="refuted", before=float("inf"), after=1.0), steps=60)
    report = report_json(run, diagnose(run, [failed("D03")]))
    assert (report["findings"], report["root_causes"]) == ([], [])
    assert [f["code"] for f in report["refuted"]] == ["D03"]
    assert report["refuted"][0]["fix"]["trial"] == "refuted"
    assert report["refuted"][0]["fix"]["before"] == "inf"
