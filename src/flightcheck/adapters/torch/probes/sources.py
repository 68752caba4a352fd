"""Where the user's classes are written."""

from __future__ import annotations

import inspect
from pathlib import Path


def file_of(cls: type) -> str:
    """The file of a class; ``<string>`` if it has none."""
    try:
        return str(Path(inspect.getfile(cls)).resolve())
    except (TypeError, OSError):
        return "<string>"


def as_written(file: str) -> str:
    """The name that a file has for the user: a trial works in a copy of the user's folder."""
    path = Path(file)
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
