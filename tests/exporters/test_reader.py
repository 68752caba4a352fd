"""What is read from a run file for a tracker."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from flightcheck.errors import RunFileError
from flightcheck.exporters.reader import RunReader
from flightcheck.recording.batches import Evaluation
from flightcheck.recording.records import RunInfo
from flightcheck.recording.signals import LOSS, Signal
from flightcheck.recording.store import RunWriter
from tests.exporters.made import START, write_training


def names(rows: list[object]) -> set[str]:
    return {r.name for r in rows}  # type: ignore[attr-defined]


def test_the_curves_of_a_run_in_the_order_of_its_steps(tmp_path: Path) -> None:
    write_training(tmp_path / "r").close()
    rows = RunReader(tmp_path / "r").rows({}, 1000, settled=True)
    assert [r.step for r in rows] == sorted(r.step for r in rows)
    assert [(r.step, r.value) for r in rows if r.name == "loss"][:2] == [(0, 30.0), (1, 29.0)]
    assert {r.value for r in rows if r.name == "lr"} == {0.5}
    assert {r.value for r in rows if r.name == "lr_2"} == {0.25}
    assert [(r.step, r.value) for r in rows if r.name == "evaluation_loss"] == [(0, 0.0), (10, 10.0), (20, 20.0)]
    # -1 stands for a norm that there was not
    assert [r.step for r in rows if r.name == "gradient_norm"] == [10, 20]


def test_it_goes_on_behind_the_cursor(tmp_path: Path) -> None:
    write_training(tmp_path / "r").close()
    reader = RunReader(tmp_path / "r")
    cursor = {"loss": 20, "lr": 29, "grad_norm_total": 20, "Evaluation": 1}
    rows = reader.rows(cursor, 1000, settled=True)
    assert [(r.name, r.step) for r in rows if r.name != "loss"] == [("evaluation_loss", 20)]
    assert [r.step for r in rows if r.name == "loss"] == list(range(21, 30))


def test_of_a_run_that_goes_on_the_newest_step_waits(tmp_path: Path) -> None:
    writer = write_training(tmp_path / "r", ended="running")
    reader = RunReader(tmp_path / "r")
    assert not reader.over()
    assert max(r.step for r in reader.rows({}, 1000, settled=False)) == 28
    writer.frame(LOSS, 29, [7.0])  # the last backward of a step counts
    writer.frame(LOSS, 30, [6.0])
    writer.flush(force=True)
    rows = reader.rows({"loss": 28}, 1000, settled=False)
    assert [(r.step, r.value) for r in rows if r.name == "loss"] == [(29, 7.0)]
    writer.close()


def test_the_numbers_of_the_script_travel_under_their_source(tmp_path: Path) -> None:
    writer = write_training(tmp_path / "r", ended="running")
    for step in (100, 200):  # the script's own steps
        writer.frame(Signal("metric/printed/test acc@5", "step", "", ""), step, [step / 1000])
    writer.flush(force=True)
    reader = RunReader(tmp_path / "r")
    assert reader.newest_step() == 29
    own = [(r.name, r.step, round(r.value, 3)) for r in reader.rows({}, 1000, settled=False) if "acc" in r.name]
    assert own == [("printed/test acc_5", 100, 0.1)]
    cursor = {"metric/printed/test acc@5": 100}
    own = [(r.name, r.step, round(r.value, 3)) for r in reader.rows(cursor, 1000, settled=True) if "acc" in r.name]
    assert own == [("printed/test acc_5", 200, 0.2)]
    writer.close()


def test_the_evaluations_of_a_second_model_have_a_curve_of_their_own(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path / "r")
    first = Evaluation(0, 3, 1, None, losses=1, loss_value=1.0)
    for evaluation in (first, replace(first, root=5), replace(first, loss_value=None), replace(first, step=4)):
        writer.append(evaluation)
    writer.close()
    rows = RunReader(tmp_path / "r").rows({}, 1000, settled=True)
    assert [(r.name, r.step) for r in rows] == [
        ("evaluation_loss", 0), ("evaluation_loss_of_model_5", 0), ("evaluation_loss", 4),
    ]  # fmt: skip


def test_numbers_that_are_none_are_passed_on(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path / "r")
    writer.frame(LOSS, 0, [float("nan")])
    writer.frame(LOSS, 1, [-1.0])
    writer.close()
    values = [r.value for r in RunReader(tmp_path / "r").rows({}, 10, settled=True)]
    assert values[0] != values[0]
    assert values[1] == -1.0  # a loss may be that


def test_what_the_run_is(tmp_path: Path) -> None:
    write_training(tmp_path / "r").close()
    reader = RunReader(tmp_path / "r")
    assert reader.over()
    assert reader.seconds() == 30.0
    assert (reader.heading().id, reader.heading().started) == ("r", START)
    writer = RunWriter(tmp_path / "old")
    writer.put(RunInfo("old", "train.py", "train.py"))
    writer.close()
    assert RunReader(tmp_path / "old").heading().started > START


def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(RunFileError, match="cannot be read"):
        RunReader(tmp_path).over()
    (tmp_path / "run.sqlite").write_text("no database" * 100)
    with pytest.raises(RunFileError, match="cannot be read"):
        RunReader(tmp_path).rows({}, 10, settled=True)


def test_reading_does_not_hold_up_the_training(tmp_path: Path) -> None:
    writer = write_training(tmp_path / "r", ended="running")
    reader = RunReader(tmp_path / "r")
    for step in range(30, 40):
        reader.rows({}, 1000, settled=False)
        writer.frame(LOSS, step, [1.0])
        writer.flush(force=True)
    writer.close()
    assert not (tmp_path / "r" / "run.sqlite-wal").exists()
