"""Reads from a run file what a tracker has not got yet, also while the training writes it.

Every look opens the file, reads a few rows and closes it again: no transaction of ours stays open in which the
training would have to wait.
"""

from __future__ import annotations

import datetime
import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np

from flightcheck.errors import RunFileError
from flightcheck.exporters.base import Heading
from flightcheck.frozen import frozen
from flightcheck.recording.metrics import PREFIX
from flightcheck.recording.opening import reading
from flightcheck.recording.signals import (
    CPU_USE,
    GPU_MEMORY,
    GRAD_NORM_TOTAL,
    LEARNING_RATE,
    LOSS,
    MEMORY,
    NOT_THERE,
    Signal,
)
from flightcheck.recording.store import FILE_NAME

_CURVES: Final[dict[Signal, str]] = {
    LOSS: "loss", GRAD_NORM_TOTAL: "gradient_norm", LEARNING_RATE: "lr", CPU_USE: "system/processors",
    MEMORY: "system/memory_mib", GPU_MEMORY: "system/gpu_memory_mib",
}  # fmt: skip
"""Signals that travel, and what trackers call them. What is measured for every layer stays in the report page: a
thousand layers would be ten thousand curves.
"""
_OWN: Final = (PREFIX, f"{PREFIX}\U0010ffff")
"""Between these lie the names of the script's own numbers."""
_FORBIDDEN: Final = re.compile(r"[^\w./ -]")
"""What MLflow refuses in the name of a metric."""
_EVALUATIONS: Final = "Evaluation"
EVALUATION_LOSS: Final = "evaluation_loss"

Cursor = dict[str, int]
"""Per series the step, or the number of the record, up to which all is sent."""


@frozen
class Row:
    """One number, and the series and place in it that it comes from."""

    series: str
    place: int
    name: str
    step: int
    value: float


class RunReader:
    """One run file."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / FILE_NAME

    def heading(self) -> Heading:
        """What the run is.

        Raises:
            RunFileError: the file cannot be read, or does not say it yet.
        """
        info = self._info()
        try:
            started = datetime.datetime.fromisoformat(info.get("started") or "").timestamp()
        except ValueError:
            started = self._file.stat().st_mtime
        return Heading(str(info.get("id")), str(info.get("command")), str(info.get("script")), started)

    def begun(self) -> bool:
        """The file is there, and says of which run it is."""
        try:
            return bool(self._info())
        except RunFileError:
            return False

    def over(self) -> bool:
        """The run has said how it ended."""
        return bool(self._info().get("ended") != "running")

    def seconds(self) -> float:
        """How long the run took, 0 while it goes on."""
        return float(self._info().get("seconds") or 0.0)

    def newest_step(self) -> int:
        """The last step of which anything is recorded, -1 if there is none."""
        with self._opened() as db:
            # The script's own numbers may have steps of their own.
            found = db.execute("SELECT MAX(step) FROM frame WHERE signal NOT BETWEEN ? AND ?", _OWN).fetchone()[0]
        return -1 if found is None else int(found)

    def rows(self, cursor: Cursor, most: int, settled: bool) -> list[Row]:
        """At most `most` numbers per series that lie behind the cursor, in the order of their steps.

        Args:
            cursor: where to go on.
            most: the largest number per series.
            settled: the run is over. Else the newest step is left for later: it may still be written again.
        """
        before = 2**62 if settled else self.newest_step()
        with self._opened() as db:
            found = [
                row for signal in _CURVES for row in _curve(db, signal, cursor.get(signal.name, -1), before, most=most)
            ]
            found += _evaluations(db, cursor, before, most)
            named = db.execute("SELECT DISTINCT signal FROM frame WHERE signal BETWEEN ? AND ?", _OWN).fetchall()
            found += [row for (name,) in named for row in _own(db, name, cursor.get(name, -1), most, settled)]
        return sorted(found, key=lambda r: r.step)

    def _info(self) -> dict[str, Any]:
        with self._opened() as db:
            row = db.execute("SELECT data FROM record WHERE kind='RunInfo' ORDER BY idx LIMIT 1").fetchone()
        if row is None:
            raise RunFileError(f"{self._file}: does not say of which run it is")
        found: dict[str, Any] = json.loads(row[0])
        return found

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        try:
            with reading(self._file, timeout=2) as db:
                yield db
        except sqlite3.Error as e:
            raise RunFileError(f"{self._file}: cannot be read ({e})") from e


def _curve(db: sqlite3.Connection, signal: Signal, after: int, before: int, *, most: int) -> Iterator[Row]:
    rows = db.execute(
        "SELECT step, v FROM frame WHERE signal=? AND step>? AND step<? ORDER BY step LIMIT ?",
        (signal.name, after, before, most),
    )
    for step, packed in rows:
        for column, value in enumerate(np.frombuffer(packed, dtype="<f4").tolist()):
            if value != NOT_THERE or signal is LOSS:
                name = _CURVES[signal]
                yield Row(signal.name, step, f"{name}_{column + 1}" if column else name, step, value)


def _own(db: sqlite3.Connection, signal: str, after: int, most: int, settled: bool) -> Iterator[Row]:
    """One series of the script's own numbers, as ``printed/test acc``; the newest one may still be written again."""
    last = 2**62 if settled else db.execute("SELECT MAX(step) FROM frame WHERE signal=?", (signal,)).fetchone()[0]
    name = _FORBIDDEN.sub("_", signal.removeprefix(PREFIX))
    rows = db.execute(
        "SELECT step, v FROM frame WHERE signal=? AND step>? AND step<? ORDER BY step LIMIT ?",
        (signal, after, last, most),
    )
    for step, packed in rows:
        yield Row(signal, step, name, step, float(np.frombuffer(packed, dtype="<f4")[0]))


def _evaluations(db: sqlite3.Connection, cursor: Cursor, before: int, most: int) -> Iterator[Row]:
    """The losses of evaluations; those of a second model get a name of their own."""
    first = db.execute("SELECT data FROM record WHERE kind=? ORDER BY idx LIMIT 1", (_EVALUATIONS,)).fetchone()
    rows = db.execute(
        "SELECT idx, data FROM record WHERE kind=? AND idx>? ORDER BY idx LIMIT ?",
        (_EVALUATIONS, cursor.get(_EVALUATIONS, -1), most),
    )
    for index, data in rows:
        told = json.loads(data)
        if told["step"] >= before:
            return
        if told.get("loss_value") is not None:
            same = told["root"] == json.loads(first[0])["root"]
            name = EVALUATION_LOSS if same else f"{EVALUATION_LOSS}_of_model_{told['root']}"
            yield Row(_EVALUATIONS, index, name, told["step"], float(told["loss_value"]))
