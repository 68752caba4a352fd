"""What of a run travels to a tracker beside its curves: parameters, tags, findings, data, and files."""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path, PurePosixPath
from typing import Final

from flightcheck.checks.registry import run_checks
from flightcheck.diagnosis.engine import DiagnosedFinding, Diagnosis, diagnose
from flightcheck.exporters.base import Contents, DataSource, Param, plain
from flightcheck.exporters.reader import RunReader
from flightcheck.recording.opening import reading
from flightcheck.recording.records import Location
from flightcheck.recording.run import Run
from flightcheck.recording.store import FILE_NAME
from flightcheck.recording.surroundings import Packages, SourceFile
from flightcheck.redaction import HIDDEN, redacted, redacted_text
from flightcheck.report.json import relative, report_json
from flightcheck.report.page.document import page
from flightcheck.tracking.history import options_of
from flightcheck.tracking.summary import read_labels, summary_of
from flightcheck.tracking.values import values_in_effect

PAGE: Final = "report.html"
_LARGEST_RUN_FILE: Final = 50_000_000
"""Bytes up to which the run file itself travels, too: with it, ``flightcheck show`` works elsewhere."""
_NOT_SENT: Final = ("module ",)
"""Beginnings of names of values that would be hundreds of parameters; the report holds them."""


def params_in_effect(folder: Path) -> dict[str, Param]:
    """The values in effect by names that are those of ``flightcheck runs``, what the script declares, its options.

    Args:
        folder: of a run, which may go on.

    Raises:
        RunFileError: it cannot be read.
    """
    return _params(Run.open(folder))


@contextmanager
def contents_of(folder: Path, models: bool) -> Iterator[Contents]:
    """What is known of a run that is over; its files lie in a folder that is gone after the block.

    Args:
        folder: the run's folder.
        models: the files of weights that the script saved belong to it.

    Raises:
        RunFileError: the run cannot be read.
    """
    run = Run.open(folder)
    diagnosis = diagnose(run, run_checks(run))
    labels = read_labels(folder)
    heading = RunReader(folder).heading()
    found = [f for f in diagnosis.findings if f.severity != "info"]
    with tempfile.TemporaryDirectory(prefix="flightcheck-") as staging:
        yield Contents(
            params=_params(run),
            tags=_tags(run, diagnosis, labels["note"]),
            labels=list(dict.fromkeys([*labels["tags"], *(f.code for f in found)])),
            text=_text(run, diagnosis, labels["note"]),
            ended=run.info.ended,
            end=heading.started + run.info.seconds,
            data=_data(run),
            code=next((f.text for f in run.recorded(SourceFile) if f.main), ""),
            files=_files(run, diagnosis, folder, Path(staging)),
            models=_models(run) if models else [],
        )


def _params(run: Run) -> dict[str, Param]:
    found: dict[str, Param] = {}
    for name, value in values_in_effect(run).items():
        if not name.startswith(_NOT_SENT):
            found[name.replace(" ", "_")] = plain(value.value)
    for setting in run.settings:
        found[f"declared.{setting.name}"] = setting.value
    for name, text in options_of(run.info.command).items():
        found[f"option.{name}"] = text
    return {name: _without_secrets(name, value) for name, value in found.items()}


def _without_secrets(name: str, value: Param) -> Param:
    """The value, unless its name or its look says that it is a secret."""
    if not isinstance(value, str):
        return value
    shown = redacted([f"{name.rpartition('.')[2]}={value}"])[0].partition("=")[2]
    return HIDDEN if shown == HIDDEN else redacted_text(shown)


def _tags(run: Run, diagnosis: Diagnosis, note: str) -> dict[str, str]:
    info = run.info
    found = [f for f in diagnosis.findings if f.severity != "info"]
    told = {
        "run": info.id,
        "command": info.command,
        "ended": info.ended,
        "error": info.error,
        "framework": info.framework,
        "findings": " ".join(f.code for f in found) or "none",
        "roots": " ".join(f.code for f in diagnosis.roots),
        "severity": str(diagnosis.worst() or "none"),
        "data": " ".join(dict.fromkeys(d.digest for d in run.data_digests if d.role and d.digest)),
        "note": note,
        **{f"finding.{f.code}": _sentence(f) for f in reversed(found)},  # of several of one code the first counts
    }
    tags = {f"flightcheck.{name}": redacted_text(text) for name, text in told.items() if text}
    if run.environment is not None and run.environment.commit:  # 40 hexadecimal digits, and no secret
        tags["flightcheck.commit"] = run.environment.commit
    return tags


