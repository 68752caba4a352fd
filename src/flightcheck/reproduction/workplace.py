"""A copy of the folder in which a script was started, whose files can be replaced without touching the user's."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Final

from flightcheck.lab.scratch import Scratch

_LEVELS: Final = 2
"""Folders above the original that the copy is surrounded by, as `Scratch` makes it."""


class Workplace:
    """Copies below one temporary folder; every path of the original has its place in it.

    Args:
        recorded: the folder in which the script was started.
        source: the folder that is copied: the same, or one that has taken its place.
    """

    def __init__(self, recorded: Path, source: Path) -> None:
        self.recorded = recorded
        self._source = source.absolute()
        self._scratch = Scratch(self._source)
        self.root = self._scratch.root.resolve()
        self.renew()

    def renew(self) -> None:
        """Begin with a new copy of the folder as it is today."""
        shutil.rmtree(self.root / "elsewhere", ignore_errors=True)
        self.folder = self._scratch.make().resolve()
        above = list(self._source.parents)[:_LEVELS]
        self._outermost = above[-1] if above else self._source
        self._copy_of_outermost = self.folder.parents[len(above) - 1] if above else self.folder

    def at(self, path: Path) -> Path:
        """Where a path of the original lies here."""
        if path.is_relative_to(self.recorded):
            return self.folder / path.relative_to(self.recorded)
        if self.recorded == self._source and path.is_relative_to(self._outermost):
            return self._copy_of_outermost / path.relative_to(self._outermost)
        return self.root / "elsewhere" / path.relative_to(path.anchor)

    def moved(self) -> dict[str, str]:
        """Folders of the original and their copies, the innermost first."""
        found = {str(self.recorded): str(self.folder)}
        if self.recorded == self._source:
            for level in range(1, _LEVELS + 1):
                if level <= len(self.recorded.parents):
                    found[str(self.recorded.parents[level - 1])] = str(self.folder.parents[level - 1])
        return {original: copy for original, copy in found.items() if original != os.sep}

    def bring(self, folder: Path) -> None:
        """Copy a folder of the original that is not part of the copy yet: a script's own."""
        target = self.at(folder)
        if target.is_relative_to(self.folder) or not folder.is_dir():
            return
        self._own(target.parent)
        if target.is_symlink():
            target.unlink()
        if not target.exists():
            target.mkdir()
            self._scratch.copy(folder, target)

    def read(self, path: Path) -> bytes | None:
        """The content of a file as it is here; None if there is none."""
        try:
            return self.at(path).read_bytes()
        except OSError:
            return None

    def write(self, path: Path, data: bytes) -> None:
        """Put a file in the place of the one that is here."""
        self.remove(path)
        target = self.at(path)
        self._own(target.parent)
        target.write_bytes(data)

    def remove(self, path: Path) -> None:
        """Take a file, or a link to a folder, away; the original stays. Folders that are empty then go, too."""
        target = self.at(path)
        if not target.is_symlink() and not target.is_file():
            return
        self._own(target.parent)
        target.unlink()
        with suppress(OSError):
            above = target.parent
            while above.is_relative_to(self.folder) and above != self.folder:
                above.rmdir()
                above = above.parent

    def _own(self, folder: Path) -> None:
        """Make a folder, and those above it, ours: a link to one of the user's becomes a folder of links."""
        here = self.root
        for part in folder.relative_to(self.root).parts:
            here = here / part
            if here.is_symlink():
                there = here.resolve()
                here.unlink()
                here.mkdir()
                if there.is_dir():
                    with os.scandir(there) as entries:
                        for entry in entries:
                            (here / entry.name).symlink_to(entry.path)
            else:
                here.mkdir(exist_ok=True)

    def close(self) -> None:
        """Remove all copies."""
        self._scratch.close()
