"""The report as data holds the schema that the design names."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from flightcheck.recording.records import Location
from flightcheck.report.json import relative, report_json
from tests.report.made import FAULTY, HEALTHY, case
from tests.verdicts import failed


def test_schema() -> None:
    report = report_json(*case(*FAULTY))
    assert report["schema"] == "flightcheck.report/1"
    assert {k: report["run"][k] for k in ("id", "command", "steps", "overhead")} == {
        "id": "20261123-1",
        "command": "train.py",
        "steps": 300,
        "overhead": 0.0131,
    }
    assert report["root_causes"] == ["L03", "P13"]
    assert report["findings"][0] == {
        "code": "L03",
        "name": "double-softmax",
        "severity": "error",
        "evidence_class": "B",
        "root": True,
        "rank": 1,
        "explained_by": None,
        "explains": ["C07", "P33"],
        "message": "CrossEntropyLoss received probabilities (rows sum to 1 in 50 of 50 observed calls), "
        "so its floor is 1.461 and not 0.",
        "evidence": {"floor": 1.4612, "spread": "nan", "loss_line": "train.py:50"},
        "onset_step": 0,
        "location": {"file": "train.py", "line": 41},
        "module": "net",
        "fix": {
            "text": "Return the logits from forward(); apply softmax only when predicting.",
            "patch": "drop-module:softmax",
            "trial": "untested",
            "before": None,
            "after": None,
            "metric": None,
        },
    }
    assert [(f["code"], f["explained_by"]) for f in report["findings"]] == [
        ("L03", None), ("P13", None), ("P33", "L03"), ("C07", "L03"), ("T01", None),
    ]  # fmt: skip
    assert report["verdicts"] == {
        "fail": ["L03", "P33", "C07", "P13", "T01"],
        "pass": ["P01", "D01"],
        "inconclusive": [{"code": "D07", "reason": "1 of 8 batches"}],
        "skipped": [],
        "error": [],
    }
    assert report["coverage"]["modules_seen"] == 14
    assert report["coverage"]["blind"] == []


def test_it_is_strict_json() -> None:
    odd = {"array": np.arange(2), "number": np.float32(1.5), "infinite": -np.inf, 3: {Path("x")}, "flag": np.True_}
    report = report_json(*case(failed("P01", evidence=odd), overhead=None, error="bad \ud800 name"))
    again = json.loads(json.dumps(report, allow_nan=False))
    assert again["findings"][0]["evidence"] == {
        "array": [0, 1], "number": 1.5, "infinite": "-inf", "3": ["x"], "flag": True,
    }  # fmt: skip


def test_nothing_found() -> None:
    report = report_json(*case(*HEALTHY))
    assert (report["root_causes"], report["findings"]) == ([], [])


def test_files_are_relative_to_the_current_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert relative(str(tmp_path / "src" / "train.py")) == "src/train.py"
    assert relative("train.py") == "train.py"
    assert relative("/elsewhere/train.py") == "/elsewhere/train.py"
    report = report_json(*case(failed("P01", location=Location(str(tmp_path / "a.py"), 7))))
    assert report["findings"][0]["location"] == {"file": "a.py", "line": 7}
