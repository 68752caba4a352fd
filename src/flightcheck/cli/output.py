"""Writes reports to files: JSON and SARIF for machines, the page for people."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TextIO

from flightcheck.diagnosis.engine import Diagnosis
from flightcheck.errors import UsageError
from flightcheck.recording.run import Run
from flightcheck.recording.store import FILE_NAME
from flightcheck.viewing import VIEW_PAGE

PAGE_NAME: Final = "report.html"


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


def write_page(run: Run, diagnosis: Diagnosis, file: str = "") -> str | None:
    """Write the report as an HTML page to a file, else into the run's folder; ``-`` is stdout.

    Returns:
        The page's path as a user would write it, with what it weighs; None for stdout.

    Raises:
        UsageError: the file cannot be written.
    """
    from flightcheck.report.page.document import page

    views = None if file or run.path is None or not (run.path / VIEW_PAGE).is_file() else VIEW_PAGE
    text = page(run, diagnosis, views=views)
    return write_html(text, Path(file) if file else _beside(run), chosen=bool(file))


def write_html(text: str, place: Path, *, chosen: bool) -> str | None:
    """Write a page to a file; ``-`` is stdout.

    Args:
        text: the page.
        place: where to.
        chosen: the user named the place; otherwise an error says how to.

    Returns:
        The page's path as a user would write it, with what it weighs; None for stdout.

    Raises:
        UsageError: the file cannot be written.
    """
    from flightcheck.report.json import relative

    if str(place) == "-":
        sys.stdout.write(text)
        sys.stdout.flush()
        return None
    try:
        place.write_text(text, encoding="utf-8", errors="replace")
    except OSError as e:
        with suppress(OSError):  # the half of a page is none; and room on a full disk is dear
            if place.is_file():
                place.unlink()
        other = "" if chosen else "; choose another place with --html FILE"
        raise UsageError(f"{place}: cannot be written ({e.strerror}){other}") from e
    return f"{relative(str(place))} ({place.stat().st_size / 1000:,.0f} kB)"


def _beside(run: Run) -> Path:
    """The page of a run lies in the run's folder; that of a single run file beside it, under its name."""
    if run.path is None:
        raise UsageError("this run lies in no folder; choose a place with --html FILE")
    if run.path.is_dir():
        return run.path / PAGE_NAME
    return run.path.with_name(PAGE_NAME if run.path.name == FILE_NAME else f"{run.path.name}.html")


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
