"""A trial touches nothing of the user's: what it writes goes to its own folder, or it is broken off with the reason."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

_WRITING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_PATHS: Final[dict[str, tuple[int, ...]]] = {
    "os.remove": (0,), "os.rename": (0, 1), "os.rmdir": (0,), "os.mkdir": (0,), "os.truncate": (0,), "os.link": (1,),
    "os.symlink": (1,), "os.chmod": (0,), "os.utime": (0,), "shutil.rmtree": (0,), "shutil.move": (0, 1),
    "sqlite3.connect": (0,),
}  # fmt: skip
"""Audit events that change files, and which of their arguments are paths (docs.python.org/3/library/audit_events)."""
_PROGRAMS: Final = {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.startfile", "pty.spawn"}


class TrialRefused(BaseException):
    """The script was about to touch something outside the trial. Not an Exception: an ``except`` passes it on."""


class Guard:
    """Watches this process by an audit hook, which cannot be taken out again: only for processes that end after it."""

    def __init__(self, allowed: list[Path], refused: Callable[[str], None]) -> None:
        self._allowed = tuple(str(p.resolve()) + os.sep for p in allowed)
        self._refused = refused

    def install(self) -> None:
        """From now on the process can only write below the allowed folders."""
        sys.dont_write_bytecode = True
        sys.addaudithook(self._look)
        self._wrap_savers()

    def _look(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, mode, flags = arguments
            writing = (isinstance(flags, int) and flags & _WRITING) or (
                isinstance(mode, str) and set(mode) & set("wax+")
            )
            if writing:
                self._require(path)
        elif event in _PATHS:
            for position in _PATHS[event]:
                self._require(arguments[position])
        elif event == "socket.connect":
            address = arguments[1]
            if isinstance(address, tuple) and not str(address[0]).startswith(("127.", "::1", "localhost")):
                self._refuse(f"it connects to {address[0]}")
        elif event in _PROGRAMS:
            self._refuse(f"it starts another program ({str(arguments[0])[:60]})")

    def _require(self, path: Any) -> None:
        if isinstance(path, int) or path is None:  # a file that is open already
            return
        try:
            text = os.fsdecode(path)
        except TypeError:
            return
        if text == ":memory:" or text.startswith(("/dev/", "/proc/self/", "file:")):
            return
        real = os.path.realpath(text)
        if not (real + os.sep).startswith(self._allowed):
            self._refuse(f"it writes to {text}")

    def _refuse(self, reason: str) -> None:
        self._refused(reason)
        raise TrialRefused(reason)

    def _wrap_savers(self) -> None:
        """What writes files below Python's sight."""
        import torch

        original = torch.save

        def save(obj: Any, f: Any, *args: Any, **kwargs: Any) -> Any:
            if isinstance(f, (str, os.PathLike)):
                self._require(f)
            return original(obj, f, *args, **kwargs)

        torch.save = save
