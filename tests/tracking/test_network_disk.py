"""Runs on a disk that several machines write: no memory is shared, no reader makes the writer wait or changes a file."""

from __future__ import annotations

import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from flightcheck.errors import RunFileError
from flightcheck.recording import disks, store
from flightcheck.recording.opening import reading
from flightcheck.recording.records import RunInfo
from flightcheck.recording.signals import LOSS
from flightcheck.recording.store import RunWriter, read
from flightcheck.tracking.history import all_runs

MOUNTS = """22 1 8:1 / / rw,relatime - ext4 /dev/root rw
40 22 0:39 / /mnt/team\\040runs rw,nosuid shared:1 - nfs4 server:/runs rw,vers=4.2
41 40 0:40 / /mnt/team\\040runs/scratch rw - tmpfs none rw
42 22 0:41 / /mnt/far rw - fuse.sshfs far:/ rw
43 22 0:42 / /mnt/stick rw - fuseblk /dev/sdb1 rw
"""


@pytest.mark.parametrize(
    ("folder", "shared"),
    [
        ("/home/somebody/runs", False),
        ("/mnt/team runs", True),
        ("/mnt/team runs/2026/not yet there", True),
        ("/mnt/team runs/scratch/runs", False),
        ("/mnt/team", False),
        ("/mnt/far/runs", True),
        ("/mnt/stick/runs", False),
    ],
)
def test_which_disks_are_shared(folder: str, shared: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mountinfo").write_text(MOUNTS)
    monkeypatch.setattr(disks, "_MOUNTS", tmp_path / "mountinfo")
    assert disks.on_network_disk(Path(folder)) == shared


def test_where_nothing_tells_the_disk_is_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disks, "_MOUNTS", tmp_path / "none")
    assert not disks.on_network_disk(tmp_path)


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """All disks are network disks."""
    monkeypatch.setattr(store, "on_network_disk", lambda folder: True)


def write(writer: RunWriter, first: int, last: int) -> None:
    for step in range(first, last):
        writer.frame(LOSS, step, [float(step)])
    writer.flush(force=True)


def steps(folder: Path) -> list[int]:
    return [int(s) for s in read(folder)[1]["loss"][0]]


@pytest.mark.usefixtures("shared")
def test_no_memory_is_shared_and_one_file_is_left(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path)
    write(writer, 0, 10)
    assert {p.name for p in tmp_path.iterdir()} == {"run.sqlite", "run.sqlite-journal"}
    assert steps(tmp_path) == list(range(10))
    writer.close()
    assert [p.name for p in tmp_path.iterdir()] == ["run.sqlite"]


@pytest.mark.usefixtures("shared")
def test_a_reader_is_not_waited_for_and_nothing_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    writer = RunWriter(tmp_path)
    write(writer, 0, 10)
    with closing(sqlite3.connect(f"{writer.path.as_uri()}?mode=ro", uri=True)) as other_program:
        rows = other_program.execute("SELECT step FROM frame")
        rows.fetchone()  # the file is locked for as long as not all is fetched
        start = time.perf_counter()
        write(writer, 10, 20)
        assert time.perf_counter() - start < 0.5
        rows.fetchall()
    assert steps(tmp_path) == list(range(10))
    write(writer, 20, 21)
    assert steps(tmp_path) == list(range(21))
    writer.close()
    assert (writer.failure, capsys.readouterr().err) == ("", "")


