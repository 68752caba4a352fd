"""The registry: names for checkpoints, kept whatever writes at the same moment."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flightcheck.cli.main import main
from flightcheck.recording.records import RunInfo
from flightcheck.recording.saved_weights import SavedWeights
from flightcheck.recording.store import RunWriter
from flightcheck.tracking.history import all_runs
from flightcheck.tracking.models import REGISTRY_FILE, read_models
from flightcheck.tracking.summary import SUMMARY_FILE, write_json

Output = pytest.CaptureFixture[str]


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A run that saved two files, and one that saved none."""
    folder = tmp_path / "runs"
    for name, files in (("r1", ("best.pt", "last.pt")), ("r2", ())):
        writer = RunWriter(folder / name)
        writer.put(RunInfo(name, "train.py", "train.py", time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime()),
                           ended="finished", steps=9, seconds=5.0))  # fmt: skip
        for order, file in enumerate(files):
            (tmp_path / file).write_bytes(file.encode())
            writer.put(SavedWeights(str(tmp_path / file), 4 + 5 * order, order=order), order)
        writer.close()
        told = {"id": name, "loss": 0.25, "evaluation_loss": None, "metrics": {"train_acc": 0.99, "test_acc": 0.9}}
        write_json(folder / name / SUMMARY_FILE, {"schema": "flightcheck.summary/1", **told})
    return folder


def models(runs: Path, *arguments: str) -> int:
    action, *rest = arguments
    return main(["models", action, "--runs-dir", str(runs), *rest])


def test_the_weights_that_were_saved_last_get_a_version(runs: Path, tmp_path: Path, capsys: Output) -> None:
    assert models(runs, "add", "digits", "r1") == 0
    digest = hashlib.sha256(b"last.pt").hexdigest()
    assert capsys.readouterr().out == f"digits v1: {tmp_path}/last.pt (r1, step 9), SHA-256 {digest[:12]}…\n"
    assert models(runs, "add", "digits", "r1", "--checkpoint", str(tmp_path / "best.pt"), "--stage", "staging") == 0
    assert models(runs, "add", "other", "r1") == 0
    first, second, other = read_models(runs)
    assert (first.version, first.sha256, first.size, first.step, first.stage) == (1, digest, 7, 9, "none")
    assert (second.version, second.step, second.stage, other.version) == (2, 4, "staging", 1)
    assert first.metrics == {"loss": 0.25, "train_acc": 0.99, "test_acc": 0.9}
    assert [r["id"] for r in all_runs(runs)] == ["r2", "r1"], "the registry is no run"


def test_stages_and_the_list(runs: Path, tmp_path: Path, capsys: Output) -> None:
    assert main(["models", "--runs-dir", str(runs)]) == 0
    assert "no model is registered" in capsys.readouterr().out
    for name in ("digits", "digits", "other"):
        models(runs, "add", name, "r1")
    assert models(runs, "stage", "digits", "v1", "production") == 0
    models(runs, "stage", "digits", "2", "staging")
    models(runs, "stage", "digits", "2", "archived")
    capsys.readouterr()
    assert models(runs, "list", "digits") == 0
    head, second, first = capsys.readouterr().out.splitlines()
    assert head.split() == ["model", "version", "stage", "run", "step", "metrics", "checkpoint"]
    assert first.split()[:8] == ["digits", "v1", "production", "r1", "9", "test_acc=0.9", "loss=0.25", "train_acc=0.99"]
    assert second.split()[2] == "archived"
    assert first.endswith(str(tmp_path / "last.pt"))
    models(runs, "list", "--stage", "production", "--json")
    (told,) = json.loads(capsys.readouterr().out)["models"]
    assert (told["name"], told["version"], told["state"]) == ("digits", 1, "there")


def test_what_has_become_of_file_and_run_is_said(runs: Path, tmp_path: Path, capsys: Output) -> None:
    models(runs, "add", "digits", "r1")
    models(runs, "add", "digits", "r1", "--checkpoint", str(tmp_path / "best.pt"))
    (tmp_path / "last.pt").unlink()
    (tmp_path / "best.pt").write_bytes(b"other weights")
    (runs / "r1").rename(runs / "elsewhere")
    capsys.readouterr()
    main(["models", "--runs-dir", str(runs)])
    _, second, first = capsys.readouterr().out.splitlines()
    assert first.endswith("last.pt (missing)")
    assert second.endswith("best.pt (changed)")
    assert "r1 (not here)" in first


def test_a_file_that_was_written_after_the_run_is_not_taken_for_its_own(
    runs: Path, tmp_path: Path, capsys: Output
) -> None:
    later = time.time() + 3600
    os.utime(tmp_path / "last.pt", (later, later))
    assert models(runs, "add", "digits", "r1") == 2
    assert "was written again at" in capsys.readouterr().err
    assert models(runs, "add", "digits", "r1", "--checkpoint", str(tmp_path / "last.pt")) == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["add", "digits", "r2"], "no torch.save of weights was seen"),
        (["add", "digits", "r9"], "there is no run 'r9'"),
        (["add", "two words", "r1"], "is no name of a model"),
        (["add", "digits", "r1", "--stage", ""], "is no stage"),
        (["add", "digits", "r1", "--checkpoint", "none.pt"], "none.pt: cannot be read (No such file"),
        (["stage", "digits", "1", "x"], "there is no model 'digits'"),
        (["stage", "digits", "first", "x"], "a whole number is wanted"),
        (["publish"], "invalid choice: 'publish'"),
    ],
)
def test_what_is_refused(runs: Path, arguments: list[str], sentence: str, capsys: Output) -> None:
    assert models(runs, *arguments) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert len(error.splitlines()) == 1
    assert not (runs / REGISTRY_FILE).exists() or read_models(runs) == []


def test_a_line_that_was_torn_off_costs_no_other(runs: Path) -> None:
    models(runs, "add", "digits", "r1")
    with (runs / REGISTRY_FILE).open("ab") as stream:
        stream.write(b'[1]\n{"name":"digits","version":9,"stage":"x"}\n{"name":"digits","vers')
    models(runs, "add", "digits", "r1")
    assert [(m.name, m.version, m.stage) for m in read_models(runs)] == [("digits", 1, "none"), ("digits", 2, "none")]


def test_processes_that_register_at_once_get_numbers_of_their_own(runs: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom flightcheck.tracking.models import ModelVersion, add_model\n"
        "made = ModelVersion('digits', 0, sys.argv[2], 'last.pt', '', 1)\n"
        "for i in range(20): add_model(Path(sys.argv[1]), made)"
    )
    started = [subprocess.Popen([sys.executable, "-c", code, str(runs), name]) for name in ("a", "b")]
    assert [process.wait() for process in started] == [0, 0]
    found = read_models(runs)
    assert sorted(m.version for m in found) == list(range(1, 41))
    assert [m.run for m in found].count("a") == 20
