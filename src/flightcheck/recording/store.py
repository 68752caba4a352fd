"""The run file: one SQLite database per run, readable after the process was killed.

Tables: ``meta`` (format version), ``record`` (frozen records as JSON), ``frame`` (one packed float32
vector per signal and sampled step). Writes are grouped in transactions of at most `FLUSH_SECONDS`,
so a killed run loses at most that much. Where writing fails (a disk that is full), what was written stays, the rest is
held and tried again with growing pauses, and the training goes on: no error leaves `RunWriter.flush`.

On a disk of this machine the file has a write-ahead log, with which readers and the writer never wait for each other.
It needs memory that all of them share, which machines do not: on a network disk the file is written with a rollback
journal, and a writer that meets a reader does not wait but writes later.
"""

from __future__ import annotations

import json
import math
import sqlite3
import sys
import time
from array import array
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from flightcheck.errors import RunFileError
from flightcheck.recording.disks import on_network_disk
from flightcheck.recording.opening import reading
from flightcheck.recording.signals import SIGNALS, Signal

FORMAT: Final = 1
FILE_NAME: Final = "run.sqlite"
FLUSH_SECONDS: Final = 0.25
FRAME_BUDGET: Final = 4096
"""Sampled steps kept per signal. Past it old samples are dropped evenly, so a series of any length stays bounded, keeps
the shape of the whole run, and its last quarter in full."""
VALUES_BUDGET: Final = 4_000_000
"""Values kept per signal, which is 16 MB: models of ten thousand tensors keep fewer of their steps."""
LEAST_FRAMES: Final = 256
"""Sampled steps kept per signal, however many values each has."""
APPEND_BUDGET: Final = 20_000
"""Appended records kept per kind: enough for every check, and a bound on the size of an endless run."""

