"""What every exporter can do, and what it is given."""

from __future__ import annotations

import importlib
import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any, ClassVar, Final

from flightcheck.errors import MissingExtra, UsageError
from flightcheck.frozen import frozen
from flightcheck.redaction import redacted_text

TRACKERS: Final = ("mlflow", "wandb", "comet", "trackio")
"""Names of trackers, each of which is the name of the file beside this one that knows it, too."""
MOST_POINTS: Final = 1000
"""Points handed over at once: the largest batch that MLflow accepts."""

Param = str | float | bool


@frozen
class Destination:
    """Where a run is to be sent."""

    tracker: str
    """One of `TRACKERS`."""
    where: str
    """An address or a folder, as the tracker's `Exporter.place` returned it."""
    project: str
    """What the tracker calls project or experiment."""
    models: bool = False
    """The files of weights that the script saved are sent, too."""


@frozen
class Point:
    """One number of a curve."""

    name: str
    step: int
    value: float
    """It may be NaN or infinite."""
    time: float
    """Seconds since 1970."""


@frozen
class Heading:
    """What is known of a run when it begins."""

    id: str
    command: str
    """Without secrets."""
    script: str
    started: float
    """Seconds since 1970."""


@frozen
class DataSource:
    """One part of the data that the run used."""

    name: str
    digest: str
    role: str
    """``training``, ``evaluation`` or empty."""
    examples: int | None
    classes: Mapping[str, int]
    """How often each label occurs, where labels are whole numbers."""


@frozen
class Contents:
    """What is known of a run when it is over. All texts are without secrets."""

    params: Mapping[str, Param]
    tags: Mapping[str, str]
    labels: Sequence[str]
    """The user's tags, and the codes of what was found."""
    text: str
    """The user's note and the findings, as Markdown."""
    ended: str
    """`RunInfo.ended`."""
    end: float
    """Seconds since 1970."""
    data: Sequence[DataSource] = ()
    code: str = ""
    """The text of the script."""
    files: Mapping[str, Path] = field(default_factory=dict)
    """Files by the names that they get in the tracker: the report page, copies of the code, the run file."""
    models: Sequence[Path] = ()
    """Files of weights that the script saved, the last one last."""


class Exporter(ABC):
    """One run in one tracker. What its methods raise means: not arrived; it is tried again later, from `begin` on."""

    package: ClassVar[str]
    """The library as it is imported."""
    extra: ClassVar[str]
    """Name of our optional dependency that installs it."""

    @property
    def live(self) -> bool:
        """What is handed over is kept even if this process is killed, so that it can be sent bit by bit while training
        goes on. Else all of it is sent at the end, from one process.
        """
        return True

    def __init__(self, destination: Destination, export: str, folder: Path) -> None:
        """Loads no library yet.

        Args:
            destination: where to send.
            export: a name for this sending that nothing else has, the same when it is tried again.
            folder: the run's folder.
        """
        self.destination = destination
        self.export = export
        self.folder = folder

    @classmethod
    @abstractmethod
    def place(cls, where: str) -> str:
        """The place that the user's words mean, with absolute paths.

        Raises:
            UsageError: they mean none.
        """

    @abstractmethod
    def begin(self, heading: Heading, known: str, tried: bool) -> str:
        """Make the run in the tracker, or go on with it.

        Args:
            heading: what is known of it.
            known: what an earlier call returned; empty if none has.
            tried: an earlier call failed, perhaps only after the tracker had made the run.

        Returns:
            The tracker's name of the run.
        """

    @abstractmethod
    def describe(self, params: Mapping[str, Param]) -> None:
        """Send parameters: at most once while the run goes on, and once more at its end, when more are known."""

    @abstractmethod
    def log(self, points: Sequence[Point]) -> None:
        """Send at most `MOST_POINTS` points. The same ones may come again after a failure."""

    @abstractmethod
    def finish(self, contents: Contents) -> None:
        """Send what is known at the end, and close the run. It may come again after a failure."""

    @abstractmethod
    def told(self) -> str:
        """Where the user finds the run now, in words or as an address."""

    def close(self) -> None:  # noqa: B027  # most have nothing to let go of
        """Let go of everything, also after a failure."""


def exporter_class(tracker: str) -> type[Exporter]:
    """The exporter of a tracker; its library is not loaded.

    Raises:
        UsageError: there is no such tracker.
    """
    if tracker not in TRACKERS:
        raise UsageError(f"{tracker!r} is no tracker that is known here; there are {', '.join(TRACKERS)}")
    found: type[Exporter] = importlib.import_module(f"flightcheck.exporters.{tracker}").Exporter
    return found


def destination_of(text: str, project: str, models: bool = False) -> Destination:
    """A destination from ``TRACKER`` or ``TRACKER=WHERE``.

    Raises:
        UsageError: the tracker is unknown, or its place is.
        MissingExtra: its library is not installed.
    """
    tracker, _, where = text.partition("=")
    exporter = exporter_class(tracker)
    if where and redacted_text(where) != where:
        raise UsageError(
            f"--to {tracker}: the address holds what looks like a password; leave it to the tracker's own "
            "configuration (docs/trackers.md names the variables)"
        )
    if importlib.util.find_spec(exporter.package) is None:
        raise MissingExtra(
            f"{exporter.package} is not installed here; pip install 'flightcheck[{exporter.extra}]' brings it"
        )
    return Destination(tracker, exporter.place(where), project or "flightcheck", models)


def folder_of(where: str, default: str) -> str:
    """An absolute path of a folder that a user named; it need not exist.

    Raises:
        UsageError: there is a file of that name.
    """
    path = Path(where or default).expanduser().absolute()
    if path.exists() and not path.is_dir():
        raise UsageError(f"{path}: is a file; a folder is wanted")
    return str(path)


def plain(value: Any) -> Any:
    """A parameter as JSON can hold it."""
    return value if isinstance(value, (str, bool, int, float)) else str(value)
