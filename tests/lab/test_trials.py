"""Trials of a script: the same bits as a process of its own, nothing of the user's touched, and every end survived."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flightcheck.lab import processes
from flightcheck.lab.processes import Script, ScriptRunner
from flightcheck.lab.trials import Trained, Trial
from flightcheck.patch import Patch
from flightcheck.recording.experiments import NO_TIME
from flightcheck.recording.run import Run
from flightcheck.recording.signals import LOSS

STEPS = 15
Try = Callable[..., Trained]


class User:
    """A user's folder with a script, and a runner of its trials; one server serves all kinds of it."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "project" / "code"
        self.folder.mkdir(parents=True)
        shutil.copy(Path(__file__).with_name("script.py"), self.folder / "train.py")
        (self.folder / "data.txt").write_text("data")
        (self.folder / "large.bin").write_bytes(bytes(5 * 2**20))
        for name, text in (("project/beside/other.txt", "other"), ("elsewhere/inner.txt", "inner")):
            (root / name).parent.mkdir()
            (root / name).write_text(text)
        (self.folder / "linked").symlink_to(root / "elsewhere")
        self.file = root / "user.txt"
        self.file.write_text("user's")
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self.runner = ScriptRunner(Script("train.py", None, [], self.folder, environment, ["sqlite3"]), root / "trials")

    def run(self, kind: str, *trials: Trial, seconds: float = 60.0, jobs: int = 1) -> list[Trained]:
        arguments = [kind, str(self.file)]
        self.runner.script = dataclasses.replace(self.runner.script, arguments=arguments)
        self.runner.jobs = jobs
        self.runner._known.clear()
        return self.runner.run(trials or [Trial((), 0, STEPS)], seconds)

    def all_files(self) -> dict[str, bytes]:
        """Everything but the runs of trials."""
        root = self.file.parent
        files = [p for p in root.rglob("*") if p.is_file() and "trials" not in p.parts]
        return {str(p.relative_to(root)): p.read_bytes() for p in files}


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    made = User(tmp_path_factory.mktemp("user"))
    yield made
    made.runner.close()


def losses(trained: Trained) -> list[float]:
    assert trained.failure == ""
    found = list(trained.series("loss"))
    assert len(found) == STEPS
    return found


def fresh(user: User, folder: Path, kind: str, seed: int = 0) -> list[float]:
    """The same trial in a process that was not forked."""
    scratch = folder / "scratch"
    shutil.copytree(user.folder, scratch)
    task = {
        "id": 1, "folder": str(folder / "run"), "cwd": str(scratch), "script": "train.py", "module": None,
        "arguments": [kind, str(user.file)], "patches": [], "seed": seed, "steps": STEPS, "seconds": 60.0,
        "limit": 60.0, "evaluates": False, "threads": 1,
    }  # fmt: skip
    command = [sys.executable, "-m", "flightcheck.trial.server", "--fresh"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
    subprocess.run(command, input=json.dumps(task).encode(), check=True, timeout=120, env=environment)
    return list(Run.open(folder / "run").series(LOSS).values)


# -- the same bits ---------------------------------------------------------------------------------------------------


def test_a_fork_computes_what_a_fresh_process_does(user: User, tmp_path: Path) -> None:
    """The script sets no seed at all: Python's, NumPy's old and new, and torch's random numbers are known all the same."""
    (forked,) = user.run("plain")
    assert user.runner.forks
    assert losses(forked) == fresh(user, tmp_path, "plain")


def test_results_do_not_depend_on_the_number_of_jobs(user: User) -> None:
    trials = [Trial((), s, STEPS) for s in range(3)] + [Trial((Patch("lr", "x0.1"),), 1, STEPS)]
    one = [losses(t) for t in user.run("plain", *trials)]
    three = [losses(t) for t in user.run("plain", *trials, jobs=3)]
    assert one == three
    assert len({tuple(x) for x in one}) == 4


def test_results_are_in_the_order_asked_and_known_ones_are_not_run_again(user: User) -> None:
    one, other = Trial((), 0, STEPS), Trial((), 1, STEPS)
    first = user.run("plain", other, one, other)
    assert [t.trial for t in first] == [other, one, other]
    count = user.runner._count
    again = user.runner.run([one], 60)
    assert again[0] is first[1]
    assert user.runner._count == count


@pytest.mark.parametrize("kind", ["seeded", "seeded by name"])
def test_seed_0_keeps_the_scripts_own_seeds_and_others_change_them(user: User, kind: str) -> None:
    zero, one, zero_again = user.run(kind, Trial((), 0, STEPS), Trial((), 1, STEPS), Trial((), 0, STEPS))
    (unseeded,) = user.run("plain")
    assert losses(zero) == losses(zero_again)
    assert losses(zero) != losses(one)
    assert losses(zero) != losses(unseeded), "its own seeds"


def test_both_spellings_of_a_seed_are_the_same_seed(user: User) -> None:
    for seed in (0, 1):
        (one,), (other,) = (user.run(k, Trial((), seed, STEPS)) for k in ("seeded", "seeded by name"))
        assert losses(one) == losses(other)


@pytest.mark.parametrize("kind", ["seeded by the clock", "seeded by words"])
def test_other_ways_to_seed_are_reproducible(user: User, kind: str) -> None:
    assert losses(user.run(kind)[0]) == losses(user.run(kind)[0])


def test_workers_of_a_loader(user: User) -> None:
    (first,) = user.run("workers")
    (second,) = user.run("workers")
    assert losses(first) == losses(second)


# -- do no harm ------------------------------------------------------------------------------------------------------

OUTSIDE = {
    "open": "it writes to {file}",
    "append": "it writes to {file}",
    "os.open": "it writes to {file}",
    "np.save": "it writes to {file}",
    "torch.save": "it writes to {file}",
    "torch.save by name": "it writes to {file}",
    "torch.jit.save": "it writes to {file}",
    "os.remove": "it writes to {file}",
    "os.rename": "it writes to {file}",
    "shutil.rmtree": "it writes to {folder}",
    "shutil.move": "it writes to {file}",
    "shutil.copy": "it writes to {file}",
    "truncate": "it writes to {file}",
    "chmod": "it writes to {file}",
    "sqlite3": "it writes to {file}",
    "sqlite3 address": "it writes to {file}",
    "link": "it writes to large.bin",
    "link to a folder": "it writes to linked/inner.txt",
    "upwards": "it writes to ../user.txt",
    "swallowed": "it writes to {file}",
    "subprocess": "it starts another program (touch)",
    "os.system": "it starts another program (",
    "spawn": "it starts processes anew (multiprocessing with spawn)",
    "network": "it connects to 192.0.2.1",
    "datagram": "it connects to 192.0.2.1",
}


@pytest.mark.parametrize("kind", OUTSIDE)
def test_what_is_outside_is_refused_and_unchanged(user: User, kind: str) -> None:
    before = user.all_files()
    (trained,) = user.run(kind)
    assert trained.failure.startswith("the script was stopped to protect your files: ")
    wanted = OUTSIDE[kind].format(file=user.file, folder=user.file.parent)
    told = trained.failure.removeprefix("the script was stopped to protect your files: ")
    assert told.startswith(wanted) or (kind == "np.save" and told == f"{wanted}.npy")
    assert user.all_files() == before


def test_what_is_inside_is_allowed(user: User) -> None:
    before = user.all_files()
    (trained,) = user.run("inside")
    assert losses(trained)
    assert user.all_files() == before, "it was a copy"


def test_each_trial_begins_with_the_users_files(user: User) -> None:
    for trained in user.run("inside", Trial((), 0, STEPS), Trial((), 1, STEPS)):
        assert losses(trained)  # it asserts that data.txt is as it was


# -- ends ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "failure"),
    [
        ("crash at once", "the script ended with RuntimeError: no data"),
        ("exit at once", "the script ended before its first step"),
        ("killed", "the trial did not end by itself"),
    ],
)
def test_a_script_that_ends_before_its_training(user: User, kind: str, failure: str) -> None:
    (trained,) = user.run(kind)
    assert trained.failure == failure


