"""The file of a run: killed, damaged, newer, read-only, written by two, bounded."""

from __future__ import annotations

import math
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from flightcheck.checks.registry import run_checks
from flightcheck.cli.main import main
from flightcheck.errors import RunFileError
from flightcheck.recording.loss_records import LossSite
from flightcheck.recording.records import Location, RunInfo
from flightcheck.recording.run import Run
from flightcheck.recording.signals import GRAD_NORM, LOSS
from flightcheck.recording.store import (
    APPEND_BUDGET,
    FILE_NAME,
    FORMAT,
    FRAME_BUDGET,
    LEAST_FRAMES,
    VALUES_BUDGET,
    RunWriter,
)
from tests.harmless.processes import ENVIRONMENT, WATCH

Output = pytest.CaptureFixture[str]
ENDLESS = """
import torch, time
torch.manual_seed(0)
model = torch.nn.Linear(4, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(10 ** 9):
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(model(torch.randn(8, 4)), torch.randint(2, (8,))).backward()
    optimizer.step()
    time.sleep(0.002)
    if step == 400:
        print("ready", flush=True)
"""


def write_steps(writer: RunWriter, count: int, first: int = 0) -> None:
    for step in range(first, first + count):
        writer.frame(LOSS, step, [1.0 / (step + 1)])
        writer.flush()
    writer.flush(force=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A finished run of 2000 steps."""
    writer = RunWriter(tmp_path / "run")
    writer.put(RunInfo("run", "train.py", "train.py", steps=2000, ended="finished"))
    for i in range(50):
        writer.put(LossSite(i, "mse_loss", Location("train.py", i, "f", "x" * 200)), i)
    write_steps(writer, 2000)
    writer.close()
    return tmp_path / "run"


# -- killed ---------------------------------------------------------------------------------------------------------


def test_killed_in_the_middle(tmp_path: Path, capsys: Output) -> None:
    (tmp_path / "train.py").write_text(ENDLESS)
    process = subprocess.Popen(
        [*WATCH, "run", "train.py"], cwd=tmp_path, env=ENVIRONMENT, text=True, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGKILL)
    assert process.wait(30) == -signal.SIGKILL
    process.stdout.close()
    (folder,) = (tmp_path / ".flightcheck" / "runs").iterdir()
    run = Run.open(folder)
    assert run.damage == []
    assert run.info.ended == "running"
    assert len(run.series(LOSS)) > 100
    assert run.optimizers
    assert run.modules
    assert not [v for v in run_checks(run) if v.status == "error"]
    assert main(["show", str(folder)]) == 0
    shown = capsys.readouterr().out
    assert "not finished" in shown or "killed" in shown or "not over" in shown
    copied = tmp_path / "copied"
    shutil.copytree(folder, copied)
    assert len(Run.open(copied).series(LOSS)) == len(run.series(LOSS))


def test_read_while_it_is_written(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path)
    write_steps(writer, 10)
    assert len(Run.open(tmp_path).series(LOSS)) == 10
    write_steps(writer, 10, 10)
    assert len(Run.open(tmp_path).series(LOSS)) == 20
    writer.close()


def test_a_finished_run_is_one_file(folder: Path) -> None:
    assert [p.name for p in folder.iterdir()] == [FILE_NAME]


# -- damaged ----------------------------------------------------------------------------------------------------------


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def zeros(data: bytes) -> bytes:
    return data[: len(data) // 2] + bytes(4096) + data[len(data) // 2 + 4096 :]


def noise(data: bytes) -> bytes:
    return data[:8192] + np.random.default_rng(0).bytes(len(data) - 8192)


@pytest.mark.parametrize("harm", [cut, zeros, noise])
def test_damaged(folder: Path, harm: Callable[[bytes], bytes], capsys: Output) -> None:
    """What is readable is read and the rest is named, or one clear error; never a traceback or a silent half."""
    file = folder / FILE_NAME
    file.write_bytes(harm(file.read_bytes()))
    try:
        run = Run.open(folder)
    except RunFileError as e:
        assert str(file) in str(e)
    else:
        assert run.damage
        run_checks(run)
    assert main(["show", str(folder)]) in (0, 2)
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err


@pytest.mark.parametrize("data", [b"", b"no database", b"SQLite format 3\0" + bytes(100), bytes(5000)])
def test_not_a_run_file(tmp_path: Path, data: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(data)
    with pytest.raises(RunFileError, match="damaged, or not a run file"):
        Run.open(tmp_path)


def test_records_that_are_no_records(folder: Path) -> None:
    db = sqlite3.connect(folder / FILE_NAME)
    with db:
        db.execute("UPDATE record SET data='{broken' WHERE kind='LossSite' AND idx=3")
        db.execute("UPDATE frame SET v=x'0102' WHERE signal=? AND step=5", (LOSS.name,))
        db.execute("INSERT INTO record VALUES('OfTheFuture', 0, '{}')")
    db.close()
    run = Run.open(folder)
    assert len(run.loss_sites) == 49
    assert any("LossSite 3" in d for d in run.damage)
    assert any(LOSS.name in d or "series" in d for d in run.damage)
    assert len(run.series(LOSS)) == 1999


def test_fields_that_this_version_does_not_know(folder: Path) -> None:
    db = sqlite3.connect(folder / FILE_NAME)
    with db:
        db.execute("UPDATE record SET data=json_set(data, '$.later', 1) WHERE kind='RunInfo'")
        db.execute("UPDATE record SET data=json_remove(data, '$.function') WHERE kind='LossSite' AND idx=7")
    db.close()
    run = Run.open(folder)
    assert run.info.steps == 2000
    assert len(run.loss_sites) == 49
    assert any("LossSite 7" in d for d in run.damage)


def test_a_newer_format(folder: Path, capsys: Output) -> None:
    db = sqlite3.connect(folder / FILE_NAME)
    with db:
        db.execute("UPDATE meta SET value=? WHERE key='format'", (str(FORMAT + 1),))
    db.close()
    with pytest.raises(RunFileError, match=f"of format {FORMAT + 1}.*upgrade"):
        Run.open(folder)
    assert main(["show", str(folder)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


# -- folders ----------------------------------------------------------------------------------------------------------


def as_nobody(act: Callable[[], None]) -> int:
    """The exit status of `act` in a child without the rights of root."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
        act()
    except BaseException as e:
        print(repr(e), file=sys.__stderr__)
        os._exit(1)
    os._exit(0)


@pytest.mark.parametrize("finished", [True, False])
def test_a_run_in_a_folder_that_cannot_be_written(tmp_path: Path, finished: bool) -> None:
    writer = RunWriter(tmp_path / "made")
    write_steps(writer, 10)
    folder = tmp_path / "run"
    if finished:
        writer.close()
    shutil.copytree(tmp_path / "made", folder)
    for path in [*folder.iterdir(), folder, *tmp_path.parents[:3], tmp_path]:
        path.chmod(0o555 if path.is_dir() and path == folder else 0o755 if path.is_dir() else 0o444)

    def act() -> None:
        assert len(Run.open(folder).series(LOSS)) == 10

    assert as_nobody(act) == 0
    folder.chmod(0o755)
    if not finished:
        writer.close()


def test_a_folder_in_which_no_run_can_be_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("train.py").write_text("print('started')\n")
    Path("file").write_text("")
    assert main(["check", "--runs-dir", "file/runs", "train.py"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "choose another folder with --runs-dir" in err
    with pytest.raises(RunFileError, match="cannot be written"):
        RunWriter(Path("file/run"))


def test_two_runs_at_the_same_time(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(ENDLESS.replace("10 ** 9", "60").replace("time.sleep(0.002)", ""))
    both = [
        subprocess.Popen([*WATCH, "run", "-q", "train.py"], cwd=tmp_path, env=ENVIRONMENT, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    errors = [p.communicate(timeout=120)[1] for p in both]
    assert [p.returncode for p in both] == [0, 0], errors
    runs = [Run.open(f) for f in (tmp_path / ".flightcheck" / "runs").iterdir()]
    assert [r.info.steps for r in runs] == [60, 60]
    assert np.array_equal(runs[0].series(LOSS).values, runs[1].series(LOSS).values)


# -- bounds and numbers ---------------------------------------------------------------------------------------------


def test_a_long_series_stays_bounded_and_keeps_its_shape(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path)
    steps = 5 * FRAME_BUDGET
    for step in range(steps):
        writer.frame(LOSS, step, [float(step)])
        writer.frame(GRAD_NORM, step, [1.0] * 3) if step < 10 else None
        if step % 500 == 0:
            writer.flush(force=True)
    writer.close()
    run = Run.open(tmp_path)
    series = run.series(LOSS)
    assert FRAME_BUDGET // 2 <= len(series) <= FRAME_BUDGET + 500
    assert np.array_equal(series.values, series.steps)
    assert series.steps[0] == 0
    assert series.steps[-1] == steps - 1
    assert np.diff(series.steps).max() <= 64
    assert np.array_equal(series.steps[-500:], np.arange(steps - 500, steps))
    assert len(run.table(GRAD_NORM)) == 10
    assert (tmp_path / FILE_NAME).stat().st_size < 2_000_000


def test_a_wide_series_keeps_fewer_steps(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path)
    values = np.ones(VALUES_BUDGET // 100, dtype=np.float32)
    for step in range(2 * LEAST_FRAMES):
        writer.frame(GRAD_NORM, step, values)
        if step % 50 == 0:
            writer.flush(force=True)
    writer.close()
    steps = Run.open(tmp_path).table(GRAD_NORM).steps
    assert LEAST_FRAMES // 2 <= len(steps) <= LEAST_FRAMES + 50
    assert (steps[0], steps[-1]) == (0, 2 * LEAST_FRAMES - 1)


def test_records_stay_bounded(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path)
    kept = sum(writer.append(LossSite(i, "mse_loss", None)) for i in range(APPEND_BUDGET + 10))
    writer.close()
    assert kept == APPEND_BUDGET
    assert len(Run.open(tmp_path).loss_sites) == APPEND_BUDGET


def test_numbers_survive(tmp_path: Path) -> None:
    values = [math.nan, math.inf, -math.inf, 0.0, -1.0, 1e-45, 3.4e38]
    writer = RunWriter(tmp_path)
    writer.frame(GRAD_NORM, 0, values)
    writer.frame(LOSS, 0, [math.nan])
    writer.put(RunInfo("run", "train.py", "train.py", error="\ud800 \0 é", seconds=math.inf, overhead=math.nan))
    writer.close()
    run = Run.open(tmp_path)
    assert np.array_equal(run.table(GRAD_NORM).values[0], np.float32(values).astype(float), equal_nan=True)
    assert math.isnan(run.series(LOSS).values[0])
    assert run.info.seconds == math.inf
    assert run.info.overhead is not None
    assert math.isnan(run.info.overhead)
    assert "é" in run.info.error


def test_more_than_is_held_between_two_flushes_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flightcheck.recording.store.MOST_PENDING", 500)
    monkeypatch.setattr("flightcheck.recording.store.FLUSH_SECONDS", 60.0)
    writer = RunWriter(tmp_path)
    writer._last_flush, writer._pause = math.inf, 60.0
    for step in range(1700):
        writer.frame(LOSS, step, [float(step)])
    writer.put(RunInfo("r", "train.py", "train.py", steps=1700))
    writer.close()
    assert Run.open(tmp_path).series(LOSS).steps.tolist() == list(range(1700))