MOST_PENDING: Final = 50_000
"""Frames that are held: then they are written at once, or, while nothing can be, later ones are dropped. Some tens of
megabytes."""
_LONGEST_PAUSE: Final = 60.0
_SHARE: Final = 0.01
"""Share of the time that writing may take on a network disk, which may answer slowly: there pauses are longer,"""
_LONGEST_REST: Final = 10.0
"""and this is the longest, which is what a killed run may lose there."""
_LAST_SECONDS: Final = 5.0
"""Longest wait for a reader when all that is left is written."""
_PART: Final = 64
T = TypeVar("T")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value TEXT);
CREATE TABLE IF NOT EXISTS record(kind TEXT, idx INTEGER, data TEXT, PRIMARY KEY(kind, idx)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS frame(signal TEXT, step INTEGER, v BLOB, PRIMARY KEY(signal, step)) WITHOUT ROWID;
"""

_ENCODER: Final = json.JSONEncoder(default=vars)
"""Records are dataclasses that hold dataclasses; copying them first, as `asdict` does, takes ten times as long."""

_UNWRITTEN: Final[dict[Path, tuple[dict[tuple[str, int], str], dict[tuple[str, int], bytes]]]] = {}
"""What could not be written to a run file up to its end, for the report that this process still makes."""


class RunWriter:
    """Writes one run file. Not for several threads: the training thread owns it.

    Raises:
        RunFileError: the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE_NAME
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._shared = on_network_disk(folder)
            self._db = self._begun()
        except (OSError, sqlite3.Error) as e:
            raise RunFileError(f"{self.path}: cannot be written ({e})") from e
        self._records: dict[tuple[str, int], str] = {}
        self._frames: dict[tuple[str, int], bytes] = {}
        self._appended: dict[str, int] = {}
        self._frames_kept: dict[str, int] = {}
        self._widths: dict[str, int] = {}
        self._last_flush = time.monotonic()
        self.failure = ""
        """Why something could not be written; it is said once, when it happens first."""
        self._pause = FLUSH_SECONDS
        self._written = True
        """The last try to write succeeded."""

    def _begun(self) -> sqlite3.Connection:
        try:
            return _connection(self.path, "TRUNCATE" if self._shared else "WAL")
        except sqlite3.OperationalError:
            if not self._shared:
                raise
            return _connection(self.path, "TRUNCATE", locks=False)  # it has none; nobody else writes this file

    def put(self, record: Any, index: int = 0) -> None:
        """Store a record under its kind and index; a later one with the same index replaces it."""
        self._records[type(record).__name__, index] = _ENCODER.encode(vars(record))

    def append(self, record: Any) -> bool:
        """Store one more record of its kind. False when the kind's budget is spent and the record was dropped."""
        kind = type(record).__name__
        index = self._appended.get(kind, 0)
        if index >= APPEND_BUDGET:
            return False
        self._appended[kind] = index + 1
        self.put(record, index)
        return True

    def frame(self, signal: Signal, step: int, values: Iterable[float] | npt.NDArray[np.float32]) -> None:
        """Store the values of a signal at a step (float32; later values for the same step replace earlier ones)."""
        key = (signal.name, step)
        if len(self._frames) >= MOST_PENDING:
            if self._written:  # they came faster than the next flush
                self.flush(force=True)
            if len(self._frames) >= MOST_PENDING:
                return
        if key not in self._frames:
            self._frames_kept[signal.name] = self._frames_kept.get(signal.name, 0) + 1
        if isinstance(values, np.ndarray):
            self._frames[key] = values.astype("<f4", copy=False).tobytes()
            return
        packed = array("f", values)  # many times faster than NumPy for the few values of a step
        if sys.byteorder == "big":
            packed.byteswap()
        self._frames[key] = packed.tobytes()

    def flush(self, force: bool = False) -> None:
        """Commit what is pending, at most every `FLUSH_SECONDS` unless forced. What fails is held for a later try."""
        now = time.monotonic()
        if not force and now - self._last_flush < self._pause:
            return
        self._last_flush = now
        if not self._records and not self._frames:
            return
        self._written = False
        try:
            self._commit(self._records, self._frames)
        except (sqlite3.Error, OSError) as first:
            if self._shared and _is_read(first):
                self._roll_back()
                return
            try:
                self._commit_in_parts()
            except (sqlite3.Error, OSError) as e:
                self._failed(e)
                return
        took = time.monotonic() - now
        self._pause = min(max(FLUSH_SECONDS, took / _SHARE), _LONGEST_REST) if self._shared else FLUSH_SECONDS
        self._records.clear()
        self._frames.clear()
        self._written = True

    def _commit(self, records: dict[tuple[str, int], str], frames: dict[tuple[str, int], bytes]) -> None:
        self._db.execute("BEGIN")
        self._db.executemany(
            "INSERT OR REPLACE INTO record VALUES(?,?,?)", [(k, i, d) for (k, i), d in records.items()]
        )
        self._db.executemany("INSERT OR REPLACE INTO frame VALUES(?,?,?)", [(s, i, v) for (s, i), v in frames.items()])
        self._widths.update({s: len(v) // 4 for (s, _), v in frames.items()})
        self._thin()
        self._db.execute("COMMIT")

    def _commit_in_parts(self) -> None:
        """As much as there is room for: what the write-ahead log takes up is given back, small values come first."""
        self._roll_back()
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for frames in _parts(sorted(self._frames.items(), key=lambda f: len(f[1]))):
            self._commit({}, dict(frames))
            for key, _ in frames:
                del self._frames[key]
        for records in _parts(list(self._records.items())):
            self._commit(dict(records), {})
            for key, _ in records:
                del self._records[key]

    def _roll_back(self) -> None:
        with suppress(sqlite3.Error, OSError):
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

    def _failed(self, error: Exception) -> None:
        self._roll_back()
        self._pause = min(max(1.0, 2 * self._pause), _LONGEST_PAUSE)
        if not self.failure:
            self.failure = str(error) or type(error).__name__
            with suppress(OSError, ValueError, AttributeError):  # a stream that the script closed
                print(
                    f"flightcheck: {self.path}: cannot be written any more ({self.failure}); what was recorded before "
                    "is kept, it is tried again from time to time, and the training goes on",
                    file=sys.stderr, flush=True,
                )  # fmt: skip

    def _thin(self) -> None:
        for signal, kept in self._frames_kept.items():
            budget = max(LEAST_FRAMES, min(FRAME_BUDGET, VALUES_BUDGET // max(1, self._widths.get(signal, 1))))
            if kept <= budget:
                continue
            steps = [r[0] for r in self._db.execute("SELECT step FROM frame WHERE signal=? ORDER BY step", (signal,))]
            dropped = _superfluous(steps[: -budget // 4], budget)
            self._db.executemany("DELETE FROM frame WHERE signal=? AND step=?", [(signal, s) for s in dropped])
            self._frames_kept[signal] = len(steps) - len(dropped)

    def close(self) -> None:
        """Commit and close; the file is then a single one, which can be read where nothing can be written."""
        try:
            self._db.execute(f"PRAGMA busy_timeout={1000 * _LAST_SECONDS:.0f}")
            self.flush(force=True)
            if self._records or self._frames:
                _UNWRITTEN[self.path.absolute()] = (self._records, self._frames)
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            with suppress(sqlite3.OperationalError):  # somebody reads it at this moment
                self._db.execute("PRAGMA journal_mode=DELETE")
        except (sqlite3.Error, OSError) as e:  # all that was committed is still there, beside the file
            self._failed(e)
        finally:
            with suppress(sqlite3.Error, OSError):
                self._db.close()


def _connection(file: Path, journal: str, *, locks: bool = True) -> sqlite3.Connection:
    """A run file to be written. With a write-ahead log (``WAL``) only a second writer would make us wait."""
    name = str(file) if locks else f"{file.absolute().as_uri()}?nolock=1"
    wait = _LAST_SECONDS if journal == "WAL" else 0.0
    db = sqlite3.connect(name, uri=not locks, isolation_level=None, check_same_thread=False, timeout=wait)
    try:
        db.execute(f"PRAGMA journal_mode={journal}")
        db.execute(f"PRAGMA synchronous={'NORMAL' if journal == 'WAL' else 'OFF'}")
        db.executescript(_SCHEMA)
        db.execute("INSERT OR REPLACE INTO meta VALUES('format', ?)", (str(FORMAT),))
    except BaseException:
        db.close()
        raise
    return db


def _is_read(error: Exception) -> bool:
    """Somebody reads the file at this moment, and has it locked."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY


def _parts(items: list[T]) -> Iterator[list[T]]:
    for start in range(0, len(items), _PART):
        yield items[start : start + _PART]


def _superfluous(steps: list[int], budget: int) -> list[int]:
    """What to drop of a sorted list so that half a budget of evenly distributed steps is left."""
    if len(steps) < 2:
        return []
    distance = 2 * (steps[-1] - steps[0]) / budget
    dropped, kept = [], -math.inf
    for step in steps:
        if step - kept < distance:
            dropped.append(step)
        else:
            kept = step
    return dropped


_FRAMES: Final = "SELECT signal, step, v FROM frame"
Frame = tuple[npt.NDArray[np.int64], list[npt.NDArray[np.float32]]]


def read(
    path: Path, known: dict[str, Frame] | None = None
) -> tuple[dict[str, list[tuple[int, dict[str, Any]]]], dict[str, Frame], list[str]]:
    """Records by kind, frames by signal, and what could not be read, in words.

    Args:
        path: the run's folder or file.
        known: the first frames of signals, as they were read before; only those after them are read.

    Raises:
        RunFileError: there is no such file, it is no run file, or a newer Flightcheck wrote it.
    """
    file = path / FILE_NAME if path.is_dir() else path
    if not file.is_file():
        raise RunFileError(f"{file}: there is no such run file; 'flightcheck show' without an argument takes the last")
    records: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    frames: dict[str, Frame] = {}
    damage: list[str] = []
    try:
        with reading(file) as db:
            version = db.execute("SELECT value FROM meta WHERE key='format'").fetchone()
            if version is None or int(version[0]) > FORMAT:
                wrote = "without a version" if version is None else f"of format {version[0]}"
                raise RunFileError(f"{file}: run file {wrote}; this Flightcheck reads format {FORMAT}: upgrade it")
            _read_records(db, records, damage)
            _read_frames(db, frames, damage, known or {})
    except (sqlite3.Error, ValueError) as e:
        raise RunFileError(f"{file}: damaged, or not a run file ({e}); nothing could be read from it") from e
    _add_unwritten(file, records, frames)
    return records, frames, damage


def read_frames(file: Path, known: dict[str, Frame]) -> dict[str, Frame]:
    """The frames alone of a file that is known to be a run file; `known` as in `read`.

    Raises:
        sqlite3.Error: it cannot be read at this moment.
    """
    frames: dict[str, Frame] = {}
    with reading(file) as db:
        _read_frames(db, frames, [], known)
    return frames


def _add_unwritten(file: Path, records: dict[str, list[tuple[int, dict[str, Any]]]], frames: dict[str, Frame]) -> None:
    """What this process recorded and could not write: its own report is complete all the same."""
    pending, more = _UNWRITTEN.get(file.absolute(), ({}, {}))
    for (kind, index), data in pending.items():
        rows = dict(records.get(kind, ())) | {index: json.loads(data)}
        records[kind] = sorted(rows.items())
    for signal in {s for s, _ in more}:
        steps, values = frames.get(signal, (np.empty(0, np.int64), []))
        known = dict(zip(steps.tolist(), values))
        known |= {step: np.frombuffer(v, dtype="<f4") for (s, step), v in more.items() if s == signal}
        frames[signal] = (np.array(sorted(known), dtype=np.int64), [known[k] for k in sorted(known)])


def _read_records(db: sqlite3.Connection, out: dict[str, list[tuple[int, dict[str, Any]]]], damage: list[str]) -> None:
    try:
        for kind, index, data in db.execute("SELECT kind, idx, data FROM record ORDER BY kind, idx"):
            try:
                out.setdefault(kind, []).append((index, json.loads(data)))
            except (ValueError, TypeError):
                damage.append(f"record {kind} {index}")
    except sqlite3.DatabaseError as e:
        damage.append(f"records after {sum(map(len, out.values()))}: {e}")


def _new_frames(db: sqlite3.Connection, known: dict[str, Frame]) -> Iterator[tuple[str, int, bytes]]:
    """What follows the known ones, found by the key: the rest of the file is not read."""
    for signal in {s.name for s in SIGNALS} | set(known):
        last = int(known[signal][0][-1]) if signal in known else -1
        yield from db.execute(f"{_FRAMES} WHERE signal=? AND step>? ORDER BY step", (signal, last))


def _read_frames(db: sqlite3.Connection, out: dict[str, Frame], damage: list[str], known: dict[str, Frame]) -> None:
    rows: dict[str, list[tuple[int, npt.NDArray[np.float32]]]] = {}
    out.update({signal: frame for signal, frame in known.items() if len(frame[0])})
    try:
        for signal, step, blob in _new_frames(db, out) if out else db.execute(f"{_FRAMES} ORDER BY signal, step"):
            try:
                rows.setdefault(signal, []).append((int(step), np.frombuffer(blob, dtype="<f4")))
            except (ValueError, TypeError):
                damage.append(f"series {signal}, step {step}")
    except sqlite3.DatabaseError as e:
        damage.append(f"series: {e}")
    for signal, items in rows.items():
        new = (np.array([s for s, _ in items], dtype=np.int64), [v for _, v in items])
        before = out.get(signal)
        out[signal] = new if before is None else (np.concatenate([before[0], new[0]]), [*before[1], *new[1]])
