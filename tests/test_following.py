"""A run file is read while it is written, and the writer never waits."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from flightcheck.recording.following import REWRITTEN, RunFollower
from flightcheck.recording.records import RunInfo
from flightcheck.recording.run import Run
from flightcheck.recording.signals import GRAD_NORM, LOSS
from flightcheck.recording.store import FILE_NAME, FRAME_BUDGET, RunWriter


def write(writer: RunWriter, first: int, last: int, offset: float = 0.0) -> None:
    for step in range(first, last):
        writer.frame(LOSS, step, [step + offset])
        if step % 10 == 0:
            writer.frame(GRAD_NORM, step, np.full(3, step, np.float32))
    writer.flush(force=True)


@pytest.fixture
def writer(tmp_path: Path) -> RunWriter:
    made = RunWriter(tmp_path)
    made.put(RunInfo("run", "train.py", "train.py"))
    return made


def same(one: Run, other: Run) -> None:
    assert one.frames.keys() == other.frames.keys()
    for signal, (steps, rows) in one.frames.items():
        np.testing.assert_array_equal(steps, other.frames[signal][0])
        np.testing.assert_array_equal(rows, other.frames[signal][1])
    assert one.info == other.info


def test_what_was_written_since_is_added(writer: RunWriter, tmp_path: Path) -> None:
    follower = RunFollower(tmp_path)
    write(writer, 0, 50)
    same(follower.run(), Run.open(tmp_path))
    write(writer, 50, 80)
    assert len(follower.series().series(LOSS)) == 80
    write(writer, 80, 81)
    same(follower.run(), Run.open(tmp_path))


def test_the_last_rounds_may_be_completed_later(writer: RunWriter, tmp_path: Path) -> None:
    follower = RunFollower(tmp_path)
    write(writer, 0, 50)
    follower.run()
    write(writer, 50 - REWRITTEN, 52, offset=0.5)
    same(follower.run(), Run.open(tmp_path))


def test_a_new_signal_is_seen(writer: RunWriter, tmp_path: Path) -> None:
    follower = RunFollower(tmp_path)
    writer.frame(LOSS, 0, [1.0])
    writer.flush(force=True)
    follower.series()
    write(writer, 10, 11)
    assert len(follower.series().table(GRAD_NORM)) == 1


def test_only_the_new_is_read(writer: RunWriter, tmp_path: Path) -> None:
    write(writer, 0, 1000)
    follower = RunFollower(tmp_path)
    first = follower.series().frames[LOSS.name][1][0]
    assert follower.series().frames[LOSS.name][1][0] is first


def test_memory_stays_bounded_where_the_writer_thins(writer: RunWriter, tmp_path: Path) -> None:
    follower = RunFollower(tmp_path)
    for first in range(0, 4 * FRAME_BUDGET, 1000):
        write(writer, first, first + 1000)
        assert len(follower.series().series(LOSS)) <= 2 * FRAME_BUDGET + 1000


def test_it_tells_whether_something_changed(writer: RunWriter, tmp_path: Path) -> None:
    follower = RunFollower(tmp_path)
    assert follower.changed()
    assert not follower.changed()
    write(writer, 0, 1)
    assert follower.changed()


def test_the_writer_can_close_while_it_is_followed(writer: RunWriter, tmp_path: Path) -> None:
    follower = RunFollower(tmp_path)
    write(writer, 0, 10)
    follower.run()
    assert follower.readable
    writer.put(RunInfo("run", "train.py", "train.py", steps=10, ended="finished"))
    writer.close()
    assert [p.name for p in tmp_path.iterdir()] == [FILE_NAME]
    assert not follower.readable
    assert follower.run().info.ended == "finished"


def test_a_run_that_is_not_there_yet(tmp_path: Path) -> None:
    follower = RunFollower(tmp_path / "new")
    follower.changed()
    assert not follower.readable
    made = RunWriter(tmp_path / "new")
    write(made, 0, 3)
    assert follower.changed()
    assert follower.readable
    assert len(follower.series().series(LOSS)) == 3
    made.close()


def test_nothing_is_read_where_a_reader_would_block_the_writer(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / FILE_NAME)
    db.execute("CREATE TABLE meta(key TEXT, value TEXT)")
    db.close()
    assert not RunFollower(tmp_path).readable


def test_how_many_steps_a_run_has_that_is_not_over(writer: RunWriter, tmp_path: Path) -> None:
    write(writer, 0, 37)
    run = Run.open(tmp_path)
    assert (run.info.ended, run.info.steps) == ("running", 37)