@pytest.mark.parametrize(("kind", "ended"), [("crash later", "exception"), ("exit later", "exit")])
def test_a_script_that_ends_itself_can_be_used(user: User, kind: str, ended: str) -> None:
    (trained,) = user.run(kind, Trial((), 0, 60))
    assert trained.failure == ""
    assert trained.run is not None
    assert (trained.run.info.ended, len(trained.series("loss"))) == (ended, 20)


@pytest.mark.parametrize("kind", ["hangs", "hangs later", "swallows"])
def test_a_script_that_does_not_end_is_killed(user: User, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_GRACE", 1.0)
    started = time.monotonic()
    hanging, after = user.run(kind, Trial((), 0, 60), Trial((), 1, 60), seconds=3.0)
    assert time.monotonic() - started < 20
    assert hanging.failure == "the trial did not end by itself"
    assert after.failure == NO_TIME
    assert losses(user.run("plain")[0]), "the server lives"


def test_no_time_at_all(user: User) -> None:
    count = user.runner._count
    (trained,) = user.run("plain", seconds=0.0)
    assert trained.failure == NO_TIME
    assert user.runner._count == count


def test_a_script_that_is_no_longer_there(user: User) -> None:
    whole = user.runner.script
    user.runner.script = dataclasses.replace(whole, script="gone.py")
    user.runner._known.clear()
    (trained,) = user.runner.run([Trial((), 0, STEPS)], 60)
    user.runner.script = whole
    assert "FileNotFoundError" in trained.failure


def test_a_wrong_patch(user: User) -> None:
    (trained,) = user.run("plain", Trial((Patch("inputs", "noise"),), 0, STEPS))
    assert trained.failure


def test_the_server_dies_and_is_started_again(user: User) -> None:
    assert losses(user.run("plain")[0])
    assert user.runner._server is not None
    os.kill(user.runner._server.pid, signal.SIGKILL)
    (lost,) = user.run("plain", Trial((), 7, STEPS))
    assert lost.failure.startswith("the process that runs trials ended (")
    (found,) = user.run("plain", Trial((), 7, STEPS))
    assert losses(found)


def test_nothing_is_left(tmp_path: Path) -> None:
    made = User(tmp_path / "user")
    assert losses(made.run("plain")[0])
    server, scratch = made.runner._server, made.runner._scratch
    assert server is not None and scratch is not None
    made.runner.close()
    assert server.poll() is not None
    assert not scratch.root.exists()
    assert (made.folder / "large.bin").is_file()
    made.runner.close()