def _sentence(found: DiagnosedFinding) -> str:
    return f"{found.finding.message}{_place(found.finding.location)}"


def _place(location: Location | None) -> str:
    return f" ({relative(location.file)}:{location.line})" if location is not None else ""


def _text(run: Run, diagnosis: Diagnosis, note: str) -> str:
    """Note and findings for the field that trackers show first."""
    lines = [note, ""] if note else []
    lines.append(f"`{run.info.command}`: {run.info.ended} after {run.info.steps} steps.")
    for found in diagnosis.findings:
        if found.severity == "info":
            continue
        what = "root cause" if found.root else f"explained by {found.explained_by}" if found.explained_by else ""
        lines += ["", f"**{found.code} {found.info.name}** ({', '.join(filter(None, (found.severity, what)))}): "
                      f"{_sentence(found)}"]  # fmt: skip
        fix = found.finding.fix or found.info.fix
        tried = f" Tried: {found.tried.status}." if found.tried is not None else ""
        lines.append(f"  Fix: {fix}{tried}")
    if not any(f.severity != "info" for f in diagnosis.findings):
        lines += ["", "Flightcheck found nothing."]
    return redacted_text("\n".join(lines))


def _data(run: Run) -> list[DataSource]:
    """The parts of the data that were used and have a digest."""
    found = []
    for digest in run.data_digests:
        if not digest.role or not digest.digest:
            continue
        kind = next((d.type for d in run.datasets if d.source == digest.source and d.type), "tensors")
        classes = next((c for c in digest.labels.values() if c), {})
        found.append(DataSource(kind, digest.digest, digest.role, digest.examples, classes))
    return found


def _packages(run: Run) -> list[str]:
    return [f"{name}=={version}" for p in run.recorded(Packages)[:1] for name, version in p.installed.items()]


def _files(run: Run, diagnosis: Diagnosis, folder: Path, staging: Path) -> dict[str, Path]:
    """Files by their names in the tracker; each is written below `staging`, where nothing else writes to it."""
    texts = {
        "report.json": json.dumps(report_json(run, diagnosis), indent=2),
        "summary.json": json.dumps(summary_of(run, diagnosis), indent=2),
        "requirements.txt": "".join(f"{line}\n" for line in _packages(run)),
    }
    for source in run.recorded(SourceFile):
        if source.text:
            texts[_code_name(source.path)] = source.text
    if not (folder / PAGE).is_file():
        texts[PAGE] = page(run, diagnosis)
    found: dict[str, Path] = {}
    for name, text in texts.items():
        found[name] = staging / name
        found[name].parent.mkdir(parents=True, exist_ok=True)
        found[name].write_text(text, encoding="utf-8", errors="replace")
    if PAGE not in found:
        found[PAGE] = Path(shutil.copy(folder / PAGE, staging / PAGE))
    if (folder / FILE_NAME).stat().st_size <= _LARGEST_RUN_FILE:
        found[FILE_NAME] = _copy_of_run_file(folder / FILE_NAME, staging / FILE_NAME)
    return found


def _code_name(path: str) -> str:
    """A name below ``code/``, also for a file that lies outside of the script's folder."""
    parts = [p for p in PurePosixPath(path.replace("\\", "/")).parts if p not in ("/", "..")]
    return "/".join(["code", *(parts if not PurePosixPath(path).is_absolute() else ["elsewhere", parts[-1]])])


def _copy_of_run_file(file: Path, target: Path) -> Path:
    """One whole file, also of a run that was killed and has left a write-ahead log."""
    with reading(file) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)
    return target


def _models(run: Run) -> list[Path]:
    """Files of weights that the script saved and that are still there."""
    saved = sorted(run.saved_weights, key=lambda s: s.order)
    return [path for s in saved if (path := Path(s.path)).is_file()]
