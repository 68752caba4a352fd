"""Writes reports for machines."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, TextIO

from flightcheck.diagnosis.engine import Diagnosis
from flightcheck.errors import UsageError
from flightcheck.recording.run import Run


def write_reports(
    run: Run, diagnosis: Diagnosis, json_file: str | None, sarif_file: str | None, stdout: TextIO | None = None
) -> None:
    """Write the report as JSON and as SARIF to the given files; ``-`` is stdout, None is nowhere.

    Raises:
        UsageError: a file cannot be written.
    """
    if json_file is not None:
        from flightcheck.report.json import report_json

        _write(report_json(run, diagnosis), json_file, stdout or sys.stdout)
    if sarif_file is not None:
        from flightcheck.report.sarif import report_sarif

        _write(report_sarif(run, diagnosis), sarif_file, stdout or sys.stdout)


def _write(data: dict[str, Any], file: str, stdout: TextIO) -> None:
    text = json.dumps(data, indent=2, allow_nan=False) + "\n"
    if file == "-":
        stdout.write(text)
        stdout.flush()
        return
    try:
        Path(file).write_text(text, encoding="utf-8")
    except OSError as e:
        raise UsageError(f"{file}: cannot be written ({e.strerror})") from e
