"""Whose line is it? From the stack of a call to the line of the user's code that made it."""

from __future__ import annotations

import linecache
import site
import sys
import sysconfig
from functools import cache
from pathlib import Path
from types import CodeType, FrameType, TracebackType
from typing import Any

from flightcheck.adapters.torch.frames import local
from flightcheck.recording.records import Location

_PACKAGE = str(Path(__file__).resolve().parents[2])
_LIBRARIES = tuple(
    {
        *(sysconfig.get_paths()[k] for k in ("stdlib", "platstdlib", "purelib", "platlib")),
        *site.getsitepackages(),
        str(Path(sys.base_prefix) / "lib"),
    }
)
_DISPATCH = tuple(str(Path("torch", name)) for name in ("_tensor.py", "overrides.py"))
"""Where PyTorch passes the operators of tensors on."""


class SourceLines:
    """Finds user frames. What is the user's: every file that is neither a library's nor ours."""

    def __init__(self, script_folder: str = "") -> None:
        # A package started with -m may itself be installed among the libraries.
        self._own = script_folder if script_folder.startswith(_LIBRARIES) else ""
        self.is_user = cache(self._is_user)
        self._locations: dict[tuple[CodeType, int], Location] = {}

    def _is_user(self, file: str) -> bool:
        if file.startswith((_PACKAGE, "<frozen")) or file == "<string>":
            return False
        if self._own and file.startswith(self._own):
            return True
        return not file.startswith(_LIBRARIES) and "site-packages" not in file

    def here(self, depth: int = 1) -> Location | None:
        """The innermost line of the user's code on the stack of the caller."""
        frame: FrameType | None = sys._getframe(depth)
        while frame is not None:
            if self.is_user(frame.f_code.co_filename):
                return self.at(frame)
            frame = frame.f_back
        return None

    def stack(self, most: int) -> list[Location]:
        """The lines of the user's code on the stack of the caller, innermost first, at most so many."""
        found: list[Location] = []
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and len(found) < most:
            if self.is_user(frame.f_code.co_filename):
                found.append(self.at(frame))
            frame = frame.f_back
        return found

    def calling(self) -> Location | None:
        """The line of the user's code that called a tensor operation; None if a library's code did."""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and _passes_on(frame.f_code.co_filename):
            frame = frame.f_back
        return self.at(frame) if frame is not None and self.is_user(frame.f_code.co_filename) else None

    def construction(self, constructed: Any, depth: int = 1) -> Location | None:
        """The line that constructs an object, asked from inside its ``__init__``.

        Frames of the object's own ``__init__`` methods (``super().__init__()``) are passed over.
        """
        frame: FrameType | None = sys._getframe(depth)
        while frame is not None:
            code = frame.f_code
            if self.is_user(code.co_filename) and not _initializes(frame, constructed):
                return self.at(frame)
            frame = frame.f_back
        return None

    def in_traceback(self, traceback: TracebackType | None) -> Location | None:
        """The innermost line of the user's code in a traceback."""
        found = None
        while traceback is not None:
            if self.is_user(traceback.tb_frame.f_code.co_filename):
                found = self.at(traceback.tb_frame, traceback.tb_lineno)
            traceback = traceback.tb_next
        return found

    def of(self, file: str, line: int) -> Location:
        """The location of a line of a file."""
        return Location(file, line, "", linecache.getline(file, line).strip()[:300])

    def at(self, frame: FrameType, line: int | None = None) -> Location:
        """The location of a frame. Cached: the same line is always the same object."""
        code = frame.f_code
        number = frame.f_lineno if line is None else line
        known = self._locations.get((code, number))
        if known is None:
            file = code.co_filename
            text = linecache.getline(file, number).strip()
            known = Location(file, number, code.co_name, text[:300])
            self._locations[code, number] = known
        return known


def _passes_on(file: str) -> bool:
    return file.startswith(_PACKAGE) or file.endswith(_DISPATCH)


def _initializes(frame: FrameType, constructed: Any) -> bool:
    code = frame.f_code
    if code.co_name != "__init__" or not code.co_varnames:
        return False
    return local(frame, code.co_varnames[0]) is constructed
