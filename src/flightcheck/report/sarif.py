"""The report as SARIF 2.1.0, which code hosts and editors show at the line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from flightcheck.checks.base import CheckInfo, Severity
from flightcheck.checks.registry import all_checks
from flightcheck.diagnosis.engine import DiagnosedFinding, Diagnosis
from flightcheck.recording.records import Location
from flightcheck.recording.run import Run
from flightcheck.report.json import relative
from flightcheck.version import version

SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
LEVELS: Final[dict[Severity, str]] = {"critical": "error", "error": "error", "warn": "warning", "info": "note"}
ROOT: Final = "%SRCROOT%"


def report_sarif(run: Run, diagnosis: Diagnosis) -> dict[str, Any]:
    """One SARIF log. A folded finding is there, suppressed, with the code that explains it."""
    infos = {code: c.info for code, c in all_checks().items()}
    infos.update({f.code: f.info for f in diagnosis.findings if f.code not in infos})
    index = {code: i for i, code in enumerate(infos)}
    invocation: dict[str, Any] = {
        "executionSuccessful": run.info.ended != "exception" and run.info.exit_code == 0,
        "exitCode": run.info.exit_code,
        "toolExecutionNotifications": [
            {"level": "error", "message": {"text": v.reason or v.status}, "associatedRule": {"id": v.info.code}}
            for v in diagnosis.verdicts
            if v.status == "error"
        ],
    }
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "flightcheck",
                        "semanticVersion": version(),
                        "rules": [_rule(info) for info in infos.values()],
                    }
                },
                "automationDetails": {"id": f"flightcheck/{run.info.id}"},
                "invocations": [invocation],
                "originalUriBaseIds": {ROOT: {"uri": Path.cwd().as_uri() + "/"}},
                "columnKind": "unicodeCodePoints",
                "results": [_result(f, index[f.code]) for f in diagnosis.findings],
            }
        ],
    }


def _rule(info: CheckInfo) -> dict[str, Any]:
    return {
        "id": info.code,
        "name": "".join(word.capitalize() for word in info.name.split("-")),
        "shortDescription": {"text": info.summary or info.name},
        "fullDescription": {"text": info.summary or info.name},
        "help": {"text": info.fix, "markdown": info.documentation or info.fix},
        "defaultConfiguration": {"level": "note" if info.preview else LEVELS[info.severity]},
        "properties": {"tags": [info.section], "evidenceClass": info.evidence, "preview": info.preview},
    }


def _result(f: DiagnosedFinding, rule: int) -> dict[str, Any]:
    finding = f.finding
    fix = finding.fix or f.info.fix
    result: dict[str, Any] = {
        "ruleId": f.code,
        "ruleIndex": rule,
        "level": LEVELS[f.severity],
        "message": {"text": f"{finding.message} Fix: {fix}" if fix else finding.message},
        "locations": _locations(finding.location, finding.module),
        "properties": {"severity": f.severity, "rootCause": f.root, "onsetStep": finding.onset_step},
    }
    if f.rank is not None:
        result["rank"] = max(0.0, 100.0 - 10.0 * (f.rank - 1))
    if f.explained_by is not None:
        result["properties"]["explainedBy"] = f.explained_by
        result["suppressions"] = [{"kind": "external", "justification": f"explained by {f.explained_by}"}]
    return result


def _locations(location: Location | None, module: str) -> list[dict[str, Any]]:
    out: dict[str, Any] = {}
    if location is not None:
        file = relative(location.file)
        if Path(file).is_absolute():
            artifact = {"uri": Path(file).as_uri()}
        else:
            artifact = {"uri": quote(os.fsencode(file)), "uriBaseId": ROOT}
        region: dict[str, Any] = {"startLine": max(location.line, 1)}
        if location.code:
            region["snippet"] = {"text": location.code}
        out["physicalLocation"] = {"artifactLocation": artifact, "region": region}
    if module:
        out["logicalLocations"] = [{"fullyQualifiedName": module, "kind": "module"}]
    return [out] if out else []
