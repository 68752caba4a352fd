"""The folder of a trial looks like the user's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from flightcheck.lab import scratch
from flightcheck.lab.scratch import Scratch


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "group" / "project"
    for name in ("train.py", "pkg/inner.py", ".git/HEAD", "__pycache__/x.pyc", "../other/data.csv", "../../top.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def test_small_files_are_copied_and_large_ones_linked(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "LARGEST_FILE", 100)
    (project / "weights.bin").write_bytes(bytes(101))
    made = Scratch(project)
    copy = made.make()
    assert (copy / "train.py").read_text() == "train.py"
    assert not (copy / "train.py").is_symlink()
    assert (copy / "pkg/inner.py").read_text() == "pkg/inner.py"
    assert (copy / "weights.bin").resolve() == project / "weights.bin"
    assert not (copy / ".git").exists()
    assert not (copy / "__pycache__").exists()
    (copy / "train.py").write_text("changed")
    assert (made.make() / "train.py").read_text() == "train.py"
    made.close()
    assert not made.root.exists()
    assert (project / "weights.bin").stat().st_size == 101


def test_a_file_of_a_copy_is_known_by_the_path_of_its_original(project: Path) -> None:
    made = Scratch(project)
    for copy in (made.make(), made.make()):
        assert made.in_original(str(copy / "pkg/inner.py")) == str(project / "pkg/inner.py")
    assert made.in_original(str(project / "train.py")) == str(project / "train.py")
    assert made.in_original("attention") == "attention"
    found = {"moved": 0.1, "at": {"file": str(copy / "train.py"), "line": 30}, "all": [str(copy / "train.py")]}
    home = str(project / "train.py")
    assert made.in_original(found) == {"moved": 0.1, "at": {"file": home, "line": 30}, "all": [home]}
    made.close()


def test_after_so_many_bytes_or_files_the_rest_is_linked(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(6):
        (project / f"part{i}").write_bytes(bytes(50))
    monkeypatch.setattr(scratch, "LARGEST_COPY", 130)
    made = Scratch(project)
    copy = made.make()
    assert sum(not (copy / f"part{i}").is_symlink() for i in range(6)) == 2
    monkeypatch.setattr(scratch, "LARGEST_COPY", 10**6)
    monkeypatch.setattr(scratch, "MOST_FILES", 3)
    copy = made.make()
    assert sum(not (copy / f"part{i}").is_symlink() for i in range(6)) == 3
    made.close()


def test_a_data_set_of_many_files_is_one_link(project: Path) -> None:
    (project / "images").mkdir()
    for i in range(500):
        (project / "images" / f"{i}.png").touch()
    made = Scratch(project)
    copy = made.make()
    assert (copy / "images").is_symlink()
    assert len(list((copy / "images").iterdir())) == 500
    made.close()
    assert len(list((project / "images").iterdir())) == 500


def test_links_lead_where_they_led(project: Path, tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "far/away.txt").write_text("away")
    (project / "data").symlink_to(tmp_path / "far")
    (project / "relative").symlink_to("../other")
    (project / "file").symlink_to("../other/data.csv")
    (project / "circle").symlink_to(project)
    (project / "broken").symlink_to("nowhere")
    made = Scratch(project)
    copy = made.make()
    assert (copy / "data/away.txt").read_text() == "away"
    assert (copy / "relative/data.csv").exists()
    assert (copy / "file").read_text() == "../other/data.csv"
    assert (copy / "circle/train.py").exists()
    assert not (copy / "broken").exists()
    made.close()
    assert (tmp_path / "far/away.txt").exists()


def test_what_lies_above_can_be_read(project: Path) -> None:
    made = Scratch(project)
    copy = made.make()
    assert (copy / "../other/data.csv").read_text() == "../other/data.csv"
    assert (copy / "../../top.txt").read_text() == "../../top.txt"
    assert copy.name == project.name
    made.close()
    assert (project / "../other/data.csv").exists()


def test_a_folder_that_is_gone_gives_an_empty_one(tmp_path: Path) -> None:
    made = Scratch(tmp_path / "gone" / "too")
    assert list(made.make().iterdir()) == []
    made.close()


def test_the_root_of_all_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Scratch, "_fill", lambda *_: None)
    made = Scratch(Path("/"))
    assert made.make().is_dir()
    made.close()


def test_what_a_trial_tells_names_the_users_own_files(project: Path) -> None:
    made = Scratch(project)
    copy = made.make()
    neighbour = copy.parent / "other" / "data.csv"
    told = {"at": {"file": str(copy / "train.py"), "line": 3}, "texts": [f"No such file: '{neighbour}'", 7], "no": None}
    assert made.in_original(told) == {
        "at": {"file": str(project / "train.py"), "line": 3},
        "texts": [f"No such file: '{project.parent / 'other' / 'data.csv'}'", 7],
        "no": None,
    }
    assert made.in_original(f"cd {copy}") == f"cd {project}"
    assert made.in_original(str(made.root) + "-other/1/train.py") == str(made.root) + "-other/1/train.py"
    made.close()


def test_a_folder_at_the_top(tmp_path: Path) -> None:
    made = Scratch(Path("/somewhere"))
    assert made.in_original(str(made.root / "4" / "somewhere" / "train.py")) == "/somewhere/train.py"
    made.close()
