"""What a report that found nothing says of how the training went."""

from __future__ import annotations

import io
import json
import math
import re

import pytest

from flightcheck.diagnosis import diagnose
from flightcheck.recording.loss_records import LossCall, LossSite
from flightcheck.recording.metrics import MetricInfo
from flightcheck.recording.records import Coverage, OptimizerInfo, RunInfo
from flightcheck.recording.run import Run
from flightcheck.recording.signals import LOSS, Signal
from flightcheck.report.console import console_for
from flightcheck.report.course import (
    constant_guess,
    held_against_guess,
    loss_sentence,
    own_numbers_sentence,
    quiet_words,
)
from flightcheck.report.notebook import Report
from flightcheck.report.page.document import page
from flightcheck.report.terminal import print_report
from flightcheck.testing import run_of
from tests.report.made import HEALTHY
from tests.report.paged import Reader

STEPS = 60


def classified(last: float) -> Run:
    """Two equally frequent classes; the loss falls from 1.4 times ln 2 to `last` in a straight line, times 2."""
    losses = [2 * (1.4 * math.log(2) * (1 - t) + last * t) for t in (i / (STEPS - 1) for i in range(STEPS))]
    calls = [
        LossCall(
            0, i, True, [8, 2], [8], [], "float32", "int64", losses[i] / 2, -1.0, 1.0, 0.0, 1.0, classes=2,
            label_counts=[4, 4], target_distinct=2,
        )
        for i in range(STEPS)
    ]  # fmt: skip
    own = [MetricInfo(0, "loss", "printed", 3, 0, 40, last=0.5), MetricInfo(1, "test_acc", "log", 3, 0, 40, last=0.91)]
    return run_of(
        Coverage(modules=1, modules_seen=1, sampled_steps=STEPS, steps=STEPS),
        OptimizerInfo(0, "Adam", groups=[{"lr": 0.1}], steps=STEPS),
        LossSite(0, "cross_entropy", None, {"reduction": "mean"}, train_calls=STEPS),
        *calls, *own,
        series={LOSS: losses, **{Signal(m.signal, "step", "", ""): [0.3, 0.8, m.last] for m in own}},
        steps=STEPS, evaluations=3, ended="finished",
    )  # fmt: skip


def told(run: Run) -> tuple[str, str]:
    diagnosis, out = diagnose(run, HEALTHY), io.StringIO()
    print_report(run, diagnosis, console_for(out, 300))
    return Reader(page(run, diagnosis)).text, out.getvalue()


def test_a_good_training_is_told_from_a_dead_one() -> None:
    good = classified(0.1)
    guess = constant_guess(good)
    assert guess is not None
    assert guess.value == pytest.approx(2 * math.log(2), rel=0.01)  # on the scale of what is recorded
    assert held_against_guess(good) == ""
    for text in told(good):
        assert "a constant guess scores 1.39 (the entropy of the 2 class shares)" in text
        assert "than a constant guess" not in text
        assert "The script's last numbers: test_acc 0.91, loss 0.5." in text
    for last, words in ((math.log(2) * 1.1, "no better"), (math.log(2) * 0.98, "hardly better")):
        dead = classified(last)
        on_page, printed = told(dead)
        assert f"Nothing found, but the loss is {words} than a constant guess" in on_page
        assert printed.startswith(f"? flightcheck: nothing found, but the loss is {words} than a constant guess, in ")
        assert 'class="verdict alone good"' not in page(dead, diagnose(dead, HEALTHY))


def test_what_could_not_be_decided_is_named() -> None:
    assert "3 evaluations.Not decided: inputs-and-labels-misaligned." in told(classified(0.1))[0]


def test_a_damaged_run_has_a_page_all_the_same() -> None:
    run = classified(0.1)
    run.records["LossSite"] = []
    run.frames["metric/log/test_acc"] = (run.frames["metric/log/test_acc"][0][:0], [])
    assert constant_guess(run) is None
    assert "Loss 1.94" in told(run)[0]


def test_a_notebook_does_not_praise_a_dead_training() -> None:
    run = classified(math.log(2) * 1.1)
    assert "? nothing found, but the loss is no better" in Report(run, diagnose(run, HEALTHY))._repr_html_()


def test_without_a_loss_nothing_is_said() -> None:
    run = run_of(steps=3)
    assert (loss_sentence(run), own_numbers_sentence(run), held_against_guess(run)) == ("", "", "")


def test_the_scripts_own_numbers_are_drawn() -> None:
    run = classified(0.1)
    text = page(run, diagnose(run, HEALTHY))
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found
    own = {c["name"]: c["values"] for c in json.loads(found[1])["own"]}
    assert own == {"loss": [0.3, 0.8, 0.5], "test_acc": [0.3, 0.8, 0.91]}
    assert "The script's own numbers" in Reader(text).text


def test_silence_after_a_few_steps_is_no_good_news() -> None:
    good, words = quiet_words(run_of(RunInfo("r", "train.py", "train.py", "2026-01-01T00:00:00", steps=1, backwards=1)))
    assert not good and "hardly anything was seen" in words
    good, words = quiet_words(run_of(RunInfo("r", "train.py", "train.py", "2026-01-01T00:00:00", steps=50)))
    assert good and words == "nothing found"
