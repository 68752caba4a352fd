"""A folder for each trial that looks like the one the script was started in, and is thrown away."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any, Final

LARGEST_FILE: Final = 4 * 2**20
LARGEST_COPY: Final = 64 * 2**20
MOST_FILES: Final = 2000
MOST_NEIGHBOURS: Final = 500
_LEVELS: Final = 2
"""Folders above the original whose other entries a script can read."""
_LEFT_OUT: Final = {".git", ".flightcheck", "__pycache__", ".venv", "venv", "node_modules", ".mypy_cache", ".tox"}


class Scratch:
    """Copies of a folder: small files are copied, the rest is linked to for reading: a trial's guard sees to it."""

    def __init__(self, original: Path) -> None:
        self.original = original
        self.root = Path(tempfile.mkdtemp(prefix="flightcheck-"))
        self._made = 0

    def make(self) -> Path:
        """A fresh copy."""
        self._made += 1
        folder = self._surrounded(self.root / str(self._made))
        self.copy(self.original, folder)
        return folder

    def copy(self, source: Path, target: Path) -> None:
        """Fill an empty folder with what is in another one: small files as copies, the rest as links."""
        self._bytes = self._files = 0
        self._fill(source, target)

    def in_original(self, told: Any) -> Any:
        """What a trial tells, with the user's own paths in the place of those of its copies.

        Args:
            told: texts, in lists and dictionaries; anything else stays as it is.
        """
        if isinstance(told, str):
            roots = "|".join(re.escape(str(root)) for root in {self.root, self.root.resolve()})
            outermost = str(self._path()[0]).rstrip(os.sep)
            return re.sub(rf"(?:{roots})/\d+(?=/|\b)", lambda _: outermost, told)
        if isinstance(told, dict):
            return {k: self.in_original(v) for k, v in told.items()}
        return [self.in_original(v) for v in told] if isinstance(told, list) else told

    def _path(self) -> list[Path]:
        """The original and the folders around it that a copy has, too; the outermost first."""
        original = self.original.absolute()
        return [*list(original.parents)[:_LEVELS][::-1], original]

    def _surrounded(self, outermost: Path) -> Path:
        """An empty folder whose neighbours are those of the original, as links: for scripts that read ``../data``."""
        here = outermost
        here.mkdir()
        path = self._path()
        for parent, inner in itertools.pairwise(path):
            for entry in _entries(parent)[:MOST_NEIGHBOURS]:
                if entry.name != inner.name and entry.name not in _LEFT_OUT:
                    (here / entry.name).symlink_to(entry.path)
            here = here / inner.name
            here.mkdir()
        return here

    def _fill(self, source: Path, target: Path) -> None:
        for entry in _entries(source):
            if entry.name in _LEFT_OUT:
                continue
            inner = target / entry.name
            try:
                if entry.is_dir(follow_symlinks=False):
                    if self._files > MOST_FILES or self._is_large(Path(entry.path)):
                        inner.symlink_to(entry.path)
                    else:
                        inner.mkdir()
                        self._fill(Path(entry.path), inner)
                elif entry.is_dir():  # a link, to a data set elsewhere
                    inner.symlink_to(Path(entry.path).resolve())
                elif entry.is_file():
                    self._file(entry, inner)
            except OSError:  # a socket, no permission, gone meanwhile: the script will say if it needs it
                continue

    def _file(self, entry: os.DirEntry[str], inner: Path) -> None:
        size = entry.stat().st_size
        self._files += 1
        if size > LARGEST_FILE or self._bytes + size > LARGEST_COPY or self._files > MOST_FILES:
            inner.symlink_to(Path(entry.path).resolve())
        else:
            self._bytes += size
            shutil.copy2(entry.path, inner)

    def _is_large(self, folder: Path) -> bool:
        """A folder with very many entries at its top, such as a data set of images."""
        with os.scandir(folder) as entries:
            return sum(1 for _, _ in zip(entries, range(500))) >= 500

    def close(self) -> None:
        """Remove all copies."""
        shutil.rmtree(self.root, ignore_errors=True)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """Of a folder, files first; none if it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda e: (e.is_dir(), e.name))
    except OSError:
        return []
