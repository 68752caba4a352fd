"""The code of a run is brought back from git, from copies, and from what lies there; what cannot be is named."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flightcheck.recording.run import Run
from flightcheck.recording.starting_point import CodeState, Invocation
from flightcheck.recording.surroundings import SourceFile
from flightcheck.redaction import redacted_text
from flightcheck.reproduction.rebuild import Rebuilt, rebuild, tidy
from flightcheck.reproduction.workplace import Workplace
from flightcheck.tracking.git import code_state
from flightcheck.tracking.starting_point import starting_point, working_folder

SECRET = 'API_KEY = "correct-horse-battery"\n'


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    return subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one commit, and changes that are not committed."""
    folder = tmp_path / "group" / "project"
    folder.mkdir(parents=True)
    (folder / "train.py").write_text("import layers\nrate = 0.1\n")
    (folder / "layers.py").write_text("width = 8\n")
    (folder / "config.yaml").write_text("epochs: 1\n")
    (folder / "data.csv").write_text("1,2\n")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "one")
    (folder / "layers.py").write_text("width = 16\n")
    (folder / "config.yaml").write_text("epochs: 5\n")
    (folder / "untracked.py").write_text("extra = 1\n")
    monkeypatch.chdir(folder)
    return folder


def recorded(folder: Path, *names: str, late: bool = False) -> Run:
    """What a run in the folder would have recorded of its code."""
    records: dict[str, list[Any]] = {}
    for record in starting_point("train.py", None, []):
        records.setdefault(type(record).__name__, []).append(record)
    for name in names:
        data = (folder / name).read_bytes()
        text = redacted_text(data.decode())
        digest = hashlib.sha256(data).hexdigest()
        records.setdefault("SourceFile", []).append(SourceFile(name, digest, text, main=name == "train.py", late=late))
    return Run(records)


@pytest.fixture
def places() -> Iterator[list[Workplace]]:
    made: list[Workplace] = []
    yield made
    for place in made:
        place.close()


def rebuilt(run: Run, places: list[Workplace], *repositories: Path) -> tuple[Path, Rebuilt]:
    (started,) = run.recorded(Invocation)
    folder = Path(started.folder)
    place = Workplace(folder, folder)
    places.append(place)
    result = rebuild(run, started, place, list(repositories))
    tidy(run, place, folder, result)
    return place.folder, result


NAMES = ("train.py", "layers.py", "untracked.py")


def test_code_state(project: Path) -> None:
    state = code_state(project)
    assert state is not None
    assert state.commit == git(project, "rev-parse", "HEAD")
    assert (sorted(state.changed), state.left_out, state.unknown) == (["config.yaml", "layers.py"], {}, "")
    assert "+width = 16" in state.patch
    assert git(project, "status", "--porcelain") == "M config.yaml\n M layers.py\n?? untracked.py"


def test_nothing_has_changed_since(project: Path, places: list[Workplace]) -> None:
    folder, result = rebuilt(recorded(project, *NAMES), places)
    assert (folder / "layers.py").read_text() == "width = 16\n"
    assert (folder / "data.csv").read_text() == "1,2\n"
    assert result.differences == []
    assert "which is what lies there today" in result.told[0]


def test_everything_has_changed_since(project: Path, places: list[Workplace]) -> None:
    """The commit moved on, tracked files are others, an untracked module is gone, a new file is there."""
    run = recorded(project, *NAMES)
    git(project, "commit", "-qam", "two")
    (project / "train.py").write_text("rate = 9\n")
    (project / "config.yaml").unlink()
    (project / "untracked.py").unlink()
    (project / "added.py").write_text("x = 1\n")
    git(project, "add", ".")
    git(project, "commit", "-qm", "three")
    before = {p: p.read_bytes() for p in project.rglob("*") if p.is_file()}
    folder, result = rebuilt(run, places)
    assert (folder / "train.py").read_text() == "import layers\nrate = 0.1\n"
    assert (folder / "layers.py").read_text() == "width = 16\n"
    assert (folder / "config.yaml").read_text() == "epochs: 5\n"
    assert (folder / "untracked.py").read_text() == "extra = 1\n"
    assert not (folder / "added.py").exists()
    assert result.differences == []
    assert {p: p.read_bytes() for p in project.rglob("*") if p.is_file()} == before


def test_without_a_repository_the_copies_are_used(project: Path, places: list[Workplace]) -> None:
    run = recorded(project, *NAMES)
    (project / ".git").rename(project.parent / "moved")
    (project / "layers.py").write_text("width = 1\n")
    folder, result = rebuilt(run, places)
    assert (folder / "layers.py").read_text() == "width = 16\n"
    assert "no repository with commit" in result.told[0]
    assert result.differences == []


