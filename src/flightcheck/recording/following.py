"""Reads a run file while another process writes it, without a moment in which the writer would wait."""

from __future__ import annotations

import sqlite3
from functools import cached_property
from pathlib import Path
from typing import Final

from flightcheck.recording import store
from flightcheck.recording.disks import on_network_disk
from flightcheck.recording.run import Run

REWRITTEN: Final = 16
"""Rounds that later ones may still complete (`flightcheck.adapters.torch.statistics`): they are read again."""
MOST_KEPT: Final = 2 * store.FRAME_BUDGET
"""Samples of a signal; with more, everything is read again, for the writer thins what it keeps."""


class RunFollower:
    """Follows one run, from another process than the one that trains.

    The folder need not be there yet. Reading is `readable` only where a reader never makes the writer wait: where the
    file has a write-ahead log, or lies on a network disk.
    """

    def __init__(self, folder: Path) -> None:
        self.file = folder / store.FILE_NAME
        self._log = Path(f"{self.file}-wal")
        self._seen: tuple[object, ...] = ()
        self._frames: dict[str, store.Frame] = {}

    def changed(self) -> bool:
        """Something was written since the last call."""
        seen = (_state(self.file), _state(self._log))
        changed = seen != self._seen
        self._seen = seen
        return changed

    @cached_property
    def _shared(self) -> bool:
        return on_network_disk(self.file.parent)

    @property
    def readable(self) -> bool:
        """Reading now costs the writer nothing. False on disks of this machine where SQLite has no write-ahead log."""
        return self._log.exists() or self._shared

    def series(self) -> Run:
        """The series alone, read as far as they are new: cheap."""
        self._read_new()
        return Run({}, dict(self._frames), path=self.file.parent)

    def run(self) -> Run:
        """Everything that is recorded by now.

        Raises:
            RunFileError: see `flightcheck.recording.store.read`.
        """
        records, frames, damage = store.read(self.file, self._known())
        self._frames = frames
        return Run.of(records, dict(frames), damage, self.file.parent)

    def _read_new(self) -> None:
        try:
            self._frames = store.read_frames(self.file, self._known())
        except sqlite3.Error:  # it is being closed at this moment: the next look will tell
            pass

    def _known(self) -> dict[str, store.Frame]:
        if any(len(steps) > MOST_KEPT for steps, _ in self._frames.values()):
            return {}
        kept = {}
        for signal, (steps, rows) in self._frames.items():
            settled = int((steps <= steps[-1] - REWRITTEN).sum()) if len(steps) else 0
            kept[signal] = (steps[:settled], rows[:settled])
        return kept


def _state(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
