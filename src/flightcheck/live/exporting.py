"""Writes a run for TensorBoard while it goes on."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from flightcheck.checks.registry import run_checks
from flightcheck.diagnosis.engine import diagnose
from flightcheck.errors import RunFileError
from flightcheck.recording.following import RunFollower
from flightcheck.recording.run import Run
from flightcheck.report.tensorboard.export import RunExport

EVERY: Final = 2.0
"""Seconds between two writes."""


class Export:
    """Hands what is new in a run file to an event file. Nobody but this process waits for a slow disk."""

    def __init__(self, task: dict[str, Any]) -> None:
        self.follower = RunFollower(Path(task["folder"]))
        self._select, self._ignore = task.get("select", ()), task.get("ignore", ())
        self._folder = Path(task["tensorboard"])
        self._export: RunExport | None = None
        self._next = 0.0
        self._stale = False

    def look(self, changed: bool) -> None:
        """Write what is new."""
        self._stale |= changed
        if not self._stale or time.monotonic() < self._next:
            return
        self._stale = False
        with suppress(RunFileError):  # it is being closed at this moment
            run = self.follower.run()
            self._exported(run).add_new(run)
        self._next = time.monotonic() + EVERY

    def end(self) -> None:
        """Write the rest, the graph and the findings."""
        run = self.follower.run()
        self._exported(run).finish(run, diagnose(run, run_checks(run, self._select, self._ignore)))

    def _exported(self, run: Run) -> RunExport:
        if self._export is None:
            self._export = RunExport(self._folder, run)
        return self._export
