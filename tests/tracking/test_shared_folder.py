"""One folder for the runs of several processes: none is lost, none waits, and rows come back as they were written."""

from __future__ import annotations

import datetime
import secrets
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks.store import lost_rows, lost_runs, timed, write_rows, write_together
from flightcheck.session import new_run_folder
from flightcheck.tracking.history import all_runs


def test_several_processes_write_to_one_folder_while_it_is_listed(tmp_path: Path) -> None:
    listings = write_together(tmp_path, writers=3, runs=6)
    assert listings > 1
    assert len(all_runs(tmp_path)) == 18
    assert lost_runs(tmp_path, 18) == 0


def test_a_name_is_given_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter(["aaaaaa"] * 3 + ["bbbbbb"] * 3)
    monkeypatch.setattr(secrets, "token_hex", lambda size: next(drawn))
    now = datetime.datetime(2026, 1, 1)
    clock = SimpleNamespace(datetime=SimpleNamespace(now=lambda zone: now), UTC=None)
    monkeypatch.setattr("flightcheck.session.datetime", clock)
    names = [new_run_folder(tmp_path).name for _ in range(2)]
    assert names == ["20260101-000000-aaaaaa", "20260101-000000-bbbbbb"]


def test_a_folder_that_cannot_be_made_is_left_to_whoever_writes_there(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert not new_run_folder(tmp_path / "file").exists()


def test_rows_are_written_fast_and_come_back(tmp_path: Path) -> None:
    """A tenth of what `python -m benchmarks.store` writes, in a tenth of the time that is promised for all of it."""
    took = timed(lambda: write_rows(tmp_path / "run", 10, 2000))
    assert lost_rows(tmp_path / "run", 10, 2000) == 0
    assert lost_rows(tmp_path / "run", 10, 2001) == 10, "the test can fail"
    assert took.processor < 0.2, took
