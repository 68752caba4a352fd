"""P39 loop-left-too-soon: a return in the loop over batches, an early stop that sees no progress."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from flightcheck.recording.batches import Evaluation
from flightcheck.recording.loop_ends import LoopEnd
from flightcheck.recording.provenance.leaving import inside_out, left_at_once, stopped_early
from flightcheck.recording.records import LoaderInfo, Location, Plan
from flightcheck.testing import run_of, verdict_of

LINE, LOOP = Location("train.py", 40), Location("train.py", 30)
RETURN = LoopEnd("at-once", LINE, LOOP, "return")
STOP = LoopEnd("early", LINE, LOOP, "break", 60)
LOADER = LoaderInfo(0, LOOP, length=50, iterators=12, batches=12, used_in_training=True)


def test_one_batch_of_each_pass_fails_at_the_return() -> None:
    (finding,) = verdict_of("P39", run_of(RETURN, LOADER, steps=12)).findings
    assert finding.location == LINE
    assert "50 batches" in finding.message


def test_one_of_many_epochs_fails() -> None:
    assert verdict_of("P39", run_of(replace(RETURN, rounds=20), steps=30)).status == "fail"


def test_whole_passes_pass() -> None:
    assert verdict_of("P39", run_of(RETURN, replace(LOADER, batches=600), steps=600)).status == "pass"
    assert verdict_of("P39", run_of(RETURN, replace(LOADER, length=2), steps=12)).status == "pass"


def stopped(losses: list[float], epochs: int = 60) -> str:
    seen = [Evaluation(10 * i, 0, 1, LOOP, loss_value=loss) for i, loss in enumerate(losses, 1)]
    plan = Plan(epochs=epochs, steps_per_epoch=10)
    return verdict_of("P39", run_of(STOP, plan, *seen, steps=10 * len(losses), ended="finished")).status


def test_an_early_stop_while_each_evaluation_is_better_fails() -> None:
    assert stopped([0.9, 0.7, 0.6, 0.5, 0.45]) == "fail"
    assert stopped([0.9, 0.7, 0.6, 0.61, 0.62]) == "pass"
    assert stopped([0.9, 0.7, 0.6, 0.5, 0.45], epochs=8) == "pass"


def test_inconclusive_and_skipped() -> None:
    assert verdict_of("P39", run_of(STOP, Plan(), steps=10, ended="stopped")).status == "inconclusive"
    assert verdict_of("P39", run_of(LOADER, steps=10)).status == "skipped"


AT_ONCE = {
    "for x in loader:\n    loss.backward()\n    break\n": 3,
    "for x in loader:\n    loss.backward()\n    if done:\n        break\n": None,
    "for x in loader:\n    if bad:\n        continue\n    loss.backward()\n    break\n": None,
    "for e in range(9):\n    for x in loader:\n        loss.backward()\n    break\n": 4,
    "for e in range(1):\n    loss.backward()\n    break\n": None,
    "def f():\n    for x in loader:\n        loss.backward()\n        return 1\nfor e in range(9):\n    f()\n": 4,
}


@pytest.mark.parametrize("text", AT_ONCE)
def test_the_statement_that_leaves_a_loop_in_its_first_round(tmp_path: Path, text: str) -> None:
    file = tmp_path / "train.py"
    file.write_text(text)
    line = next(i for i, code in enumerate(text.splitlines(), 1) if "backward" in code)
    left = left_at_once(str(file), line)
    assert (left.line if left else None) == AT_ONCE[text]


COUNTED = "wait = 0\nfor e in range(9):\n    loss.backward()\n    if better:\n        wait = 0\n    else:\n        wait += 1\n"


def test_a_break_that_a_counter_decides(tmp_path: Path) -> None:
    file = tmp_path / "train.py"
    file.write_text(COUNTED + "    if wait > 3:\n        break\n")
    left = stopped_early(str(file), 3)
    assert left is not None
    assert (left.line, left.rounds) == (9, 9)
    file.write_text(COUNTED + "    if accuracy > 0.99:\n        break\n")
    assert stopped_early(str(file), 3) is None


PATIENT = {
    "        if value < best:\n            best = value\n        else:\n            n += 1\n": True,
    "        if value > before:\n            n += 1\n        before = value\n": True,
    "        if not value < low:\n            n += 1\n": True,
    "        if value < GOAL:\n            n += 1\n": False,
    "        if value < 0.05:\n            n += 1\n": False,
    "        n += 1\n": False,
}


@pytest.mark.parametrize("grows", PATIENT)
def test_a_number_of_steps_and_a_goal_that_was_met_are_no_patience(tmp_path: Path, grows: str) -> None:
    file = tmp_path / "train.py"
    text = f"n = 0\ndef fit():\n    for e in range(9):\n        loss.backward()\n        value = test()\n{grows}"
    file.write_text(text + "        if n >= 3:\n            break\n")
    assert (stopped_early(str(file), 4) is not None) == PATIENT[grows]


def test_a_loop_over_epochs_inside_of_the_only_other_one(tmp_path: Path) -> None:
    file = tmp_path / "train.py"
    file.write_text("for x in loader:\n    for epoch in range(9):\n        loss.backward()\n")
    found = inside_out(str(file), 3)
    assert found is not None
    assert (found.line, found.loop, found.rounds) == (1, 2, 9)
    for right in (
        "for epoch in range(9):\n    for x in loader:\n",
        "for fold in range(5):\n    for epoch in range(9):\n",
    ):
        file.write_text(f"{right}        loss.backward()\n")
        assert inside_out(str(file), 3) is None
