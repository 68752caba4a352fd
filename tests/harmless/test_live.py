"""A training that is followed computes the same bits, ends as it would alone, and leaves no process behind."""

from __future__ import annotations

import importlib.util
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flightcheck.checks.registry import run_checks
from flightcheck.recording.following import RunFollower
from flightcheck.recording.run import Run
from flightcheck.recording.signals import LOSS
from tests.harmless.processes import ENVIRONMENT, Server, plain, watched
from tests.thorough import chosen

SCRIPT = str(Path(__file__).parent / "trainings" / "kinds.py")
TENSORBOARD = importlib.util.find_spec("tensorboard") is not None
OPTIONS = ["--live", *(["--tensorboard", "tb"] if TENSORBOARD else [])]
ADDRESS = re.compile(r"flightcheck: live at (http://127\.0\.0\.1:\d+/\S+/)\n")
ENDLESS = """
import os, sys, time, torch
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
x, y = torch.randn(64, 4), torch.randint(2, (64,))
for step in range(10 ** 6):
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(model(x), y).backward()
    optimizer.step()
    time.sleep(0.01)
    if step == 100:
        print("ready", flush=True)
"""


def followers(folder: Path) -> list[int]:
    """Processes that follow a run below a folder: they are found by where they work."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            if b"flightcheck.live" in command and (process / "cwd").resolve() == folder.resolve():
                found.append(int(process.name))
        except OSError:
            continue
    return found


def wait_for(what: Callable[[], bool], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until
        time.sleep(0.1)


@pytest.mark.parametrize("kind", chosen(["mlp", "gan", "workers", "loader_in_process"], ["mlp", "loader_in_process"]))
def test_the_same_bits(server: Server, tmp_path: Path, kind: str) -> None:
    without = server.run(tmp_path, SCRIPT, kind)
    within = server.run(tmp_path, "-m", "flightcheck", "run", "--quiet", "--select", "T01", *OPTIONS, SCRIPT, kind)
    assert tuple(within) == tuple(without), within.err
    assert ADDRESS.sub("", within.err) == without.err
    assert ADDRESS.search(within.err)
    assert followers(tmp_path) == []


@pytest.mark.skipif(not TENSORBOARD, reason="TensorBoard is not installed (requirements.txt names it)")
def test_what_tensorboard_reads_is_what_was_recorded(tmp_path: Path) -> None:
    done = watched(tmp_path, "run", "--fail-on", "never", "--tensorboard", "tb/new", SCRIPT, "mlp")
    assert done.code == 0, done.err
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (folder,) = (tmp_path / ".flightcheck" / "runs").iterdir()
    found = EventAccumulator(str(tmp_path / "tb" / "new" / folder.name), {"scalars": 0}).Reload()
    loss = Run.open(folder).series(LOSS)
    assert [(e.step, e.value) for e in found.Scalars("loss/training")] == list(zip(loss.steps, loss.values))
    assert found.Tags()["graph"]
    assert "flightcheck/diagnosis" in found.Tags()["tensors"]


def test_a_script_that_waits_for_its_children_meets_none(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(
        "import os\ntry:\n    os.waitpid(-1, os.WNOHANG)\n    print('a child')\nexcept ChildProcessError:\n    print('none')\n"
    )
    assert watched(tmp_path, "run", "--live", "train.py").out == plain(tmp_path, "train.py").out == "none\n"


def test_modules_beside_the_script_are_not_taken_for_others(tmp_path: Path) -> None:
    for name in ("json", "http", "secrets", "numpy"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('imported by the live view')\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "train.py").write_text("print('hello')\n")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "flightcheck", "run", "--live", "sub/train.py"],
        cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ADDRESS.search(done.stderr), done.stderr
    assert "imported by the live view" not in done.stderr


Started = tuple[subprocess.Popen[bytes], int]


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Started]:
    """An endless training on a terminal of its own."""
    process, master = start(tmp_path)
    yield process, master
    if process.poll() is None:
        process.kill()
        process.wait(30)
    os.close(master)


def start(folder: Path) -> Started:
    (folder / "train.py").write_text(ENDLESS)
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, 100))
    process = subprocess.Popen(
        [sys.executable, "-m", "flightcheck", "run", "--live", "train.py"],
        cwd=folder, env={**ENVIRONMENT, "TERM": "xterm"}, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )  # fmt: skip
    os.set_blocking(master, False)
    os.close(slave)
    return process, master


def read(master: int) -> str:
    try:
        return os.read(master, 1 << 20).decode(errors="replace")
    except BlockingIOError:
        return ""
    except OSError:  # nobody holds the other side
        return ""


def read_until(master: int, sign: str, seconds: float = 60) -> str:
    text, until = "", time.monotonic() + seconds
    while sign not in text:
        assert time.monotonic() < until, text
        text += read(master)
        time.sleep(0.05)
    return text


def test_ctrl_c_ends_the_training_the_line_and_the_page(tmp_path: Path, started: Started) -> None:
    process, master = started
    shown = read_until(master, "ready")
    address = ADDRESS.search(shown.replace("\r\n", "\n"))
    assert address
    page = urllib.request.urlopen(address[1], timeout=20).read().decode()
    assert "EventSource" in page
    shown += read_until(master, "loss 0.")
    assert "\x1b[1;" in shown, "the rows above are the region that scrolls"
    process.send_signal(signal.SIGINT)
    rest = read_until(master, "report.html")
    assert process.wait(60) == 130
    released = rest.index("\x1b[r")
    assert released < rest.index("The script was interrupted")
    assert "\x1b[2K" not in rest[released + 20 :], "the line came back after it was given up"
    assert followers(tmp_path) == []
    with pytest.raises(OSError):
        urllib.request.urlopen(address[1], timeout=5)


def test_nothing_is_left_of_a_training_that_was_killed(tmp_path: Path, started: Started) -> None:
    process, master = started
    shown = read_until(master, "loss ")
    assert len(followers(tmp_path)) == 1
    process.kill()
    process.wait(30)
    wait_for(lambda: followers(tmp_path) == [])
    assert "\x1b[r" in shown + read(master)


def test_a_follower_that_dies_costs_the_training_nothing(tmp_path: Path, started: Started) -> None:
    process, master = started
    read_until(master, "ready")
    for follower in followers(tmp_path):
        os.kill(follower, signal.SIGKILL)
    time.sleep(1)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert "The script was interrupted" in read_until(master, "report.html")
    assert process.wait(60) == 130


def test_what_is_recorded_can_be_judged_at_every_moment(started: Started, tmp_path: Path) -> None:
    """Records are written at different moments; none may lack what another one refers to."""
    process, _ = started
    folder = tmp_path / ".flightcheck" / "runs"
    wait_for(lambda: bool(list(folder.glob("*/run.sqlite"))))
    (run,) = folder.iterdir()
    follower, broken, looks = RunFollower(run), [], 0
    until = time.monotonic() + 40
    while looks < 12 and time.monotonic() < until:
        if follower.readable and follower.changed():
            found = follower.run()
            broken += [
                f"{v.info.code} at step {found.info.steps}: {v.reason}"
                for v in run_checks(found)
                if v.status == "error"
            ]
            looks += 1
        time.sleep(0.1)
    assert looks > 3
    assert broken == []
    assert process.poll() is None
