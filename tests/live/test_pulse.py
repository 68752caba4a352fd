"""One line about a training."""

from __future__ import annotations

import math
import os
import pty
import select

import numpy as np
import pytest

from flightcheck.live.judging import SoFar
from flightcheck.live.pulse import Pulse, pulse_of, sparkline
from flightcheck.live.terminal import BottomLine
from flightcheck.recording.records import Plan
from flightcheck.recording.run import Run
from flightcheck.recording.signals import LOSS, UPDATE_NORM
from flightcheck.testing import run_of
from tests.cli.made import PROBABILITIES, SITE
from tests.report.paged import broken, hostile, training


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([], ""),
        ([1.0], "▁"),
        ([2.0, 2.0], "▁▁"),
        ([3.0, 2.0, 1.0], "█▅▁"),
        ([0.0, math.nan, 7.0, math.inf], "▁!█!"),
        ([math.nan], "!"),
    ],
)
def test_a_curve_of_characters(values: list[float], shown: str) -> None:
    assert sparkline(values) == shown


def test_step_loss_and_the_root_causes() -> None:
    run, diagnosis = broken()
    pulse = pulse_of(run, run, diagnosis, 12.34)
    loss = run.series(LOSS)
    assert (pulse.step, pulse.loss) == (60, loss.values[-1])
    assert pulse.curve[0] == pytest.approx(loss.values[:3].mean())
    assert len(pulse.curve) == 24
    text = pulse.text()
    assert "step 60 · loss 0.6" in text
    assert "✗ L03 double-softmax train.py:41" in text
    assert "12.3 steps/s" in text
    assert "no alarm" not in text


def test_the_layer_farthest_from_the_usual_is_named() -> None:
    run = training(layers=3)
    run.frames[UPDATE_NORM.name][1][-1][:] = [2e-3, 2e-1, 1e-3]
    pulse = pulse_of(run, run, None, None)
    assert (pulse.ratio_layer, pulse.ratio) == ("Net.layer2", pytest.approx(0.1))
    run.frames[UPDATE_NORM.name][1][-1][:] = [2e-9, 2e-1, 0.0]
    assert pulse_of(run, run, None, None).ratio_layer == "Net.layer1"
    run.frames[UPDATE_NORM.name][1][-1][:] = [2e-9, 2e-1, np.nan]
    assert pulse_of(run, run, None, None).ratio_layer == "Net.layer3"


def test_before_the_first_step_nothing_is_claimed() -> None:
    text = pulse_of(Run(), run_of(), None, None).text()
    assert text == "waiting for the first step"


def test_silence_is_worth_a_word_only_when_checks_have_looked() -> None:
    run, diagnosis = training(), SoFar().judged(training())
    assert "no alarm" not in pulse_of(run, run, diagnosis, None).text()
    assert "no alarm" in Pulse(3, 0.1, judged=True).text()


def test_a_name_cannot_command_the_terminal() -> None:
    run, diagnosis = hostile()
    pulse = pulse_of(run, run, diagnosis, None)
    assert not [c for c in pulse.text() if ord(c) < 32 or c in "\u202e\x7f\x9b"]
    assert "<script" not in pulse.html()


def with_plan(*records: object) -> Run:
    return run_of(SITE, *[PROBABILITIES] * 8, *records, series={LOSS: [2.3] * 60}, ended="running")


def test_a_finding_is_told_at_the_second_look_and_not_before_the_kind_of_training_is_known() -> None:
    so_far = SoFar(["L03"])
    assert so_far.judged(with_plan()).verdicts == ()
    first = so_far.judged(with_plan(Plan()))
    assert (first.roots, first.verdicts[0].status) == ((), "inconclusive")
    assert so_far.judged(with_plan(Plan())).roots[0].code == "L03"


def test_a_finding_that_one_look_saw_is_not_told() -> None:
    so_far = SoFar(["L03"])
    so_far.judged(with_plan(Plan()))
    assert so_far.judged(run_of(Plan(), SITE, ended="running")).roots == ()
    assert so_far.judged(with_plan(Plan(regimes=["own-loss"]))).roots == ()


def test_the_last_line_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    master, slave = pty.openpty()
    monkeypatch.setattr(os, "get_terminal_size", lambda fd=1: os.terminal_size((20, 10)))
    assert BottomLine.possible(slave)
    line = BottomLine(slave)
    line.show("é" * 50)
    line.show("short")
    line.close()
    line.close()
    expected = (
        "\r\n\x1b7\x1b[1;9r\x1b8\x1b[A\x1b7\x1b[10;1H\x1b[2K" + "é" * 19 + "\x1b8"
        "\x1b7\x1b[10;1H\x1b[2Kshort\x1b8"
        "\x1b7\x1b[r\x1b[10;1H\x1b[2K\x1b8"
    )  # fmt: skip
    shown = b""  # one read hands over what has arrived so far, which may be a part of it
    while len(shown) < len(expected.encode()) and select.select([master], [], [], 10)[0]:
        shown += os.read(master, 4096)
    assert shown.decode() == expected
    os.close(master)
    os.close(slave)


def test_it_is_quiet_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    assert not BottomLine.possible(writing)
    os.close(reading)
    os.close(writing)
    master, slave = pty.openpty()
    monkeypatch.setenv("TERM", "dumb")
    assert not BottomLine.possible(slave)
    os.close(master)
    os.close(slave)
