"""What of a run has arrived where: one small file per destination, in the run's folder.

The run file itself is the spool: what is not sent yet stands there. So nothing is written twice, and a run that was
recorded while its tracker was down can be copied to another machine and sent from there.
"""

from __future__ import annotations

import dataclasses
import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from flightcheck.errors import UsageError
from flightcheck.exporters.base import Destination
from flightcheck.tracking.summary import read_json, write_json

SCHEMA: Final = "flightcheck.export/1"
FOLDER: Final = "exports"


@dataclass
class Progress:
    """How far the sending of one run to one destination is."""

    destination: Destination
    export: str
    """A name that no other sending has."""
    run: str = ""
    """The tracker's name of the run; empty until it exists there."""
    told: str = ""
    """Where the user finds it."""
    cursor: dict[str, int] = field(default_factory=dict)
    anchor: tuple[int, float] | None = None
    """Step and time up to which all is sent."""
    reached: tuple[int, float] | None = None
    """Step and time of what is being sent: a repetition has the same times as the first try."""
    points: int = 0
    described: bool = False
    complete: bool = False
    attempts: int = 0
    """Failures since the last success."""
    error: str = ""
    """The last failure, in words."""
    file: Path = field(default=Path(), compare=False)

    def save(self) -> None:
        """Write it to its file.

        Raises:
            OSError: that is not possible.
        """
        data = dataclasses.asdict(self)
        del data["file"]
        self.file.parent.mkdir(exist_ok=True)
        write_json(self.file, {"schema": SCHEMA, **data})


def progress_of(folder: Path, destination: Destination, *, again: bool = False) -> Progress:
    """What is known of the sending of a run to a destination; a new one if nothing is, or if it is to be sent again.

    Args:
        folder: the run's folder.
        destination: where it is sent.
        again: forget an earlier sending.
    """
    key = hashlib.sha256(f"{destination.where}\n{destination.project}".encode()).hexdigest()[:8]
    file = folder / FOLDER / f"{destination.tracker}-{key}.json"
    known = None if again else progress_at(file)
    if known is not None:
        known.destination = destination  # the models may be wanted now
        return known
    return Progress(destination, secrets.token_hex(8), file=file)


def all_progress(folder: Path) -> list[Progress]:
    """Everything that was begun for a run."""
    files = sorted((folder / FOLDER).glob("*-*.json"))
    return [found for file in files if (found := progress_at(file)) is not None]


def progress_at(file: Path) -> Progress | None:
    """What a file holds; None if that is no sending."""
    data: dict[str, Any] | None = read_json(file)
    if data is None or data.get("schema") != SCHEMA:
        return None
    names = {f.name for f in dataclasses.fields(Progress)}
    with suppress(TypeError, KeyError):
        values = {k: v for k, v in data.items() if k in names}
        values["destination"] = Destination(**data["destination"])
        for name in ("anchor", "reached"):
            values[name] = tuple(data[name]) if data.get(name) else None
        return Progress(**values, file=file)
    return None


@contextmanager
def only_sender(progress: Progress) -> Iterator[None]:
    """Hold the sending for this process; it is let go when the process ends, however that happens.

    Raises:
        UsageError: another process is sending the same.
    """
    try:
        import fcntl
    except ImportError:  # Windows: there the user sees to it
        yield
        return
    progress.file.parent.mkdir(exist_ok=True)
    with progress.file.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                f"{progress.file.parent.parent.name}: another process is sending this run to "
                f"{progress.destination.tracker} at the moment"
            ) from None
        except OSError:  # a network disk without locks
            pass
        yield
