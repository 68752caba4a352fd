"""The report as data: ``flightcheck.report/1``. Keys are only ever added."""

from __future__ import annotations

import math
import numbers
from pathlib import Path
from typing import Any, Final

from flightcheck.checks.base import Verdict
from flightcheck.diagnosis.engine import DiagnosedFinding, Diagnosis
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.records import Location
from flightcheck.recording.run import Run

SCHEMA: Final = "flightcheck.report/1"


def report_json(run: Run, diagnosis: Diagnosis) -> dict[str, Any]:
    """The report as JSON values: strings, finite numbers, booleans, lists, dictionaries."""
    info, coverage = run.info, run.coverage
    return {
        "schema": SCHEMA,
        "run": {
            "id": info.id,
            "command": info.command,
            "script": relative(info.script),
            "started": info.started,
            "steps": info.steps,
            "backwards": info.backwards,
            "evaluations": info.evaluations,
            "seconds": _value(info.seconds),
            "overhead": _value(info.overhead),
            "overhead_seconds": _value(info.overhead_seconds),
            "ended": info.ended,
            "exit_code": info.exit_code,
            "error": info.error or None,
            "error_location": location_json(info.error_location),
            "damage": list(run.damage),
        },
        "root_causes": list(dict.fromkeys(f.code for f in diagnosis.roots)),
        "findings": [_finding(f, diagnosis) for f in diagnosis.findings],
        "refuted": [_finding(f, diagnosis) for f in diagnosis.refuted],
        "experiments": [
            {"question": e.question, "seconds": _value(e.seconds), "gone": e.gone, **_trial(e)} for e in run.experiments
        ],
        "verdicts": {
            "fail": [v.info.code for v in diagnosis.verdicts if v.status == "fail"],
            "pass": [v.info.code for v in diagnosis.verdicts if v.status == "pass"],
            "inconclusive": _reasons(diagnosis, "inconclusive"),
            "skipped": _reasons(diagnosis, "skipped"),
            "error": _reasons(diagnosis, "error"),
        },
        "coverage": {
            "modules_seen": coverage.modules_seen,
            "modules": coverage.modules,
            "sampled_steps": coverage.sampled_steps,
            "every": _value(coverage.every),
            "cadence": {name: _value(distance) for name, distance in coverage.cadence.items()},
            "blind": list(coverage.blind),
        },
    }


def location_json(location: Location | None) -> dict[str, Any] | None:
    """File and line; the file relative to the current directory when it lies inside."""
    return None if location is None else {"file": relative(location.file), "line": location.line}


def relative(file: str) -> str:
    """The path relative to the current directory when it lies inside, with forward slashes; else as it is."""
    path = Path(file)
    if not path.is_absolute():
        return file
    try:
        return path.relative_to(Path.cwd()).as_posix()
    except (ValueError, OSError):  # elsewhere, or the current directory is gone
        return file


def _finding(f: DiagnosedFinding, diagnosis: Diagnosis) -> dict[str, Any]:
    finding = f.finding
    return {
        "code": f.code,
        "name": f.info.name,
        "severity": f.severity,
        "evidence_class": f.info.evidence,
        "root": f.root,
        "rank": f.rank,
        "explained_by": f.explained_by,
        "explains": list(diagnosis.explains.get(f.code, ())) if f.explained_by is None else [],
        "message": finding.message,
        "evidence": _value(finding.evidence),
        "onset_step": finding.onset_step,
        "location": location_json(finding.location),
        "module": finding.module or None,
        "fix": {
            "text": finding.fix or f.info.fix,
            "patch": finding.patch or f.info.patch or None,
            **_trial(f.tried),
        },
    }


def _trial(e: Experiment | None) -> dict[str, Any]:
    """What the patch did: outcome, the metric before and after, and how it was measured."""
    if e is None:
        return {"trial": "untested", "before": None, "after": None, "metric": None}
    return {
        "trial": e.status,
        "before": _value(e.before),
        "after": _value(e.after),
        "metric": e.metric or None,
        "tried": e.patch,
        "diff": e.diff or None,
        "reason": e.reason or None,
        "seeds": e.seeds,
        "steps": e.steps,
        "improvement": [_value(e.low), _value(e.high)],
        "margin": _value(e.margin),
        "p": _value(e.p),
        "seeds_needed": e.seeds_needed,
    }


def _reasons(diagnosis: Diagnosis, status: str) -> list[dict[str, str]]:
    found: list[Verdict] = [v for v in diagnosis.verdicts if v.status == status]
    return [{"code": v.info.code, "reason": v.reason} for v in found]


def _value(value: Any) -> Any:
    """The value in JSON: NaN and infinities have no number there and become strings."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        number = float(value)
        return number if math.isfinite(number) else str(number)
    if isinstance(value, dict):
        return {str(k): _value(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_value(v) for v in value]
    if hasattr(value, "tolist"):
        return _value(value.tolist())
    if isinstance(value, Location):
        return f"{relative(value.file)}:{value.line}"
    return str(value)
