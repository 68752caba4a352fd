"""A trial touches nothing of the user's: what it writes goes to its own folder, or it is broken off with the reason."""

from __future__ import annotations

import functools
import os
import sys
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

_SAFETENSORS: Final = ("safetensors", "safetensors.torch", "safetensors.numpy")
_WRITING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_PATHS: Final[dict[str, tuple[int, ...]]] = {
    "os.remove": (0,), "os.rename": (0, 1), "os.rmdir": (0,), "os.mkdir": (0,), "os.truncate": (0,), "os.link": (1,),
    "os.symlink": (1,), "os.chmod": (0,), "os.utime": (0,), "shutil.rmtree": (0,), "shutil.move": (0, 1),
    "sqlite3.connect": (0,), "os.chown": (0,), "os.setxattr": (0,), "os.removexattr": (0,),
}  # fmt: skip
"""Audit events that change files, and which of their arguments are paths (docs.python.org/3/library/audit_events)."""
_READING: Final = {"uname", "lscpu", "ldconfig", "nvidia-smi", "hostname", "which"}
"""Programs that libraries ask about the machine: they write nothing. So do these of git:"""
_READING_GIT: Final = {"rev-parse", "log", "show", "symbolic-ref"}
_LOCAL: Final = ("127.", "::1", "localhost")
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
        elif event == "os.mkdir" and Path(os.fsdecode(arguments[0])).is_dir():
            return  # it will fail, and `exist_ok` says that this is fine
        elif event in _PATHS:
            for position in _PATHS[event]:
                self._require(arguments[position])
        elif event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
            address = arguments[1]
            if isinstance(address, tuple) and not str(address[0]).startswith(_LOCAL):
                self._refuse(f"it connects to {address[0]}")
        elif event in _PROGRAMS and not (event == "subprocess.Popen" and _only_reads(arguments[1])):
            self._refuse(f"it starts another program ({str(arguments[0])[:60]})")

    def _require(self, path: Any) -> None:
        if isinstance(path, int) or path is None:  # a file that is open already
            return
        try:
            text = os.fsdecode(path)
        except TypeError:
            return
        if text in ("", ":memory:") or text.startswith(("/dev/", "/proc/self/")):
            return
        if text.startswith("file:"):  # an address of SQLite
            address = urllib.parse.urlsplit(text)
            if {"mode=ro", "mode=memory", "immutable=1"} & set(address.query.split("&")) or ":memory:" in text:
                return
            text = urllib.parse.unquote(address.path)
        real = os.path.realpath(text)
        if not (real + os.sep).startswith(self._allowed):
            self._refuse(f"it writes to {text}")

    def _refuse(self, reason: str) -> None:
        self._refused(reason)
        raise TrialRefused(reason)

    def _wrap_savers(self) -> None:
        """What writes files, or starts processes without this guard, below Python's sight."""
        import multiprocessing.popen_spawn_posix

        import torch

        for owner, name, position, keyword in (
            (torch, "save", 1, "f"),
            (torch.jit, "save", 1, "f"),
            *((sys.modules[m], "serialize_file", 1, "filename") for m in _SAFETENSORS if m in sys.modules),
        ):
            if hasattr(owner, name):
                setattr(owner, name, self._saving(getattr(owner, name), position, keyword))

        def launch(*_: Any) -> None:
            self._refuse("it starts processes anew (multiprocessing with spawn)")

        multiprocessing.popen_spawn_posix.Popen._launch = launch  # type: ignore[attr-defined,unused-ignore]

    def _saving(self, original: Any, position: int, keyword: str) -> Any:
        @functools.wraps(original)
        def save(*args: Any, **kwargs: Any) -> Any:
            file = args[position] if len(args) > position else kwargs.get(keyword)
            if isinstance(file, (str, os.PathLike)):
                self._require(file)
            return original(*args, **kwargs)

        return save


def _only_reads(command: Any) -> bool:
    """A command that looks at the machine or at git's history."""
    try:
        words = [os.fsdecode(w) for w in ([command] if isinstance(command, (str, bytes)) else command)]
    except TypeError:
        return False
    name = Path(words[0]).name if words else ""
    return name in _READING or (name == "git" and len(words) > 1 and words[1] in _READING_GIT)
