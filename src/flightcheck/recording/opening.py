"""Opens run files for reading: nothing of the run is ever changed by who reads it.

A file with a rollback journal beside it is being written on a network disk, by another machine perhaps, whose locks
are not seen here; or its writer was killed. So it is copied between two transactions and read from the copy, in which
a transaction that was broken off is undone.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

TIMEOUT: Final = 5.0
"""Seconds to wait for a writer that commits at this moment."""
_TRIES: Final = 40
_PAUSE: Final = 0.025
_UNFINISHED: Final = frozenset(
    {"SQLITE_READONLY_ROLLBACK", "SQLITE_READONLY_RECOVERY", "SQLITE_READONLY_CANTINIT", "SQLITE_CANTOPEN"}
)
"""The last transaction is not complete, and what completes or undoes it would have to be written beside the file."""
_JOURNAL, _LOG = "-journal", "-wal"
_HEAD: Final = 100
"""Bytes in which a transaction leaves its mark: a counter in the file's head, a random number in the journal's."""


@contextmanager
def reading(file: Path, timeout: float = TIMEOUT) -> Iterator[sqlite3.Connection]:
    """A run file as it is now, all of it of one moment.

    Args:
        file: a run file.
        timeout: seconds to wait for a writer.

    Raises:
        sqlite3.Error: it cannot be read.
    """
    if not file.is_file():
        raise sqlite3.OperationalError("there is no such file")
    if not _beside(file, _JOURNAL).exists():
        with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True, timeout=timeout)) as db:
            if _begins(db):
                yield db
                return
    import tempfile  # most files are read in place

    with tempfile.TemporaryDirectory(prefix="flightcheck-") as folder, closing(_copy(file, Path(folder))) as db:
        yield db


def _begins(db: sqlite3.Connection) -> bool:
    """Begin to read: from now on nothing of it changes."""
    try:
        db.execute("BEGIN")
        db.execute("SELECT 1 FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as e:
        if getattr(e, "sqlite_errorname", "") not in _UNFINISHED:
            raise
        return False
    return True


def _copy(file: Path, folder: Path) -> sqlite3.Connection:
    """What is changed in the file stands in the journal before, so the journal is copied after it."""
    import shutil

    target = folder / file.name
    try:
        for _ in range(_TRIES):
            before = _mark(file)
            shutil.copyfile(file, target)
            for ending in (_JOURNAL, _LOG):
                _beside(target, ending).unlink(missing_ok=True)
                with suppress(FileNotFoundError):  # the writer has closed the file
                    shutil.copyfile(_beside(file, ending), _beside(target, ending))
            if _mark(file) == before:
                break
            time.sleep(_PAUSE)
    except OSError as e:
        raise sqlite3.OperationalError(f"cannot be copied to be read: {e}") from e
    return sqlite3.connect(target)


def _mark(file: Path) -> list[bytes]:
    """What is another one when a transaction has begun or ended."""
    found = []
    for path in (file, _beside(file, _JOURNAL)):
        try:
            with path.open("rb") as stream:
                found.append(stream.read(_HEAD))
        except OSError:
            found.append(b"")
    return found


def _beside(file: Path, ending: str) -> Path:
    return Path(f"{file}{ending}")