def test_a_repository_elsewhere_that_holds_the_commit(project: Path, places: list[Workplace], tmp_path: Path) -> None:
    run = recorded(project, *NAMES)
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(project), str(clone))
    (project / ".git").rename(project.parent / "moved")
    (project / "config.yaml").write_text("epochs: 7\n")
    folder, result = rebuilt(run, places, clone)
    assert (folder / "config.yaml").read_text() == "epochs: 5\n"
    assert "and the recorded patch (2 files)" in result.told[0]


def test_a_secret_is_not_recorded_and_comes_from_the_file_of_today(project: Path, places: list[Workplace]) -> None:
    (project / "layers.py").write_text(SECRET + "width = 16\n")
    run = recorded(project, *NAMES)
    (state,) = run.recorded(CodeState)
    assert "correct-horse" not in str(run.records)
    assert state.left_out == {"layers.py": "its lines hold what looks like a secret"}
    folder, result = rebuilt(run, places)
    assert (folder / "layers.py").read_text() == SECRET + "width = 16\n"
    assert result.differences == []
    (project / "layers.py").write_text(SECRET + "width = 3\n")
    folder, result = rebuilt(run, places)
    assert (folder / "layers.py").read_text() == 'API_KEY = "***"\nwidth = 16\n'
    assert result.differences == [
        "layers.py: a text that looks like a secret was not recorded, and the file of today is another one"
    ]


def test_the_patch_is_bounded(project: Path, places: list[Workplace]) -> None:
    (project / "config.yaml").write_text("x: 1\n" * 60_000)
    (project / "data.csv").write_bytes(b"\0\1\2")
    run = recorded(project, *NAMES)
    (state,) = run.recorded(CodeState)
    assert set(state.left_out) == {"config.yaml", "data.csv"}
    assert "too large (" in state.left_out["config.yaml"]
    assert state.left_out["data.csv"] == "it is binary"
    assert len(state.patch) < 1000
    _, result = rebuilt(run, places)
    assert len(result.differences) == 2
    assert "the file of today is used" in result.differences[0]


def test_odd_names_and_a_submodule(project: Path) -> None:
    inner = project.parent / "inner"
    inner.mkdir()
    git(inner, "init", "-q")
    git(inner, "commit", "-qm", "one", "--allow-empty")
    git(project, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(inner), "sub")
    (project / "a b 'ü\".txt").write_text("1\n")
    git(project, "add", ".")
    git(project, "commit", "-qm", "two")
    (project / "a b 'ü\".txt").write_text("2\n")
    git(project / "sub", "commit", "-qm", "two", "--allow-empty")
    state = code_state(project)
    assert state is not None
    assert state.changed == ["a b 'ü\".txt", "sub"]
    assert state.left_out == {"sub": "it is a submodule"}


def test_what_the_run_wrote_itself_is_left_out(project: Path, places: list[Workplace]) -> None:
    run = recorded(project, *NAMES)
    (project / "out").mkdir()
    (project / "out/last.pt").write_text("weights")
    (project / "data.csv").write_text("3,4\n5,6\n")
    folder, result = rebuilt(run, places)
    assert not (folder / "out").exists()
    assert (project / "out/last.pt").is_file()
    assert "left out what was written since the run began: out/last.pt" in result.told
    assert result.differences == ["written again since the run began: data.csv"]


def test_a_folder_with_too_many_files_is_known_in_part(tmp_path: Path) -> None:
    for i in range(500):
        (tmp_path / f"{i}.txt").touch()
    assert not working_folder(tmp_path).complete
    deep = tmp_path / "deep"
    (deep / "a/b/c/d/e").mkdir(parents=True)
    assert not working_folder(deep).complete
    (deep / "a/b/c/run.sqlite").touch()
    assert working_folder(deep).complete
    assert working_folder(deep).files == {}


@pytest.mark.parametrize("harm", ["missing", "slow", "no commit", "broken"])
def test_git_that_does_not_work_costs_nothing(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: str
) -> None:
    from flightcheck.tracking import git as module

    if harm == "missing":
        monkeypatch.setenv("PATH", str(tmp_path))
        state = code_state(project)
        assert state is not None
        assert state.unknown == "git is not installed"
    elif harm == "slow":
        (tmp_path / "git").write_text("#!/bin/sh\nexec sleep 20\n")
        (tmp_path / "git").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.setattr(module, "_SECONDS", 0.2)
        with pytest.raises(module.GitError, match="took more than"):
            module.git(project, "status", seconds=0.2)
    elif harm == "no commit":
        empty = tmp_path / "empty"
        empty.mkdir()
        git(empty, "init", "-q")
        state = code_state(empty)
        assert state is not None
        assert (state.commit, bool(state.unknown)) == ("", True)
    else:
        (project / ".git/HEAD").write_text("nonsense")
        state = code_state(project)
        assert state is not None
        assert state.unknown
        assert [r for r in starting_point("train.py", None, []) if isinstance(r, Invocation)]
