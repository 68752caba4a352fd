"""A run that cannot be recorded: what was recorded before is kept, the training goes on, and the reason is said once."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from flightcheck.recording import store
from flightcheck.recording.records import RunInfo
from flightcheck.recording.run import Run
from flightcheck.recording.signals import GRAD_NORM, LOSS
from flightcheck.recording.store import RunWriter, read
from flightcheck.tracking.history import all_runs
from tests.harmless.processes import ENVIRONMENT, WATCH, Server, plain, watched

Output = pytest.CaptureFixture[str]
SCRIPT = """
import torch, sys, time
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(4, 64), torch.nn.ReLU(), torch.nn.Linear(64, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
pause = float(sys.argv[2])
for step in range(int(sys.argv[1])):
    optimizer.zero_grad()
    loss = torch.nn.functional.cross_entropy(model(torch.randn(8, 4)), torch.randint(2, (8,)))
    loss.backward()
    optimizer.step()
    if pause:
        time.sleep(pause)
        print(step, loss.item().hex(), flush=True)
print(loss.item().hex(), sum(p.sum().item() for p in model.parameters()).hex())
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_text(SCRIPT)
    return tmp_path


def runs(folder: Path) -> list[Path]:
    return sorted(p for p in (folder / ".flightcheck/runs").iterdir() if p.is_dir())


# -- the writer -------------------------------------------------------------------------------------------------------


@pytest.fixture
def full(tmp_path: Path) -> Iterator[RunWriter]:
    """A run with 100 steps whose file cannot grow any more."""
    writer = RunWriter(tmp_path / "run")
    writer.put(RunInfo("run", "train.py", "train.py"))
    write(writer, 0, 100)
    limit(writer, 0)
    yield writer
    writer.close()


def write(writer: RunWriter, first: int, last: int) -> None:
    for step in range(first, last):
        writer.frame(LOSS, step, [float(step)] * 100)
    writer.flush(force=True)


def limit(writer: RunWriter, more_pages: int) -> None:
    """As a disk that has so many pages left."""
    used = writer._db.execute("PRAGMA page_count").fetchone()[0]
    writer._db.execute(f"PRAGMA max_page_count={used + more_pages}")


def test_what_was_written_stays_and_it_is_said_once(full: RunWriter, capsys: Output) -> None:
    write(full, 100, 300)
    write(full, 300, 600)
    assert len(Run.open(full.path).series(LOSS)) == 100
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert f"{full.path}: cannot be written any more (database or disk is full)" in told
    assert "the training goes on" in told


def test_what_fits_is_written_and_small_values_come_first(full: RunWriter) -> None:
    limit(full, 3)
    for step in range(100, 200):
        full.frame(LOSS, step, [1.0])
        full.frame(GRAD_NORM, step, [1.0] * 1000)
    full.flush(force=True)
    found = read(full.path)[1]
    assert len(found["loss"][0]) >= 164
    assert len(found.get("grad_norm", ([],))[0]) < 100
    assert full.failure


def test_room_that_is_made_later_takes_all_that_was_held(full: RunWriter, capsys: Output) -> None:
    write(full, 100, 300)
    limit(full, 10_000)
    write(full, 300, 400)
    assert Run.open(full.path).series(LOSS).steps.tolist() == list(range(400))
    assert capsys.readouterr().err.count("\n") == 1


def test_pauses_between_tries_grow(full: RunWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    now, tries = [0.0], []

    def fails(*given: object) -> None:
        tries.append(now[0])
        raise sqlite3.Error("full")

    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(full, "_commit", fails)
    full._last_flush = 0.0
    for _ in range(6000):
        now[0] += 0.05
        full.frame(LOSS, int(now[0] * 20), [1.0])
        full.flush()
    pauses = np.diff(sorted(set(tries)))  # each is followed by one after the log was emptied
    assert len(tries) < 30
    assert pauses[0] == pytest.approx(1.0, abs=0.1)
    assert pauses.max() == pytest.approx(60.0, abs=0.1)


def test_what_is_held_is_bounded(full: RunWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MOST_PENDING", 500)
    write(full, 100, 2000)
    assert len(full._frames) == 500


def test_the_report_of_this_process_is_complete_all_the_same(full: RunWriter) -> None:
    write(full, 100, 300)
    full.put(RunInfo("run", "train.py", "train.py", steps=300, ended="finished"))
    full.close()
    run = Run.open(full.path)
    assert (run.info.ended, run.info.steps, len(run.series(LOSS)), run.damage) == ("finished", 300, 300, [])
    code = "import sys; from flightcheck.recording.run import Run; print(Run.open(__import__('pathlib').Path(sys.argv[1])).info.ended)"
    other = subprocess.run([sys.executable, "-c", code, str(full.path)], capture_output=True, text=True, check=True)
    assert other.stdout == "running\n"


# -- whole runs -------------------------------------------------------------------------------------------------------


def test_a_file_that_may_not_grow(server: Server, script: Path) -> None:
    """The limit on the size of a file acts in the middle of the training, on the run file and on nothing else."""
    expected = server.run(script, "train.py", "1500", "0")
    done = subprocess.run(
        [*WATCH, "run", "--fail-on", "never", "train.py", "1500", "0"], cwd=script, env=ENVIRONMENT,
        capture_output=True, text=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (240_000, 240_000)),
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, expected.out)
    assert done.stderr.count("cannot be written") == 1
    assert "in 1500 steps" in done.stderr
    (folder,) = runs(script)
    assert len(Run.open(folder).series(LOSS)) >= 5
    assert not (folder / "report.html").exists()


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("mount") is None, reason="only root may mount a small disk")
def test_a_disk_that_is_full(server: Server, script: Path) -> None:
    disk = script / ".flightcheck"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=360k", "none", str(disk)], check=False).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        start = ["run", "-q", "--fail-on", "never", "train.py"]
        first = server.watched(script, *start, "5", "0")
        (kept,) = runs(script)
        before = (kept / "run.sqlite").read_bytes()
        expected = server.run(script, "train.py", "1500", "0")
        done = server.watched(script, *start, "1500", "0")
        assert (first.code, done.code, done.out) == (0, 0, expected.out)
        assert done.err.count("cannot be written") == 1, done.err
        assert (kept / "run.sqlite").read_bytes() == before
        assert len(Run.open(kept).series(LOSS)) == 5
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_folder_in_which_nothing_can_be_written(server: Server, script: Path) -> None:
    """The whole training is worth more than the place of its record: it is recorded elsewhere."""
    expected = server.run(script, "train.py", "5", "0")
    (script / "spare").mkdir()
    done = watched(  # a process of its own: Python asks for the folder of temporary files once
        script, "run", "-q", "--fail-on", "never", "--runs-dir", "train.py/runs", "train.py", "5", "0",
        TMPDIR=str(script / "spare"),
    )  # fmt: skip
    assert (done.code, done.out) == (0, expected.out)
    (line,) = done.err.splitlines()
    assert "train.py/runs" in line
    (folder,) = (script / "spare/flightcheck-runs").iterdir()
    assert line.endswith(f"the run is recorded in {folder}")
    assert Run.open(folder).info.steps == 5


def test_watched_from_code_without_any_place(tmp_path: Path) -> None:
    """The block runs as if it were not watched."""
    (tmp_path / "file").touch()
    code = (
        "import flightcheck, sys, tempfile\ntempfile.tempdir = 'file'\n"
        "with flightcheck.watch(runs_dir='file/runs') as watched:\n    print('trained')\n"
        "print(watched.run, watched.diagnosis)\n"
    )
    (tmp_path / "train.py").write_text(code)
    done = plain(tmp_path, "train.py")
    assert (done.code, done.out) == (0, "trained\nNone None\n"), done.err
    assert done.err.count("cannot be written") == 1
    assert "the training goes on and is not watched" in done.err


def test_killed_at_any_step(server: Server, script: Path) -> None:
    """Of what was computed a second before the end nothing is lost, nor of the run before."""
    start = [*WATCH, "run", "-q", "train.py"]
    server.watched(script, *start[3:], "20", "0")
    (kept,) = runs(script)
    before = (kept / "run.sqlite").read_bytes()
    for seconds in np.random.default_rng().uniform(0.05, 1.5, 2):
        process = subprocess.Popen(
            [*start, "100000", "0.003"], cwd=script, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(seconds)
        os.set_blocking(process.stdout.fileno(), False)
        printed = (process.stdout.read() or b"").decode()
        time.sleep(1.0)
        process.send_signal(signal.SIGKILL)
        process.wait(30)
        process.stdout.close()
        run = Run.open(runs(script)[-1])
        recorded = dict(zip(run.series(LOSS).steps.tolist(), run.series(LOSS).values.tolist()))
        shown = [line.split() for line in printed.splitlines() if len(line.split()) == 2][:-1]
        assert shown, f"killed after {seconds} s, too early to have printed a step"
        assert [(s, v) for s, v in shown if recorded.get(int(s)) != float.fromhex(v)] == []
        assert run.info.ended == "running"
    assert (kept / "run.sqlite").read_bytes() == before
    assert sorted(s["ended"] for s in all_runs(script / ".flightcheck/runs")) == ["finished", "killed", "killed"]


def test_many_at_once_lose_nothing(script: Path) -> None:
    """Three trainings and a list of them at the same time, in one folder."""
    start = [*WATCH, "run", "-q", "--fail-on", "never", "train.py", "200", "0.001"]
    several = [
        subprocess.Popen(start, cwd=script, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    listed = 0
    while any(p.poll() is None for p in several):
        folder = script / ".flightcheck/runs"
        listed = len(all_runs(folder)) if folder.is_dir() else 0
        time.sleep(0.2)
    ended = [(*p.communicate(), p.returncode) for p in several]
    assert [(err, code) for _, err, code in ended] == [("", 0)] * 3
    assert len({out.splitlines()[-1] for out, _, _ in ended}) == 1
    opened = [Run.open(f) for f in runs(script)]
    assert [r.info.steps for r in opened] == [200] * 3
    assert len({r.series(LOSS).values.tobytes() for r in opened}) == 1
    assert listed == len(all_runs(script / ".flightcheck/runs")) == 3


# -- a fault of ours --------------------------------------------------------------------------------------------------

BROKEN = """
import sys
from flightcheck.adapters.torch import TorchObserver
def install(self):
    raise TypeError("takes 5 positional arguments")
TorchObserver.install = install
from flightcheck.cli.main import main
sys.exit(main())
"""


@pytest.mark.parametrize("mode", ["run", "check"])
def test_a_fault_at_our_start_leaves_the_training_alone(server: Server, script: Path, mode: str) -> None:
    wanted = server.run(script, "train.py", "20", "0")
    done = plain(script, "-c", BROKEN, mode, "train.py", "20", "0")
    assert done.out == wanted.out
    assert done.code == (0 if mode == "run" else 2), "a check that saw no training says so"
    assert "fault of ours (TypeError: takes 5 positional arguments); the script runs on its own" in done.err
    assert "Traceback" not in done.err


def test_a_killed_run_is_not_called_running(script: Path) -> None:
    process = subprocess.Popen(
        [*WATCH, "run", "train.py", "100000", "0.01"], cwd=script, env=ENVIRONMENT, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.readline()
    store = script / ".flightcheck/runs"
    assert [r["ended"] for r in all_runs(store)] == ["running"]
    process.kill()
    process.wait()
    process.stdout.close()
    assert [r["ended"] for r in all_runs(store)] == ["killed"]
