"""The examples and programs of the zoo, recorded and made again: the same, bit for bit."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harmless.processes import ENVIRONMENT
from tests.thorough import chosen

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
ZOO = [ROOT / "zoo/healthy" / n / "train.py" for n in ("one_leaf", "spring", "mackey_glass", "blob_vae", "solids")]
PROGRAMS = chosen([*EXAMPLES, *ZOO], [*EXAMPLES, *ZOO[:1]])

pytestmark = pytest.mark.training


def start(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "flightcheck", *arguments]
    done = subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.stem if p.parent.name == "examples" else p.parent.name)
def test_the_same_bits(program: Path, tmp_path: Path) -> None:
    """Recorded from another folder, as a user would who keeps programs and runs apart."""
    start(
        tmp_path,
        "check",
        "-q",
        "--steps",
        "40",
        "--time",
        "20",
        "--lab-budget",
        "0",
        "--fail-on",
        "never",
        str(program),
    )
    (run,) = (tmp_path / ".flightcheck/runs").iterdir()
    found = json.loads(start(tmp_path, "reproduce", "--exact", "--json", run.name))
    assert found["verdict"] == "same"
    assert found["curves"][0]["points"] >= 40
    assert [p for p in found["parts"] if p["differences"]] == []
    assert not list(program.parent.glob("__pycache__"))
