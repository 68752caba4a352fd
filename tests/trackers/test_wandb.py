"""Weights & Biases: the offline run, read back with wandb's own messages."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flightcheck.recording.run import Run
from tests.trackers.conftest import TOKEN, Flightcheck, network_use

BLOCK = 32768


def records(file: Path) -> Iterator[Any]:
    """The records of a ``.wandb`` file: a LevelDB log behind a header of seven bytes."""
    from wandb.proto import wandb_internal_pb2 as messages

    data = file.read_bytes()
    assert data[:4] == b":W&B"
    place, parts = 7, b""
    while place + 7 <= len(data):
        left = BLOCK - place % BLOCK
        if left < 7:  # no header fits: the block is filled with zeros
            place += left
            continue
        check, length, kind = struct.unpack("<IHB", data[place : place + 7])
        piece = data[place + 7 : place + 7 + length]
        assert len(piece) == length
        assert check == zlib.crc32(piece, zlib.crc32(bytes([kind])))
        place += 7 + length
        parts += piece
        if kind in (1, 4):  # whole, or last
            record = messages.Record()
            record.ParseFromString(parts)
            parts = b""
            yield record
    assert not parts


@pytest.fixture(scope="module")
def offline(recorded: Path, flightcheck: Flightcheck) -> dict[str, list[Any]]:
    done = flightcheck(recorded, "export", "--to", "wandb=here", "--project", "team/digits", "--models")
    assert done.returncode == 0
    assert "('wandb sync' sends it)" in done.stdout
    (file,) = (recorded / "here").glob("wandb/offline-run-*/*.wandb")
    found: dict[str, list[Any]] = {}
    for record in records(file):
        kind = record.WhichOneof("record_type")
        found.setdefault(kind, []).append(getattr(record, kind))
    return found


def values(items: Any) -> dict[str, Any]:
    return {i.key or "/".join(i.nested_key): json.loads(i.value_json) for i in items}


def test_curves(offline: dict[str, list[Any]], recorded: Path, run_id: str) -> None:
    rows = [values(h.item) for h in offline["history"]]
    steps, losses = Run.open(recorded / ".flightcheck" / "runs" / run_id).frames["loss"]
    assert [(r["step"], r["loss"]) for r in rows if "loss" in r] == [
        (int(s), pytest.approx(float(v[0]))) for s, v in zip(steps, losses)
    ]
    assert len([r for r in rows if "evaluation_loss" in r]) >= 11
    times = [r["_timestamp"] for r in rows if "loss" in r]
    assert times == sorted(times)
    assert any(name.startswith("report") for r in rows for name in r)
    metrics = {m.name or m.glob_name: m for m in offline["metric"]}
    assert metrics["*"].step_metric == "step"


def test_configuration_findings_and_files(offline: dict[str, list[Any]], run_id: str) -> None:
    run = offline["run"][-1]
    assert (run.entity, run.project, run.display_name) == ("team", "digits", run_id)
    config = {k: v for c in [r.config for r in offline["run"]] + offline.get("config", []) for k, v in
              values(c.update).items()}  # fmt: skip
    assert (config["lr"], config["optimizer"], config["declared.lr"]) == (0.5, "SGD", 0.5)
    assert config["option.hub_token"] == "***"
    assert {d["role"] for d in config["data"]} == {"training", "evaluation"}
    assert {"baseline", "L03"} <= {tag for r in offline["run"] for tag in r.tags}
    assert any("**L03 double-softmax**" in r.notes for r in offline["run"])
    summary = {k: v for s in offline["summary"] for k, v in values(s.update).items()}
    assert "Cross-entropy received probabilities" in summary["flightcheck.finding.L03"]
    artifacts = {a.type: {e.path for e in a.manifest.contents} for a in offline["artifact"]}
    assert {"report.html", "run.sqlite", "code/train.py"} <= artifacts["flightcheck"]
    assert "weights2.pt" in artifacts["model"] | {e.path for a in offline["artifact"] for e in a.manifest.contents}
    assert offline["exit"][-1].exit_code == 0


def test_nothing_secret_and_nothing_of_this_process(offline: dict[str, list[Any]], recorded: Path) -> None:
    for file in (recorded / "here").rglob("*"):
        if file.is_file():
            assert TOKEN.encode() not in file.read_bytes(), file
    assert "stats" not in offline
    assert "output" not in offline
    assert not offline["run"][-1].git.commit


def test_no_connection(recorded: Path, tmp_path: Path, flightcheck: Flightcheck, guarded: dict[str, str]) -> None:
    assert flightcheck(recorded, "export", "--to", f"wandb={tmp_path}/w", **guarded).returncode == 0
    assert network_use(recorded) == []


def test_online_without_a_key_waits_for_one(recorded: Path, flightcheck: Flightcheck, tmp_path: Path) -> None:
    nobody = {"WANDB_API_KEY": "", "HOME": str(tmp_path), "NETRC": str(tmp_path / "none")}
    done = flightcheck(recorded, "export", "--to", "wandb=online", **nobody)
    assert done.returncode == 1
    assert "wandb has no key; 'wandb login' stores one, or set WANDB_API_KEY" in done.stderr
