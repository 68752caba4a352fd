"""A copy of a folder in which files can be replaced: the original never changes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from flightcheck.lab import scratch
from flightcheck.reproduction.workplace import Workplace


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("repo/exp/train.py", "repo/exp/data/x.csv", "repo/src/pkg/a.py", "repo/src/pkg/b.py", "far/away.py"):
        file = tmp_path / "group" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
    return tmp_path / "group" / "repo"


@pytest.fixture
def place(project: Path) -> Iterator[Workplace]:
    made = Workplace(project / "exp", project / "exp")
    yield made
    made.close()
    assert not made.root.exists()


def contents(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}


def test_every_path_has_its_place(project: Path, place: Workplace) -> None:
    assert (place.folder / "train.py").read_text() == "repo/exp/train.py"
    assert (place.folder / "../src/pkg/a.py").read_text() == "repo/src/pkg/a.py"
    assert place.at(project / "src/pkg/a.py").resolve() == project / "src/pkg/a.py"
    assert place.at(Path("/nowhere/x.py")).is_relative_to(place.root)
    assert place.moved()[str(project / "exp")] == str(place.folder)


def test_a_file_behind_a_link_is_replaced_in_the_copy_only(project: Path, place: Workplace) -> None:
    before = contents(project.parent)
    place.write(project / "src/pkg/a.py", b"new")
    place.write(project / "exp/train.py", b"new")
    place.remove(project / "src/pkg/b.py")
    place.remove(project / "exp/data/x.csv")
    assert (place.folder / "../src/pkg/a.py").read_text() == "new"
    assert (place.folder / "train.py").read_text() == "new"
    assert not (place.folder / "../src/pkg/b.py").exists()
    assert not (place.folder / "data").exists()
    assert contents(project.parent) == before


def test_a_file_in_a_folder_that_is_one_link(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "MOST_FILES", 0)
    place = Workplace(project / "exp", project / "exp")
    assert (place.folder / "data").is_symlink()
    place.write(project / "exp/data/y.csv", b"new")
    assert {p.name for p in (place.folder / "data").iterdir()} == {"x.csv", "y.csv"}
    assert not (project / "exp/data/y.csv").exists()
    place.close()


def test_a_script_elsewhere_is_brought(project: Path, place: Workplace) -> None:
    (project.parent / "far/out").mkdir()
    (project.parent / "far/out/log.txt").write_text("old")
    place.bring(project.parent / "far")
    copy = place.at(project.parent / "far")
    assert (copy / "away.py").read_text() == "far/away.py"
    (copy / "out/log.txt").write_text("new")
    (copy / "away.py").write_text("new")
    assert (project.parent / "far/out/log.txt").read_text() == "old"
    assert (project.parent / "far/away.py").read_text() == "far/away.py"


def test_a_folder_that_takes_the_place_of_one_that_is_gone(project: Path) -> None:
    place = Workplace(Path("/gone/exp"), project / "exp")
    assert place.at(Path("/gone/exp/train.py")).read_text() == "repo/exp/train.py"
    place.close()


def test_no_folder_at_all(tmp_path: Path) -> None:
    place = Workplace(tmp_path / "gone", tmp_path / "gone")
    place.write(tmp_path / "gone/pkg/a.py", b"a")
    assert (place.folder / "pkg/a.py").read_bytes() == b"a"
    assert not (tmp_path / "gone").exists()
    place.close()
