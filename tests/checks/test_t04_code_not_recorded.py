"""T04 code-not-recorded: scripts without a repository, outside it, changed since, and kept as they are."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

from flightcheck.recording.surroundings import Environment
from flightcheck.testing import run_of, verdict_of
from flightcheck.tracking.environment import environment_of

KEPT = Environment("3.12", "Linux", pinned_by="uv.lock", repository=True, commit="0123456789abcdef", script="unchanged")


def test_code_that_is_kept_nowhere_fails() -> None:
    for state in ("changed", "untracked"):
        assert verdict_of("T04", run_of(replace(KEPT, script=state), steps=9)).status == "fail"
    (finding,) = verdict_of("T04", run_of(replace(KEPT, repository=False, script=""), steps=9)).findings
    assert finding.location is not None


def test_a_committed_script_passes() -> None:
    assert verdict_of("T04", run_of(KEPT, steps=9)).status == "pass"


def test_unknown_and_untrained() -> None:
    assert verdict_of("T04", run_of(steps=9)).status == "inconclusive"
    assert verdict_of("T04", run_of(replace(KEPT, script=""), steps=9)).status == "inconclusive"
    assert verdict_of("T04", run_of(KEPT, steps=0)).status == "skipped"


def git(folder: Path, *arguments: str) -> str:
    name = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "core.autocrlf=false"]
    done = subprocess.run(["git", *name, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_what_git_says(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    script, other = tmp_path / "deep" / "train.py", tmp_path / "deep" / "other.py"
    script.write_text("print(1)\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "deep/train.py")
    git(tmp_path, "commit", "-qm", "first")
    other.write_text("print(2)\n")
    found = environment_of(str(script))
    assert (found.repository, found.script, found.commit) == (True, "unchanged", git(tmp_path, "rev-parse", "HEAD"))
    assert environment_of(str(other)).script == "untracked"
    script.write_text("print(3)\n")
    assert environment_of(str(script)).script == "changed"
    git(tmp_path, "pack-refs", "--all")
    assert environment_of(str(script)).commit == found.commit


def test_a_broken_repository_is_no_error(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_bytes(b"\xff\xfe")
    found = environment_of(str(tmp_path / "train.py"))
    assert (found.repository, found.script) == (True, "")
