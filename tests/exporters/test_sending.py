"""A run arrives once and whole, whatever fails on the way."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import pytest

from flightcheck.errors import UsageError
from flightcheck.exporters.base import MOST_POINTS
from flightcheck.exporters.progress import all_progress, only_sender, progress_at, progress_of
from flightcheck.exporters.sending import FINAL_TRIES, Sending, follow, pauses, send
from flightcheck.recording.records import RunInfo
from flightcheck.recording.signals import LOSS
from tests.exporters.made import START, STARTED, TO, Noted, NotingExporter, write_training


@pytest.fixture
def run(tmp_path: Path) -> Path:
    write_training(tmp_path / "r1").close()
    return tmp_path / "r1"


def sent(folder: Path) -> bool:
    return send(Sending(folder, progress_of(folder, TO)), lambda _: None)


def test_all_of_a_run(run: Path, tracker: Noted) -> None:
    assert sent(run)
    losses = [(p.step, p.value) for p in tracker.points if p.name == "loss"]
    assert losses == [(s, 30.0 - s) for s in range(30)]
    assert tracker.params["lr"] == 0.5
    assert tracker.contents is not None
    (progress,) = all_progress(run)
    assert (progress.complete, progress.told, progress.points) == (True, "somewhere", len(tracker.points))


def test_the_times_lie_between_begin_and_end(run: Path, tracker: Noted) -> None:
    sent(run)
    times = [p.time for p in tracker.points if p.name == "loss"]
    assert times == sorted(times)
    assert START < times[0] < START + 2
    assert times[-1] == START + 30


@pytest.mark.parametrize("call", ["begin", "describe", "log", "finish"])
def test_one_failure_is_tried_again(run: Path, tracker: Noted, call: str) -> None:
    tracker.failures.append(call)
    waited: list[float] = []
    assert send(Sending(run, progress_of(run, TO)), waited.append)
    assert waited == [1.0]
    assert len([p for p in tracker.points if p.name == "loss"]) == 30


def test_what_stays_down_is_given_up_and_can_be_sent_later(run: Path, tracker: Noted) -> None:
    tracker.failures += ["log"] * FINAL_TRIES
    assert not sent(run)
    (progress,) = all_progress(run)
    assert (progress.complete, progress.attempts) == (False, FINAL_TRIES)
    assert "ConnectionError: down" in progress.error
    assert "secret" not in progress.file.read_text()
    assert sent(run)
    assert tracker.begun[-1] == ("r1", f"remote-{progress.export}", True)
    assert progress_at(progress.file).error == ""  # type: ignore[union-attr]


def test_the_reason_is_what_the_system_refused(run: Path) -> None:
    sending = Sending(run, progress_of(run, TO))
    try:
        try:
            raise ConnectionRefusedError(111, "Connection refused")
        except OSError as e:
            raise ValueError("a sentence of five lines") from e
    except ValueError as e:
        sending.failed(e)
    assert sending.progress.error == "ConnectionRefusedError: [Errno 111] Connection refused"
    sending.failed(ValueError("no experiment of that name"))
    assert sending.progress.error == "ValueError: no experiment of that name"


def test_an_answer_that_is_lost_repeats_the_same_points(tmp_path: Path, tracker: Noted) -> None:
    write_training(tmp_path / "r", 2000).close()
    first = Sending(tmp_path / "r", progress_of(tmp_path / "r", TO))
    tracker.failures[:] = ["answer"]
    with pytest.raises(ConnectionError):
        first.complete()
    again = Sending(tmp_path / "r", progress_of(tmp_path / "r", TO))  # as another process would
    again.complete()
    assert max(tracker.batches) <= MOST_POINTS
    repeated = tracker.points[: tracker.batches[0]]
    assert tracker.points[tracker.batches[0] : 2 * tracker.batches[0]] == repeated  # with the same times
    assert len(set(tracker.points)) == len(tracker.points) - len(repeated)
    assert len({p.step for p in tracker.points if p.name == "loss"}) == 2000


def test_a_tracker_that_keeps_nothing_gets_all_of_it_again(run: Path, tracker: Noted) -> None:
    NotingExporter.lives = False
    tracker.failures += ["finish"]
    sending = Sending(run, progress_of(run, TO))
    sending.advance()
    assert tracker.points == []  # nothing before the end
    assert send(sending, lambda _: None)
    losses = [p.step for p in tracker.points if p.name == "loss"]
    assert losses == [*range(30), *range(30)]


def test_a_training_is_followed(tmp_path: Path, tracker: Noted) -> None:
    folder = tmp_path / "r"
    writer = write_training(folder, 25, ended="running")
    seen: list[int] = []

    def over(_: float) -> bool:
        seen.append(len([p for p in tracker.points if p.name == "loss"]))
        if len(seen) == 2:
            for step in range(25, 50):
                writer.frame(LOSS, step, [1.0])
            writer.flush(force=True)
        if len(seen) == 4:
            writer.put(RunInfo("r", "train.py", "train.py", started=STARTED, ended="finished", steps=50, seconds=50.0))
            writer.close()
        return len(seen) == 4

    clock = itertools.count(int(START) + 10, 10)
    assert follow(Sending(folder, progress_of(folder, TO), lambda: next(clock)), over)
    assert seen == [0, 24, 49, 49]
    losses = [p for p in tracker.points if p.name == "loss"]
    assert [p.step for p in losses] == list(range(50))
    times = [p.time for p in losses]
    assert times == sorted(times)
    assert START + 10 < losses[25].time <= START + 20
    assert tracker.params["optimizer"] == "SGD"


def test_while_it_is_down_it_is_asked_less_and_less(tmp_path: Path, tracker: Noted) -> None:
    writer = write_training(tmp_path / "r", ended="running")
    tracker.failures += ["begin"] * 4
    waited: list[float] = []

    def over(seconds: float) -> bool:
        waited.append(seconds)
        if len(waited) == 7:
            writer.close()
        return len(waited) == 7

    assert follow(Sending(tmp_path / "r", progress_of(tmp_path / "r", TO)), over)
    assert waited == [0.0, 1.0, 2.0, 4.0, 8.0, 5.0, 5.0]
    assert list(itertools.islice(pauses(), 8))[-2:] == [60.0, 60.0]


def test_each_destination_is_remembered_by_itself(run: Path, tracker: Noted) -> None:
    sent(run)
    other = progress_of(run, TO.__class__("noting", "elsewhere", "flightcheck"))
    assert not other.complete
    other.save()
    assert [p.destination.where for p in all_progress(run) if p.complete] == ["there"]
    assert not progress_of(run, TO, again=True).complete


def test_one_process_sends(run: Path) -> None:
    progress = progress_of(run, TO)
    second = only_sender(progress)
    with only_sender(progress), pytest.raises(UsageError, match="another process is sending this run"):
        second.__enter__()
    with only_sender(progress):
        pass


def test_a_file_that_is_no_progress(run: Path) -> None:
    file = run / "exports" / "noting-00000000.json"
    file.parent.mkdir()
    for text in ("{", "[]", json.dumps({"schema": "other/1"}), json.dumps({"schema": "flightcheck.export/1"})):
        file.write_text(text)
        assert progress_at(file) is None
    assert all_progress(run) == []


def test_a_loss_that_is_no_number_does_not_stop_it(tmp_path: Path, tracker: Noted) -> None:
    writer = write_training(tmp_path / "r")
    writer.frame(LOSS, 29, [math.nan])
    writer.close()
    assert sent(tmp_path / "r")
    assert math.isnan([p.value for p in tracker.points if p.name == "loss"][-1])
