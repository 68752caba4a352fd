"""Every check on a real small training, and its silence on the repaired twin: ``tests/trainings/CODE``."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.harmless.processes import Server
from tests.thorough import chosen

TRAININGS = Path(__file__).parent / "trainings"
EVERY = sorted(p.name for p in TRAININGS.iterdir() if (p / "faulty.py").is_file())
CODES = chosen(EVERY, EVERY[7::8])
"""All of them take half an hour; a fixed eighth is part of every test run: that of which the fewest need experiments."""


def check(server: Server, script: Path, folder: Path, lab_budget: int = 0) -> dict[str, Any]:
    report = folder / f"{script.stem}.json"
    options = ("--all", "--lab-budget", str(lab_budget), "--json", str(report))
    done = server.watched(folder, "check", *options, str(script))
    assert report.is_file(), done.err
    data: dict[str, Any] = json.loads(report.read_text())
    assert data["verdicts"]["error"] == [], done.err
    assert data["coverage"]["sampled_steps"], f"nothing was trained, so nothing was tested:\n{done.err}"
    return data


WITH_LAB = {
    "C01",
    "C03",
    "C04",
    "C20",
    "C25",
    "C26",
    "C33",
    "C45",
    "D07",
    "D24",
    "D25",
    "L13",
    "L31",
    "P02",
    "P14",
    "P42",
    "S01",
    "S02",
    "S05",
    "T02",
}
"""What no single run shows: these are tested with experiments, all others without."""


def lab_budget(code: str) -> int:
    return 150 if code in WITH_LAB else 0


@pytest.mark.training
@pytest.mark.parametrize("code", CODES)
def test_faulty_training_is_named(server: Server, code: str, tmp_path: Path) -> None:
    data = check(server, TRAININGS / code / "faulty.py", tmp_path, lab_budget(code))
    found = [f for f in data["findings"] if f["code"] == code]
    assert found, f"{code} is silent; found {[f['code'] for f in data['findings']]}"
    assert found[0]["location"] is not None


@pytest.mark.training
@pytest.mark.parametrize("code", CODES)
def test_repaired_twin_is_silent(server: Server, code: str, tmp_path: Path) -> None:
    data = check(server, TRAININGS / code / "repaired.py", tmp_path, lab_budget(code))
    loud = [f for f in data["findings"] if f["severity"] != "info" or f["code"] == code]
    assert loud == []


@pytest.mark.parametrize("code", EVERY)
def test_twins_differ_in_a_few_lines(code: str) -> None:
    faulty, repaired = ((TRAININGS / code / f"{n}.py").read_text().splitlines() for n in ("faulty", "repaired"))
    changed = [d for d in difflib.ndiff(faulty, repaired) if d[0] in "-+"]
    assert 0 < len(changed) <= 10
