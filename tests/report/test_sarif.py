"""The required fields of SARIF 2.1.0, by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from flightcheck.checks.registry import all_checks
from flightcheck.recording.records import Location
from flightcheck.report.sarif import report_sarif
from tests.report.made import FAULTY, HEALTHY, case
from tests.verdicts import failed


def require(condition: bool, what: str) -> None:
    assert condition, what


def validate(log: dict[str, Any]) -> None:
    """What the standard demands of the objects that we write."""
    require(log["version"] == "2.1.0" and log["$schema"].startswith("https://"), "3.13 sarifLog")
    for run in log["runs"]:
        driver = run["tool"]["driver"]
        require(bool(driver["name"]), "3.19.8 name")
        ids = [r["id"] for r in driver["rules"]]
        require(len(ids) == len(set(ids)), "3.19.23 rules are unique")
        for rule in driver["rules"]:
            require(bool(rule["shortDescription"]["text"]) and bool(rule["help"]["text"]), "3.49 texts")
            require(rule["defaultConfiguration"]["level"] in ("none", "note", "warning", "error"), "3.50.3 level")
        for uri in run["originalUriBaseIds"].values():
            require(uri["uri"].endswith("/"), "3.14.14 a base ends with a slash")
        for invocation in run["invocations"]:
            require(isinstance(invocation["executionSuccessful"], bool), "3.20.14 executionSuccessful")
        for result in run["results"]:
            require(bool(result["message"]["text"]), "3.27.11 message")
            require(ids[result["ruleIndex"]] == result["ruleId"], "3.27.6 ruleIndex")
            require(result["level"] in ("none", "note", "warning", "error"), "3.27.10 level")
            require(0.0 <= result.get("rank", 0.0) <= 100.0, "3.27.25 rank")
            for location in result["locations"]:
                physical = location.get("physicalLocation")
                if physical is not None:
                    uri = physical["artifactLocation"]["uri"]
                    require(" " not in uri and "\\" not in uri, "3.4.3 uri")
                    require(physical["region"]["startLine"] >= 1, "3.30.5 startLine")
            for suppression in result.get("suppressions", ()):
                require(suppression["kind"] in ("inSource", "external"), "3.35.2 kind")
    json.dumps(log, allow_nan=False)


def test_findings() -> None:
    log = report_sarif(*case(*FAULTY))
    validate(log)
    (run,) = log["runs"]
    assert {r["id"] for r in run["tool"]["driver"]["rules"]} >= set(all_checks())
    first = run["results"][0]
    assert (first["ruleId"], first["level"], first["rank"]) == ("L03", "error", 100.0)
    assert first["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "train.py", "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": 41, "snippet": {"text": "return torch.softmax(x, dim=1)"}},
    }
    folded = {r["ruleId"]: r["suppressions"][0]["justification"] for r in run["results"] if "suppressions" in r}
    assert folded == {"C07": "explained by L03", "P33": "explained by L03"}


def test_paths_become_uris() -> None:
    for file in ("/else where/a b.py", "a b#c.py", str(Path("/x") / "ü.py")):
        validate(report_sarif(*case(failed("P01", location=Location(file, 0)))))


def test_nothing_found() -> None:
    log = report_sarif(*case(*HEALTHY))
    validate(log)
    assert log["runs"][0]["results"] == []
    assert log["runs"][0]["invocations"][0]["executionSuccessful"] is True


def test_a_crash() -> None:
    log = report_sarif(*case(*HEALTHY, ended="exception", exit_code=1))
    assert log["runs"][0]["invocations"][0]["executionSuccessful"] is False