@pytest.mark.usefixtures("shared")
def test_a_disk_that_answers_slowly_is_asked_less_often(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each commit takes half a second: within a minute of training there is time for a few."""
    writer, now, tries = RunWriter(tmp_path), [0.0], []
    monkeypatch.setattr(store.time, "monotonic", lambda: now[0])

    def commit(*given: object) -> None:
        tries.append(now[0])
        now[0] += 0.5

    monkeypatch.setattr(writer, "_commit", commit)
    writer._last_flush = 0.0
    while now[0] < 60.0:
        now[0] += 0.05
        writer.frame(LOSS, int(now[0] * 20), [1.0])
        writer.flush()
    assert 5 <= len(tries) <= 8


@pytest.mark.usefixtures("shared")
def test_a_disk_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the file system knows none: SQLite refuses to begin."""
    made = store._connection

    def refuses(file: Path, journal: str, *, locks: bool = True) -> sqlite3.Connection:
        if locks:
            raise sqlite3.OperationalError("disk I/O error")
        return made(file, journal, locks=locks)

    monkeypatch.setattr(store, "_connection", refuses)
    writer = RunWriter(tmp_path)
    write(writer, 0, 10)
    writer.close()
    assert steps(tmp_path) == list(range(10))


def torn(folder: Path) -> Path:
    """A run file as a kill in the middle of a transaction leaves it: half changed, the journal beside it."""
    whole = folder / "whole"
    writer = RunWriter(whole)
    writer.put(RunInfo("torn", "train.py", "train.py"))
    write(writer, 0, 2000)
    writer.close()
    db = sqlite3.connect(whole / "run.sqlite", isolation_level=None)
    db.execute("PRAGMA cache_size=1")  # changed pages go to the file before the transaction is over
    db.execute("BEGIN")
    db.executemany("INSERT INTO frame VALUES('loss', ?, ?)", [(s, b"\0" * 400) for s in range(2000, 4000)])
    (folder / "torn").mkdir()
    for file in whole.iterdir():
        shutil.copy(file, folder / "torn")
    db.close()
    assert (folder / "torn" / "run.sqlite-journal").stat().st_size > 0
    return folder / "torn"


def test_a_transaction_that_was_broken_off_is_undone_in_a_copy(tmp_path: Path) -> None:
    run = torn(tmp_path)
    before = {p.name: p.read_bytes() for p in run.iterdir()}
    assert steps(run) == list(range(2000))
    (listed,) = (s for s in all_runs(tmp_path) if s["id"] == "torn")
    assert listed["steps"] == 2000
    assert {p.name: p.read_bytes() for p in run.iterdir()} == before


def test_a_name_that_an_address_would_cut_off(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path / "lr=1e-3?#50%")
    write(writer, 0, 10)
    assert steps(writer.path.parent) == list(range(10))
    writer.close()


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RunFileError, match="there is no such run file"):
        read(tmp_path)
    with pytest.raises(sqlite3.OperationalError), reading(tmp_path / "run.sqlite"):
        pass


# -- a network disk ---------------------------------------------------------------------------------------------------

SERVER = Path("/usr/lib/openssh/sftp-server")


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """One disk as two machines see it, each with a memory and with locks of its own."""
    if shutil.which("sshfs") is None or not SERVER.is_file() or not Path("/dev/fuse").exists():
        pytest.skip("a network disk is made of sshfs and openssh-sftp-server, which are not here")
    places = tmp_path / "one", tmp_path / "other"
    (tmp_path / "disk").mkdir()
    started = [process for place in places for process in _mounted(tmp_path / "disk", place)]
    end = time.monotonic() + 10
    while not all(p.is_mount() for p in places) and time.monotonic() < end:
        time.sleep(0.05)
    try:
        if not all(p.is_mount() for p in places):
            pytest.skip("no disk can be mounted here")
        yield places
    finally:
        for place in places:
            subprocess.run(["fusermount3", "-u", "-z", str(place)], check=False, capture_output=True)
        for process in started:
            process.kill()
            process.wait()


def _mounted(disk: Path, place: Path) -> Iterator[subprocess.Popen[bytes]]:
    place.mkdir()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield subprocess.Popen([SERVER], stdin=theirs, stdout=theirs)
        command = ["sshfs", "-f", "-o", "passive,dir_cache=no", f":{disk}", str(place)]
        yield subprocess.Popen(command, stdin=ours, stdout=ours, stderr=subprocess.DEVNULL)


WRITES = """
import sys, time
from pathlib import Path
from flightcheck.recording.records import RunInfo
from flightcheck.recording.signals import LOSS
from flightcheck.recording.store import RunWriter

writer = RunWriter(Path(sys.argv[1]))
writer.put(RunInfo("run", "train.py", "train.py"))
for step in range(1500):
    writer.frame(LOSS, step, [float(step)])
    if step % 15 == 0:
        writer.flush(force=True)
        time.sleep(0.02)
writer.put(RunInfo("run", "train.py", "train.py", ended="finished"))
writer.close()
"""
READS = """
import sys
from pathlib import Path
from flightcheck.errors import RunFileError
from flightcheck.recording.store import read

looks = known = 0
while True:
    try:
        records, frames, damage = read(Path(sys.argv[1]))
    except RunFileError as e:
        assert not known, e  # before the first look it may not be there yet
        continue
    seen = len(frames.get("loss", ((),))[0])
    assert not damage and seen >= known, (damage, seen, known)
    looks, known = looks + 1, seen
    if records and records["RunInfo"][0][1]["ended"] == "finished":
        break
assert looks > 10 and known == 1500, (looks, known)
"""


def test_two_machines(machines: tuple[Path, Path]) -> None:
    """One writes, both read all the while, and neither ever meets a file that is damaged, or older than it was."""
    here, there = machines
    programs = [(WRITES, here), (READS, here), (READS, there)]
    started = [
        subprocess.Popen([sys.executable, "-c", code, str(place / "run")], stderr=subprocess.PIPE, text=True)
        for code, place in programs
    ]
    try:
        ended = [(p.communicate(timeout=60)[1], p.returncode) for p in started]
    finally:
        for process in started:
            process.kill()
    assert ended == [("", 0)] * 3
    assert steps(here / "run") == steps(there / "run") == list(range(1500))
