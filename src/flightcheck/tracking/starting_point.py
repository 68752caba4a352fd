"""What is recorded before a script starts, so that it can be started again: command, code, files at hand."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from flightcheck.recording.starting_point import CodeState, Invocation, WorkingFolder
from flightcheck.redaction import redacted
from flightcheck.tracking.git import code_state
from flightcheck.tracking.summary import RUN_FILE

_MOST_FILES: Final = 400
_DEEPEST: Final = 4
NEVER_READ: Final = {
    ".git", ".flightcheck", "__pycache__", ".venv", "venv", "node_modules", ".mypy_cache", ".ruff_cache", ".tox",
    ".pytest_cache",
}  # fmt: skip
"""Folders of which no file is an input of a script; nor is a recorded run."""


def starting_point(script: str | None, module: str | None, arguments: Sequence[str]) -> Iterator[Any]:
    """The records of a run that is about to begin in the current folder; those that can be made."""
    here = Path.cwd()
    shown = redacted(arguments)
    yield Invocation(
        script=script or "", module=module or "", arguments=shown,
        hidden=[i for i, (a, b) in enumerate(zip(shown, arguments)) if a != b], folder=str(here),
        python_path=[p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p],
    )  # fmt: skip
    yield from code_at_hand(script)
    with suppress(OSError):
        yield working_folder(here)


def code_at_hand(script: str | None) -> Iterator[CodeState]:
    """The state of the repository around a script, or around the current folder; nothing without a repository."""
    with suppress(OSError):
        state = code_state(Path(script).resolve().parent if script else Path.cwd())
        if state is not None:
            yield state


def working_folder(folder: Path) -> WorkingFolder:
    """The files below a folder, as far as they are few.

    Raises:
        OSError: the folder is gone.
    """
    files: dict[str, list[float]] = {}
    for file in files_below(folder):
        if file is None or len(files) >= _MOST_FILES:
            return WorkingFolder(files, complete=False)
        with suppress(OSError):
            status = file.stat()
            files[Path(file.path).relative_to(folder).as_posix()] = [status.st_size, status.st_mtime]
    return WorkingFolder(files)


def files_below(folder: Path, levels: int = _DEEPEST) -> Iterator[os.DirEntry[str] | None]:
    """The files below a folder; None for a folder that lies too deep to be looked into."""
    if not levels:
        yield None
        return
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda e: (e.is_dir(), e.name))
    except OSError:
        return
    if any(entry.name == RUN_FILE for entry in found):
        return
    for entry in found:
        if entry.name in NEVER_READ:
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from files_below(Path(entry.path), levels - 1)
        elif entry.is_file():
            yield entry
