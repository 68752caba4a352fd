"""T05 environment-not-recorded: versions that are written down, beside the script or above it, and nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from flightcheck.recording.surroundings import Environment
from flightcheck.testing import run_of, verdict_of
from flightcheck.tracking.environment import environment_of


def test_versions_that_are_written_nowhere_fail() -> None:
    (finding,) = verdict_of("T05", run_of(Environment("3.12", "Linux", {"torch": "2.6"}), steps=9)).findings
    assert "torch 2.6" in finding.message


def test_a_lock_file_passes() -> None:
    assert verdict_of("T05", run_of(Environment("3.12", "Linux", pinned_by="uv.lock"), steps=9)).status == "pass"


def test_unknown_and_untrained() -> None:
    assert verdict_of("T05", run_of(steps=9)).status == "inconclusive"
    assert verdict_of("T05", run_of(Environment(), steps=0)).status == "skipped"


@pytest.mark.parametrize(
    ("name", "text", "pinned"),
    [
        ("requirements.txt", "torch==2.6.0\n", True),
        ("requirements.txt", "torch\n", False),
        ("environment.yml", "dependencies:\n  - numpy=1.26\n", True),
        ("uv.lock", "", True),
        ("notes.txt", "torch==2.6.0\n", False),
    ],
)
def test_files_that_pin(tmp_path: Path, name: str, text: str, pinned: bool) -> None:
    (tmp_path / name).write_text(text)
    found = environment_of(str(tmp_path / "train.py"))
    assert (found.pinned_by == name) is pinned
    assert found.python and "torch" in found.packages


def test_the_lock_file_of_the_repository_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "uv.lock").write_text("")
    (tmp_path / "deep").mkdir()
    assert environment_of(str(tmp_path / "deep" / "train.py")).pinned_by == ""
    (tmp_path / ".git").mkdir()
    assert environment_of(str(tmp_path / "deep" / "train.py")).pinned_by == "uv.lock"
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("SECRET", "x")
    assert "SECRET" not in environment_of(None).variables
