"""MLflow: several processes send runs to one server at the same moment, and none is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flightcheck.recording.run import Run
from tests.exporters.made import write_training
from tests.trackers.conftest import TRAINING
from tests.trackers.test_mlflow import Server, client

PROJECT = "together"
EXPORTS, RUNS_OF_EACH, STEPS_OF_EACH = 3, 2, 1500
LIVE = 2


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """As MLflow starts it where nothing is said: four processes answer, all of them write one SQLite file."""
    (tmp_path / "mlflow").mkdir()
    made = Server(tmp_path / "mlflow", workers=4)
    made.start()
    yield made
    made.stop()


@pytest.mark.timeout(600)
def test_none_is_lost(server: Server, tmp_path: Path) -> None:
    """Machines with folders of their own export what they have, while trainings send theirs; the experiment is new."""
    command = [sys.executable, "-m", "flightcheck"]
    to = ["--to", f"mlflow={server.url}", "--project", PROJECT]
    commands = []
    for i in range(EXPORTS):
        (tmp_path / f"export{i}").mkdir()
        names = [f"run-{i}-{j}" for j in range(RUNS_OF_EACH)]
        for name in names:
            write_training(tmp_path / f"export{i}" / "runs" / name, STEPS_OF_EACH).close()
        commands.append((tmp_path / f"export{i}", [*command, "export", *names, "--runs-dir", "runs", *to]))
    for i in range(LIVE):
        (tmp_path / f"live{i}").mkdir()
        (tmp_path / f"live{i}" / "train.py").write_text(TRAINING)
        commands.append(
            (tmp_path / f"live{i}", [*command, "run", "-q", "--runs-dir", "runs", *to, "train.py", "--lr", "0.5"])
        )
    environment = {**os.environ, "STEPS": "600", "PAUSE": "0.02"}
    started = [
        subprocess.Popen(c, cwd=f, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for f, c in commands
    ]
    told = [p.communicate(timeout=500)[0] for p in started]
    later = [_synced(command, folder) for folder, _ in commands]
    assert all("nothing waits" in t for t in later), (told, later)

    asked = client(server)
    kept = {
        r.info.run_name: (
            r.info.status,
            [m.step for m in asked.get_metric_history(r.info.run_id, "loss")],
            r.data.params["lr" if "lr" in r.data.params else "declared.lr"],
        )
        for r in asked.search_runs([asked.get_experiment_by_name(PROJECT).experiment_id])
    }
    written = {run.name: Run.open(run) for folder, _ in commands for run in (folder / "runs").iterdir() if run.is_dir()}
    assert len(written) == EXPORTS * RUNS_OF_EACH + LIVE
    assert kept.keys() == written.keys()
    for name, run in written.items():
        status, steps, rate = kept[name]
        assert (status, steps) == ("FINISHED", run.frames["loss"][0].tolist()), name
        assert float(rate) > 0


def _synced(command: list[str], folder: Path) -> str:
    done = subprocess.run(
        [*command, "sync", "--runs-dir", "runs"], cwd=folder, capture_output=True, text=True, check=False, timeout=280
    )
    return done.stdout + done.stderr
