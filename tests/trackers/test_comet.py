"""Comet: the archive of an offline experiment, read back."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from flightcheck.recording.run import Run
from tests.trackers.conftest import TOKEN, TRAINING, Flightcheck, network_use


class Archive:
    """What an archive holds."""

    def __init__(self, file: Path) -> None:
        with zipfile.ZipFile(file) as archive:
            self.experiment = json.loads(archive.read("experiment.json"))
            self.files = {name: archive.read(name) for name in archive.namelist()}
        told = [json.loads(line) for line in self.files["messages.json"].decode().splitlines()]
        self.messages: dict[str, list[dict[str, Any]]] = {}
        for message in told:
            self.messages.setdefault(message["type"], []).append(message["payload"])

    def metrics(self, name: str) -> list[tuple[int, float]]:
        told = [m["metric"] for m in self.messages["metric_msg"]]
        return [(m["step"], m["metricValue"]) for m in told if m["metricName"] == name]

    def params(self) -> dict[str, Any]:
        return {p["param"]["paramName"]: p["param"]["paramValue"] for p in self.messages["parameter_msg"]}

    def others(self) -> dict[str, Any]:
        return {o["key"]: o["value"] for o in self.messages["log_other"]}

    def assets(self) -> dict[str, bytes]:
        return {u["additional_params"]["fileName"]: self.files[u["file_path"]] for u in self.messages["file_upload"]}


@pytest.fixture(scope="module")
def archive(recorded: Path, flightcheck: Flightcheck) -> Archive:
    done = flightcheck(recorded, "export", "--to", "comet=here", "--project", "team/digits", "--models")
    assert done.returncode == 0
    assert "('comet upload' sends it)" in done.stdout
    assert [p.suffix for p in (recorded / "here").iterdir()] == [".zip"]
    return Archive(next((recorded / "here").iterdir()))


def test_curves_and_parameters(archive: Archive, recorded: Path, run_id: str) -> None:
    steps, losses = Run.open(recorded / ".flightcheck" / "runs" / run_id).frames["loss"]
    assert archive.metrics("loss") == [(int(s), float(v[0])) for s, v in zip(steps, losses)]
    assert len(archive.metrics("evaluation_loss")) >= 11
    params = archive.params()
    assert (params["lr"], params["optimizer"], params["option.hub_token"]) == (0.5, "SGD", "***")
    assert (archive.experiment["workspace"], archive.experiment["project_name"]) == ("team", "digits")


def test_findings_files_and_data(archive: Archive, recorded: Path, run_id: str) -> None:
    others = archive.others()
    assert others["Name"] == run_id
    assert "Cross-entropy received probabilities" in others["flightcheck.finding.L03"]
    assert "**L03 double-softmax**" in others["notes"]
    digests = Run.open(recorded / ".flightcheck" / "runs" / run_id).data_digests
    assert others["data.training"] == f"TensorDataset {next(d.digest for d in digests if d.role == 'training')}"
    assert {"baseline", "L03"} <= set(archive.experiment["tags"])
    assert "double-softmax" in archive.messages["html"][0]["html"]
    assets = archive.assets()
    assert b"double-softmax" in assets["report.html"]
    assert b"torch.nn.Softmax(1)" in assets["code/train.py"]
    assert {"run.sqlite", "report.json"} <= set(assets)
    assert [name for name in assets if name.endswith("weights2.pt")]


def test_nothing_secret_and_nothing_of_this_process(archive: Archive) -> None:
    assert not [name for name, content in archive.files.items() if TOKEN.encode() in content]
    assert not {"system_details", "git_metadata", "system_info", "installed_packages"} & set(archive.messages)


def test_no_connection(recorded: Path, tmp_path: Path, flightcheck: Flightcheck, guarded: dict[str, str]) -> None:
    assert flightcheck(recorded, "export", "--to", f"comet={tmp_path}/c", **guarded).returncode == 0
    assert network_use(recorded) == []


def test_live_it_is_written_at_the_end(tmp_path: Path, flightcheck: Flightcheck) -> None:
    (tmp_path / "train.py").write_text(TRAINING)
    done = flightcheck(tmp_path, "run", "--fail-on", "never", "--to", "comet", "train.py", "--lr", "0.5", STEPS="64")
    assert done.returncode == 0
    assert "comet: " in done.stderr
    (file,) = (tmp_path / "comet").iterdir()
    assert [step for step, _ in Archive(file).metrics("loss")] == list(range(64))


def test_online_without_a_key_waits_for_one(recorded: Path, flightcheck: Flightcheck, tmp_path: Path) -> None:
    done = flightcheck(recorded, "export", "--to", "comet=online", COMET_API_KEY="", HOME=str(tmp_path))
    assert done.returncode == 1
    assert "Comet has no key; 'comet login' stores one, or set COMET_API_KEY" in done.stderr
