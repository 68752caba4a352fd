"""The few facts by which a run is found again: a small file beside the run, written when it is judged."""

from __future__ import annotations

import json
import math
import os
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from flightcheck.errors import RunFileError
from flightcheck.recording.liveness import is_dead
from flightcheck.recording.opening import reading
from flightcheck.tracking.locking import alone

if TYPE_CHECKING:
    from flightcheck.diagnosis.engine import Diagnosis
    from flightcheck.recording.run import Run

SCHEMA: Final = "flightcheck.summary/1"
RUN_FILE: Final = "run.sqlite"
SUMMARY_FILE: Final = "summary.json"
LABELS_FILE: Final = "labels.json"
"""Tags and notes that the user gave a run: they travel with its folder."""
_PLAIN: Final = ("started", "command", "script", "mode", "ended", "steps", "seconds", "framework")

Summary = dict[str, Any]


def summary_of(run: Run, diagnosis: Diagnosis) -> Summary:
    """What a list of runs tells of this one."""
    from flightcheck.recording.outcomes import evaluation_losses, first_and_final
    from flightcheck.tracking.values import code_digests, configuration, values_in_effect

    values = values_in_effect(run)
    plain = {n.replace(" ", "_"): v.value for n, v in values.items() if v.kind in ("training", "arithmetic")}
    first, final = first_and_final(run)
    evaluated = [loss for _, loss in evaluation_losses(run)]
    dropout = sorted({m.settings["p"] for m in run.modules if m.kind == "dropout" and "p" in m.settings})
    return {
        "schema": SCHEMA,
        "id": run.info.id,
        **{name: getattr(run.info, name) for name in _PLAIN},
        "first_loss": first,
        "loss": final,
        "evaluation_loss": evaluated[-1] if evaluated else None,
        "best_evaluation_loss": min(evaluated, default=None),
        "metrics": {m.name: _finite(m.last) for m in run.metrics},
        "values": {**plain, "dropout": dropout[-1] if dropout else None},
        "seeds": dict(run.seeding.values) if run.seeding is not None else {},
        "declared": {s.name: s.value for s in run.settings},
        "findings": list(dict.fromkeys(f.code for f in diagnosis.findings if f.severity != "info")),
        "roots": [f.code for f in diagnosis.roots],
        "severity": diagnosis.worst(),
        "data": sorted({d.digest for d in run.data_digests if d.role == "training" and d.digest}),
        "code": dict(code_digests(run)),
        "commit": run.environment.commit if run.environment is not None else "",
        "configuration": configuration(run, values),
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def write_summary(run: Run, diagnosis: Diagnosis) -> None:
    """Put the summary beside the run; never raises: a list of runs can do without it."""
    if run.path is None:
        return
    folder = run.path if run.path.is_dir() else run.path.parent
    with suppress(Exception):
        write_json(folder / SUMMARY_FILE, summary_of(run, diagnosis))


def write_json(file: Path, data: Any) -> None:
    """Write a file so that a reader sees all of it or nothing.

    Raises:
        OSError: it cannot be written.
    """
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        draft.write_text(json.dumps(data, separators=(",", ":")) + "\n", encoding="utf-8")
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)


def read_summary(folder: Path) -> Summary | None:
    """The summary of a run, from its small file, or, for a run that has none (killed, or of an older version), what the
    run file itself tells. None where neither can be read.
    """
    found = read_json(folder / SUMMARY_FILE)
    if found is None or not isinstance(found.get("id"), str):
        found = _from_run_file(folder)
    elif found.get("ended") == "running":
        found = _gone_on(found, _from_run_file(folder))
    if found is not None:
        labels = read_labels(folder)
        found |= {"tags": labels["tags"], "note": labels["note"]}
    return found


def read_labels(folder: Path) -> dict[str, Any]:
    """The tags and the note of a run."""
    found = read_json(folder / LABELS_FILE) or {}
    tags, note = found.get("tags"), found.get("note")
    return {
        "tags": sorted(map(str, tags)) if isinstance(tags, list) else [],
        "note": note if isinstance(note, str) else "",
    }


def change_labels(folder: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Replace the tags and the note of a run by what `change` makes of them; changes by several processes at once all
    come to be.

    Raises:
        RunFileError: the folder cannot be written.
    """
    file = folder / LABELS_FILE
    try:
        with alone(file):
            write_json(file, change(read_labels(folder)))
    except OSError as e:
        raise RunFileError(f"{folder}: cannot be written ({e.strerror})") from e


def write_labels(folder: Path, labels: dict[str, Any]) -> None:
    """Give a run these tags and this note, whatever it had.

    Raises:
        RunFileError: the folder cannot be written.
    """
    change_labels(folder, lambda _: labels)


def read_json(file: Path) -> dict[str, Any] | None:
    """The object in a file; None if there is none."""
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _gone_on(found: Summary, now: Summary | None) -> Summary:
    """A summary that was written while the run went on, for somebody who looked at it then: how it went is not known
    any more.
    """
    if now is None or (now.get("ended") == "running" and (now.get("steps") or 0) <= (found.get("steps") or 0)):
        return found
    unknown = dict.fromkeys(("loss", "evaluation_loss", "best_evaluation_loss", "severity"))
    return found | unknown | {"metrics": {}, "roots": []} | now


def _from_run_file(folder: Path) -> Summary | None:
    try:
        with reading(folder / RUN_FILE) as db:
            row = db.execute("SELECT data FROM record WHERE kind='RunInfo' ORDER BY idx LIMIT 1").fetchone()
            last = db.execute("SELECT MAX(step) FROM frame WHERE signal='loss'").fetchone()[0]
        info = json.loads(row[0]) if row else {}
        if info.get("ended") == "running":
            if last is not None:  # not yet over, or killed: the loss tells how far it came
                info["steps"] = last + 1
            if is_dead(str(info.get("process") or "")):
                info["ended"] = "killed"
    except (sqlite3.Error, ValueError, OSError):
        return None
    plain = {name: info.get(name) for name in _PLAIN if info.get(name) is not None}
    return {"schema": SCHEMA, **plain, "id": folder.name, "findings": None}
