"""The example, as `make demo` runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[1] / "examples" / "digits.py"
FAULT = "nn.Softmax(dim=1)"

pytestmark = pytest.mark.training


def check(script: Path, folder: Path) -> tuple[subprocess.CompletedProcess[str], dict]:
    command = [sys.executable, "-m", "flightcheck", "check", "--steps", "100", "--json", "report.json", str(script)]
    done = subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", check=False, timeout=240)
    return done, json.loads((folder / "report.json").read_text(encoding="utf-8"))


def test_the_fault_is_found_at_its_line(tmp_path: Path) -> None:
    done, report = check(EXAMPLE, tmp_path)
    assert done.returncode == 1
    assert report["root_causes"] == ["L03"]
    (finding,) = (f for f in report["findings"] if f["root"])
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    assert Path(finding["location"]["file"]).name == EXAMPLE.name
    assert FAULT in lines[finding["location"]["line"] - 1]
    assert "L03 double-softmax" in done.stderr
    assert "accuracy" in done.stdout


def test_the_repaired_example_is_silent(tmp_path: Path) -> None:
    source = EXAMPLE.read_text(encoding="utf-8")
    assert "self.softmax(self.fc3(x))" in source
    script = tmp_path / "repaired.py"
    script.write_text(source.replace("self.softmax(self.fc3(x))", "self.fc3(x)"), encoding="utf-8")
    done, report = check(script, tmp_path)
    assert (done.returncode, report["root_causes"]) == (0, [])
