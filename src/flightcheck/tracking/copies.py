"""Copies of the code of a run, and which files are the user's."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

from flightcheck.recording.store import RunWriter
from flightcheck.recording.surroundings import SourceFile
from flightcheck.tracking.code import packages, source_files, user_modules
from flightcheck.tracking.git import root_of


def user_files(script: Path | None, started_in: Path) -> list[str]:
    """The script and the modules that lie in its folder, in the one where it was started, or in its repository."""
    home = script.parent if script else started_in
    folders = (str(home), str(started_in), *(f"{root}{os.sep}" for root in [root_of(home)] if root is not None))
    return sorted({*user_modules(folders), *([str(script)] if script else [])})


class Code:
    """Copies of the code that runs: the script as it is at the start, modules as they are when they are saved."""

    def __init__(self, script: str | None, started_in: Path) -> None:
        self._script = Path(script).resolve() if script else None
        self._started_in = started_in
        self._began = time.time()
        self._main: list[SourceFile] = []

    def save(self, writer: RunWriter) -> None:
        """Write what is known by now; never raises."""
        with suppress(Exception):
            script = str(self._script) if self._script is not None else None
            files = list(source_files(script, user_files(self._script, self._started_in), self._began))
            self._main = self._main or [f for f in files if f.main]
            for i, file in enumerate([*self._main, *(f for f in files if not f.main)]):
                writer.put(file, i)
            writer.put(packages())
