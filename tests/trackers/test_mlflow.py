"""MLflow: a real server on SQLite, on this machine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from flightcheck.recording.run import Run
from tests.trackers.conftest import STEPS, TOKEN, TRAINING, Flightcheck, network_use


def free_port() -> int:
    with closing(socket.socket()) as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])


class Server:
    """A tracking server of its own, which can be stopped and started again."""

    def __init__(self, folder: Path, workers: int = 1) -> None:
        self.folder = folder
        self.workers = workers
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port), "--workers",
                 str(self.workers), "--backend-store-uri", f"sqlite:///{self.folder}/store.db", "--artifacts-destination",
                 str(self.folder / "artifacts")],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True, cwd=self.folder,
                env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
            )  # fmt: skip
        end = time.monotonic() + 400
        while True:
            with suppress(OSError), urllib.request.urlopen(f"{self.url}/health", timeout=5):
                return
            assert self._process.poll() is None, (self.folder / "server.log").read_text()[-3000:]
            assert time.monotonic() < end, "the server does not answer"
            time.sleep(0.5)

    def stop(self) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, 15)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(20)
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, 9)
            self._process.wait()
            self._process = None


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("mlflow"))
    made.start()
    yield made
    made.stop()


def client(server: Server) -> Any:
    from mlflow.tracking import MlflowClient

    return MlflowClient(server.url, server.url)


def run_of(server: Server, project: str) -> Any:
    """The only run of an experiment."""
    asked = client(server)
    (found,) = asked.search_runs([asked.get_experiment_by_name(project).experiment_id])
    return found


@pytest.mark.timeout(600)
def test_after_the_fact(
    server: Server, recorded: Path, run_id: str, flightcheck: Flightcheck, guarded: dict[str, str]
) -> None:
    done = flightcheck(recorded, "export", "--to", "mlflow", "--uri", server.url, "--project", "digits", "--models",
                       **guarded)  # fmt: skip
    assert done.returncode == 0
    assert f"mlflow: {server.url}/#/experiments/" in done.stdout
    assert network_use(recorded) == []
    asked, found = client(server), run_of(server, "digits")
    assert found.info.status == "FINISHED"
    assert (found.info.run_name, found.data.tags["mlflow.source.name"]) == (run_id, "train.py")
    params, tags = found.data.params, found.data.tags
    assert (params["lr"], params["declared.lr"], params["batch_size"], params["optimizer"]) == (
        "0.5",
        "0.5",
        "32",
        "SGD",
    )
    assert params["option.hub_token"] == "***"
    assert tags["flightcheck.roots"].split()[0] in tags["mlflow.note.content"]
    assert "L03" in tags["flightcheck.findings"]
    assert "Cross-entropy received probabilities" in tags["flightcheck.finding.L03"]
    assert "baseline" in tags["flightcheck.labels"]

    losses = asked.get_metric_history(found.info.run_id, "loss")
    run = Run.open(recorded / ".flightcheck" / "runs" / run_id)
    steps, values = run.frames["loss"]
    assert len(steps) >= STEPS
    assert [(m.step, m.value) for m in losses] == [(int(s), float(v[0])) for s, v in zip(steps, values)]
    times = [m.timestamp for m in losses]
    assert times == sorted(times)
    assert found.info.start_time <= times[0] <= times[-1] <= found.info.end_time
    assert len(asked.get_metric_history(found.info.run_id, "evaluation_loss")) >= 11

    inputs = {i.tags[0].value: i.dataset for i in found.inputs.dataset_inputs}
    assert inputs["training"].digest == next(d.digest for d in run.data_digests if d.role == "training")
    assert inputs["training"].name == "TensorDataset"


@pytest.mark.timeout(600)
def test_files_and_models(server: Server, run_id: str, tmp_path: Path) -> None:
    """Of the run that the test before has sent."""
    asked, found = client(server), run_of(server, "digits")
    kept = Path(asked.download_artifacts(found.info.run_id, "", str(tmp_path)))
    assert "double-softmax" in (kept / "report.html").read_text()
    assert "torch.nn.Softmax(1)" in (kept / "code" / "train.py").read_text()
    assert Run.open(kept / "run.sqlite").info.id == run_id
    for file in kept.rglob("*"):
        assert file.is_dir() or TOKEN.encode() not in file.read_bytes()
    (version,) = asked.search_model_versions("name = 'digits'")
    assert (version.run_id, version.version) == (found.info.run_id, "1")
    import torch

    assert version.source.endswith("/models/weights2.pt")
    assert list(torch.load(kept / "models" / "weights2.pt")) == ["0.weight", "0.bias", "2.weight", "2.bias"]


@pytest.mark.timeout(600)
def test_live_and_the_server_goes_away(server: Server, tmp_path: Path, flightcheck: Flightcheck) -> None:
    """The server dies while the training goes on, and comes back after it: nothing is lost, nothing doubled."""
    (tmp_path / "train.py").write_text(TRAINING)
    environment = {**os.environ, "PAUSE": "0.05", "STEPS": "1000000"}
    training = subprocess.Popen(
        [sys.executable, "-m", "flightcheck", "run", "--fail-on", "never", "--to", f"mlflow={server.url}", "--project",
         "live", "train.py", "--lr", "0.5"],
        cwd=tmp_path, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        seen = _wait_for_points(server, training)
        assert training.poll() is None, "its points were to come while it goes on"
        server.stop()
        time.sleep(8)  # it looks every five seconds, and finds nobody
        (tmp_path / "enough").write_text("")
        _, told = training.communicate(timeout=280)
    finally:
        training.kill()
    assert training.returncode == 0
    assert "not all has arrived at mlflow" in told
    (run,) = (tmp_path / ".flightcheck" / "runs").glob("2*")
    server.start()
    assert flightcheck(tmp_path, "sync").returncode == 0
    found = run_of(server, "live")
    steps = [m.step for m in client(server).get_metric_history(found.info.run_id, "loss")]
    assert steps == Run.open(run).frames["loss"][0].tolist()
    assert 0 < seen < len(steps)
    assert found.info.status == "FINISHED"
    assert found.data.params["optimizer"] == "SGD"
    assert "L03" in found.data.tags["flightcheck.findings"]


def _wait_for_points(server: Server, training: subprocess.Popen[str]) -> int:
    asked = client(server)
    end = time.monotonic() + 200
    while time.monotonic() < end and training.poll() is None:
        experiment = asked.get_experiment_by_name("live")
        for run in asked.search_runs([experiment.experiment_id]) if experiment is not None else ():
            points = asked.get_metric_history(run.info.run_id, "loss")
            if points and "optimizer" in run.data.params:
                assert run.info.status == "RUNNING"
                return len(points)
        time.sleep(0.5)
    raise AssertionError("no point came while the training went on")
