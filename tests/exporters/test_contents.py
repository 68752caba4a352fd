"""What travels with a run, and what never does."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from flightcheck.errors import MissingExtra, UsageError
from flightcheck.exporters.base import TRACKERS, destination_of, exporter_class
from flightcheck.exporters.contents import contents_of, params_in_effect
from flightcheck.recording.run import Run
from flightcheck.recording.surroundings import SourceFile
from flightcheck.tracking.summary import write_labels
from tests.exporters.made import COMMIT, START, TOKEN, write_training


def test_parameters(tmp_path: Path) -> None:
    write_training(tmp_path / "r").close()
    params = params_in_effect(tmp_path / "r")
    assert (params["lr"], params["declared.lr"], params["option.width"]) == (0.5, 0.1, "64")
    assert params["momentum"] == 0.9
    assert params["option.api_key"] == "***"
    assert not [name for name in params if name.startswith("module")]


def test_findings_note_and_tags(tmp_path: Path) -> None:
    write_training(tmp_path / "r").close()
    write_labels(tmp_path / "r", {"tags": ["baseline"], "note": "the first one"})
    with contents_of(tmp_path / "r", models=False) as contents:
        assert contents.tags["flightcheck.roots"].startswith("L03")
        assert "Cross-entropy received probabilities" in contents.tags["flightcheck.finding.L03"]
        assert contents.tags["flightcheck.finding.L03"].endswith("(train.py:50)")
        assert contents.tags["flightcheck.commit"] == COMMIT
        assert contents.tags["flightcheck.data"] == "d1cce459fef9d4d7"
        assert list(contents.labels)[:2] == ["baseline", "L03"]
        assert contents.text.startswith("the first one\n")
        assert "**L03 double-softmax** (error, root cause)" in contents.text
        assert (contents.ended, contents.end) == ("finished", START + 30)
        (data,) = contents.data
        assert (data.name, data.role, data.examples, data.classes) == ("Digits", "training", 512, {"0": 256, "1": 256})


def test_files(tmp_path: Path) -> None:
    folder = tmp_path / "r"
    writer = write_training(folder)
    writer.put(SourceFile("/home/me/lib/layers.py", "2" * 64, "class Layer: ...\n"), 2)
    writer.flush(force=True)  # and not closed: what a killed run leaves behind has a write-ahead log beside it
    with contents_of(folder, models=False) as contents:
        files = contents.files
        assert set(files) == {
            "report.html", "report.json", "summary.json", "requirements.txt", "run.sqlite", "code/train.py",
            "code/shared/model.py", "code/elsewhere/layers.py",
        }  # fmt: skip
        assert json.loads(files["report.json"].read_text())["root_causes"] == ["L03"]
        assert files["requirements.txt"].read_text() == "torch==2.13.0\n"
        assert "double-softmax" in files["report.html"].read_text()
        assert len(Run.open(files["run.sqlite"]).frames["loss"][0]) == 30
        assert contents.code == "import torch\n"
    assert not files["report.json"].exists()
    writer.close()


def test_the_page_that_is_there_travels_as_it_is(tmp_path: Path) -> None:
    write_training(tmp_path / "r").close()
    (tmp_path / "r" / "report.html").write_text("the page")
    with contents_of(tmp_path / "r", models=False) as contents:
        assert contents.files["report.html"].read_text() == "the page"


def test_secrets_stay_here(tmp_path: Path) -> None:
    folder = tmp_path / "r"
    command = f"train.py --hub-token {TOKEN} --url https://me:hunter22@host/x key={TOKEN} --tag {TOKEN}"
    writer = write_training(folder, command=command, error=f"HTTPError: 401 for token {TOKEN}", ended="exception")
    writer.close()
    write_labels(folder, {"tags": [], "note": f'login(token="{TOKEN}")'})
    with contents_of(folder, models=False) as contents:
        told = json.dumps([dict(contents.params), dict(contents.tags), contents.text])
    assert TOKEN not in told
    assert "hunter22" not in told
    assert "***" in told


def test_a_run_that_was_killed(tmp_path: Path) -> None:
    writer = write_training(tmp_path / "r", ended="running", seconds=0.0)
    with contents_of(tmp_path / "r", models=False) as contents:
        assert contents.ended == "running"
    writer.close()


def test_a_large_run_file_stays_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_training(tmp_path / "r").close()
    monkeypatch.setattr("flightcheck.exporters.contents._LARGEST_RUN_FILE", 1000)
    with contents_of(tmp_path / "r", models=False) as contents:
        assert "run.sqlite" not in contents.files
        assert "report.html" in contents.files


def test_a_run_file_that_is_copied_is_whole(tmp_path: Path) -> None:
    write_training(tmp_path / "r").close()
    with contents_of(tmp_path / "r", models=False) as contents:
        db = sqlite3.connect(contents.files["run.sqlite"])
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        db.close()


@pytest.mark.parametrize("tracker", TRACKERS)
def test_every_tracker_names_its_library_and_its_extra(tracker: str) -> None:
    import tomllib

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    exporter = exporter_class(tracker)
    assert exporter.extra in project["optional-dependencies"]
    assert exporter.package.replace("_", "-") in project["optional-dependencies"][exporter.extra][0]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("neptune", "'neptune' is no tracker"),
        ("mlflow=http://me:hunter22@host", "looks like a password"),
        (f"mlflow=http://host/?t={TOKEN}", "looks like a password"),
        ("mlflow", "say where"),
        ("mlflow=server", "no address"),
        ("wandb={file}", "is a file"),
    ],
)
def test_what_is_refused(text: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flightcheck.exporters.base.importlib.util.find_spec", lambda _: object())
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=sentence):
        destination_of(text.format(file=tmp_path / "file"), "")


def test_a_library_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flightcheck.exporters.base.importlib.util.find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match=r"comet_ml is not installed here; pip install 'flightcheck\[comet\]'"):
        destination_of("comet", "")


def test_places_are_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flightcheck.exporters.base.importlib.util.find_spec", lambda _: object())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://server:5000/")
    assert destination_of("mlflow", "").where == "http://server:5000"
    assert destination_of("mlflow=sqlite:///m.db", "digits").where == f"sqlite:///{tmp_path}/m.db"
    assert destination_of("wandb", "").where == str(tmp_path)
    assert destination_of("wandb=online", "").where == "online"
    assert destination_of("comet", "").where == str(tmp_path / "comet")
    assert destination_of("trackio=t", "").where == str(tmp_path / "t")
