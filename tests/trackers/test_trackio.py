"""trackio: its database, read back with its own interface."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flightcheck.recording.run import Run
from tests.trackers.conftest import TOKEN, TRAINING, Flightcheck, network_use

READ = """
import json, sys
from trackio.sqlite_storage import SQLiteStorage
project = sys.argv[1]
(run,) = SQLiteStorage.get_run_records(project)
print(json.dumps({"run": run, "logs": SQLiteStorage.get_logs(project, run["name"]),
                  "config": SQLiteStorage.get_run_config(project, run["name"])}, default=str))
"""


def stored(folder: Path, project: str) -> dict[str, Any]:
    """The only run of a project; the place of the databases is read when trackio is imported."""
    import os

    done = subprocess.run(
        [sys.executable, "-c", READ, project], env={**os.environ, "TRACKIO_DIR": str(folder)}, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def database(recorded: Path, flightcheck: Flightcheck) -> dict[str, Any]:
    assert flightcheck(recorded, "export", "--to", "trackio=t", "--project", "digits", "--models").returncode == 0
    return stored(recorded / "t", "digits")


def test_curves(database: dict[str, Any], recorded: Path, run_id: str) -> None:
    steps, losses = Run.open(recorded / ".flightcheck" / "runs" / run_id).frames["loss"]
    assert [(r["step"], r["loss"]) for r in database["logs"] if "loss" in r] == [
        (int(s), float(v[0])) for s, v in zip(steps, losses)
    ]
    assert len([r for r in database["logs"] if "evaluation_loss" in r]) >= 11


def test_parameters_and_findings(database: dict[str, Any], run_id: str) -> None:
    assert database["run"]["name"].startswith(run_id)
    config = database["config"]
    assert (config["lr"], config["optimizer"], config["option.hub_token"]) == (0.5, "SGD", "***")
    assert "Cross-entropy received probabilities" in config["flightcheck.finding.L03"]
    assert any("**L03 double-softmax**" in json.dumps(r.get("findings", "")) for r in database["logs"])


def test_files_and_no_secret(database: dict[str, Any], recorded: Path) -> None:
    blobs = [f.read_bytes() for f in (recorded / "t" / "artifacts").rglob("*") if f.is_file()]
    assert any(b"<title>" in b and b"double-softmax" in b for b in blobs)
    assert any(b.startswith(b"SQLite format 3") for b in blobs)
    assert any(b.startswith(b"PK") for b in blobs), "the weights"
    for file in (recorded / "t").rglob("*"):
        assert file.is_dir() or TOKEN.encode() not in file.read_bytes()


def test_no_connection(recorded: Path, tmp_path: Path, flightcheck: Flightcheck, guarded: dict[str, str]) -> None:
    assert flightcheck(recorded, "export", "--to", f"trackio={tmp_path}/t", **guarded).returncode == 0
    assert network_use(recorded) == []


def test_live(tmp_path: Path, flightcheck: Flightcheck) -> None:
    (tmp_path / "train.py").write_text(TRAINING)
    done = flightcheck(tmp_path, "run", "--fail-on", "never", "--to", "trackio=t", "train.py", "--lr", "0.5",
                       STEPS="240", PAUSE="0.05")  # fmt: skip
    assert done.returncode == 0
    steps = [r["step"] for r in stored(tmp_path / "t", "flightcheck")["logs"] if "loss" in r]
    assert sorted(steps) == list(range(240))
