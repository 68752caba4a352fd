"""What the page says of checks and experiments, so that a reader who sees it for the first time is not misled."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from flightcheck.checks.registry import run_checks
from flightcheck.diagnosis import diagnose
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.records import Coverage
from flightcheck.recording.run import NotEnoughEvidence, Run
from flightcheck.recording.signals import ACTIVATION_DEAD
from flightcheck.report.page.document import page
from flightcheck.report.page.markup import documentation
from tests.report.made import DOUBLED, HEALTHY, run_with
from tests.report.paged import TRIED, Reader, training
from tests.verdicts import failed, passed


def tried(*experiments: Experiment) -> str:
    run = training()
    run.records["Experiment"] = list(experiments)
    text = page(run, diagnose(run, [DOUBLED]))
    return text[text.index('<h2 id="experiments">') :].partition("</section>")[0]


def test_a_heading_right_below_a_paragraph_is_a_heading() -> None:
    assert documentation("## What\nOne.\n## Why\nTwo.") == "<h4>What</h4><p>One.</p><h4>Why</h4><p>Two.</p>"


def test_no_check_shows_its_markup() -> None:
    for v in run_checks(Run()):
        assert "##" not in documentation(v.info.documentation), v.info.code


def test_a_passed_check_says_what_was_not_seen_and_a_note_is_no_failure() -> None:
    run = training()
    text = Reader(page(run, diagnose(run, [passed("P01"), failed("T01")]))).text
    assert "passedNot seen: The summary of P01." in text
    assert "Track your work i 1 noted" in text
    assert "1 failed" not in text


def test_what_is_missing_is_told_in_words() -> None:
    with pytest.raises(NotEnoughEvidence, match=r"^dead units: 0 of 1 measurements$"):
        Run().table(ACTIVATION_DEAD)


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (-1.0, -0.7, "worse, as it should be"),
        (-0.1, 0.2, "no clear difference"),
        (-0.015, -0.0014, "no clear difference"),
        (0.01, 0.2, "better, but not by enough"),
    ],
)
def test_a_trial_that_proves_nothing_does_not_alarm(low: float, high: float, words: str) -> None:
    part = tried(replace(TRIED, status="inconclusive", low=low, high=high))
    assert words in part
    assert 'class="pill' not in part
    assert "Reason" not in part  # a column of nothing
    assert "Reason" in tried(replace(TRIED, reason="seed 2 broke down"))
    assert 'class="pill confirmed"' in tried(TRIED)


def test_before_and_after_are_coloured_where_something_became_better() -> None:
    run = training()
    for status, after, words in (
        ("confirmed", 0.788, "0.821 → 0.788 (4.0 % less)"), ("inconclusive", 0.8211, "0.821 → 0.821 (no change)"),
        ("inconclusive", 1.6, "0.821 → 1.6 (95 % more)"),
    ):  # fmt: skip
        run.records["Experiment"] = [replace(TRIED, status=status, after=after)]
        text = page(run, diagnose(run, [DOUBLED]))
        assert words in Reader(text).text
        assert (re.search(r'class="(before|after)"', text) is not None) == (status == "confirmed")


def test_how_often_it_looked_is_one_number() -> None:
    run = run_with()
    cadence = {"gradients": 7.1, "weights": 7.8, "activations": 8.9}
    run.records["Coverage"] = [
        Coverage(modules=4, modules_seen=4, sampled_steps=30, steps=300, every=4.0, cadence=cadence)
    ]
    text = Reader(page(run, diagnose(run, HEALTHY))).text
    assert "4 of 4 modules, gradients every 7th step, weights every 8th step, activations every 9th step" in text
    assert "every 4 " not in text
    assert "the first steps, which are measured in full to learn it, are apart" in text
