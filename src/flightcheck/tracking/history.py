"""All runs of a folder: found, read through an index, filtered and sorted. Standard library only, and no run is opened
whose summary is known.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final

from flightcheck.errors import RunFileError
from flightcheck.recording.metrics import plain_name
from flightcheck.tracking.summary import RUN_FILE, Summary, read_summary

INDEX_FILE: Final = "index.sqlite"
"""Copies of the summaries: a cache, which may be deleted at any time."""
_FORMAT: Final = 1
_UNSETTLED_NS: Final = 2_000_000_000
"""A folder that was changed so short ago may change once more under the same time: file systems count in steps of 4 ms
to 2 s. Its summary is read again the next time."""


def all_runs(folder: Path) -> list[Summary]:
    """The summaries of all runs in a folder, the newest first.

    Raises:
        RunFileError: the folder cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            stamps = {e.name: e.stat().st_mtime_ns for e in entries if e.is_dir()}
    except FileNotFoundError:
        return []
    except OSError as e:
        raise RunFileError(f"{folder}: cannot be read ({e.strerror})") from e
    settled = time.time_ns() - _UNSETTLED_NS
    known = _indexed(folder)
    same = [n for n, stamp in stamps.items() if n in known and known[n][0] == stamp]
    parsed = json.loads(f"[{','.join([known[n][1] for n in same])}]")  # at once: a call for each takes as long again
    found: dict[str, Summary] = dict(zip(same, parsed, strict=True))
    fresh: dict[str, tuple[int, Summary]] = {}
    for name, stamp in stamps.items():
        if name in found:
            continue
        summary = read_summary(folder / name) if (folder / name / RUN_FILE).is_file() else None
        if summary is not None:
            found[name] = summary | {"id": name}
            if summary.get("ended") != "running" and stamp < settled:
                fresh[name] = (stamp, found[name])
    gone = known.keys() - stamps.keys()
    if fresh or gone:
        _store(folder, fresh, gone)
    return sorted(found.values(), key=_started, reverse=True)


def _started(summary: Summary) -> tuple[str, str]:
    return str(summary.get("started") or ""), summary["id"]


def _indexed(folder: Path) -> dict[str, tuple[int, str]]:
    file = folder / INDEX_FILE
    if not file.is_file():
        return {}
    with suppress(sqlite3.Error):  # damaged, or written by another version: the summaries themselves are there
        db = sqlite3.connect(f"file:{file.resolve()}?mode=ro", uri=True, timeout=1)
        try:
            if db.execute("PRAGMA user_version").fetchone()[0] == _FORMAT:
                return {n: (stamp, data) for n, stamp, data in db.execute("SELECT id, stamp, data FROM run")}
        finally:
            db.close()
    return {}


def _store(folder: Path, fresh: dict[str, tuple[int, Summary]], gone: Iterable[str]) -> None:
    """Put what was read into the index; where that is not possible it is read again the next time."""
    with suppress(sqlite3.Error, OSError), closing(sqlite3.connect(folder / INDEX_FILE, timeout=1)) as db:
        try:
            _write(db, fresh, gone)
        except sqlite3.OperationalError:  # another process writes it, or nothing can be written
            raise
        except sqlite3.DatabaseError:  # damaged: on a network disk another machine may have written at the same moment
            (folder / INDEX_FILE).unlink()


def _write(db: sqlite3.Connection, fresh: dict[str, tuple[int, Summary]], gone: Iterable[str]) -> None:
    with db:
        if db.execute("PRAGMA user_version").fetchone()[0] != _FORMAT:
            db.execute("DROP TABLE IF EXISTS run")
            db.execute(f"PRAGMA user_version={_FORMAT}")
        db.execute("CREATE TABLE IF NOT EXISTS run(id TEXT PRIMARY KEY, stamp INTEGER, data TEXT) WITHOUT ROWID")
        rows = [(n, stamp, json.dumps(data, separators=(",", ":"))) for n, (stamp, data) in fresh.items()]
        db.executemany("INSERT OR REPLACE INTO run VALUES(?,?,?)", rows)
        db.executemany("DELETE FROM run WHERE id=?", [(n,) for n in gone])


# -- the fields of a summary ----------------------------------------------------------------------------------------

_LISTS: Final = {"finding": "findings", "findings": "findings", "root": "roots", "tag": "tags", "tags": "tags"}
_OTHER_NAMES: Final = {
    "learning_rate": "lr", "batch": "batch_size", "eval_loss": "evaluation_loss", "status": "ended",
    "best_eval_loss": "best_evaluation_loss", "wd": "weight_decay",
}  # fmt: skip


def field_of(summary: Summary, name: str) -> list[Any]:
    """What a run has under a name: of its summary, of the values in effect, of its seeds, of what the script declares,
    of its command line. Several optimizers have several learning rates.
    """
    if name not in summary:
        name = name.replace("-", "_")
        name = _OTHER_NAMES.get(name, name)
    if name in _LISTS:
        return list(summary.get(_LISTS[name]) or [])
    if name == "seed":
        return list((summary.get("seeds") or {}).values())
    if not isinstance(summary.get(name), (dict, list)) and summary.get(name) is not None:
        return [summary[name]]
    values = summary.get("values") or {}
    if values.get(name) is not None:
        return [values[name]]
    several = [v for k, v in values.items() if k.endswith(f"_{name}") or k.startswith(f"{name}_of_group")]
    if several:
        return several
    measured = [v for k, v in (summary.get("metrics") or {}).items() if v is not None and plain_name(k) == name]
    if measured:
        return measured[-1:]
    declared = summary.get("declared") or {}
    if name in declared:
        return [declared[name]]
    given = options_of(str(summary.get("command") or "")).get(name)
    return [given] if given is not None else []


def field_names(summaries: Iterable[Summary]) -> set[str]:
    """All names that `field_of` knows for any of the runs."""
    names = {*_LISTS, *_OTHER_NAMES, "seed"}
    for summary in summaries:
        names |= {k for k, v in summary.items() if not isinstance(v, (dict, list))}
        names |= {k.replace("-", "_") for k in (summary.get("values") or {}).keys() | (summary.get("declared") or {})}
        names |= {plain_name(k) for k in summary.get("metrics") or {}}
        names |= options_of(str(summary.get("command") or "")).keys()
    return names


def options_of(command: str) -> dict[str, str]:
    """The options of a command line: ``--width 64``, ``--width=64``, ``width=64``; a bare one is ``true``."""
    words = command.split()
    found: dict[str, str] = {}
    for word, following in zip(words, [*words[1:], "--"]):
        name, equals, value = word.partition("=")
        if equals:
            found[name.lstrip("-+").replace("-", "_")] = value
        elif word.startswith("-") and len(word) > 1:
            bare = following.startswith("-") and not following[1:2].isdigit()
            found[word.lstrip("-").replace("-", "_")] = "true" if bare else following
    return found
