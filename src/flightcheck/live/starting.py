"""Starts the process that follows a run, and ends it: all that the training's own process does for a live view."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final

from flightcheck.errors import UsageError

START_SECONDS: Final = 15.0
END_SECONDS: Final = 30.0
_HOME: Final = str(Path(__file__).parents[2])
"""Where this package lies; the script's folder is not searched, for it may hold a module of any name."""


class Following:
    """A process that follows one run until it is told that the run is over, or until this process is gone.

    It is no child of ours, so that a script that waits for its children does not meet it, and in a session of its own,
    so that Ctrl-C reaches the training alone.

    Args:
        folder: the run's folder.
        task: what `flightcheck.live.__main__` is to do: its keys are told there.

    Raises:
        UsageError: this system cannot do it.
    """

    def __init__(self, folder: Path, **task: Any) -> None:
        if not hasattr(os, "fork"):
            raise UsageError("a live view needs a system with fork(), such as Linux or macOS")
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "flightcheck.live"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), _HOME)))},
        )  # fmt: skip
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None
        self._stdin: IO[bytes] = stdin
        self._stdout: IO[bytes] = stdout
        self._rest = b""
        self._say({"folder": str(folder), "process": os.getpid(), **task})
        self._process.wait()  # it has left a process of its own behind

    @property
    def answers(self) -> int:
        """The file descriptor that becomes readable when there is an answer."""
        return self._stdout.fileno()

    def answer(self, seconds: float) -> dict[str, Any] | None:
        """The next thing that it says; None where it says nothing in this time.

        Raises:
            EOFError: it is gone.
        """
        until = time.monotonic() + seconds
        while b"\n" not in self._rest:
            if not select.select([self._stdout], [], [], max(0.0, until - time.monotonic()))[0]:
                return None
            read = os.read(self.answers, 1 << 16)
            if not read:
                raise EOFError("the process that follows the run is gone")
            self._rest += read
        line, _, self._rest = self._rest.partition(b"\n")
        found: dict[str, Any] = json.loads(line)
        return found

    def over(self) -> None:
        """Tell it that the run is over."""
        self._say({"over": True})

    def end(self, seconds: float = END_SECONDS) -> bool:
        """Tell it that the run is over and wait until it is done; False if it takes longer. It ends by itself then."""
        self.over()
        until = time.monotonic() + seconds
        try:
            while not self._stdout.closed and (left := until - time.monotonic()) > 0:
                if select.select([self._stdout], [], [], left)[0] and not os.read(self.answers, 1 << 16):
                    return True
            return self._stdout.closed
        finally:
            self.close()

    def close(self) -> None:
        """Let go of it."""
        for stream in (self._stdin, self._stdout):
            with suppress(OSError):
                stream.close()

    def _say(self, data: dict[str, Any]) -> None:
        with suppress(OSError, ValueError):  # it is gone: a live view that broke costs the training nothing
            self._stdin.write(json.dumps(data).encode() + b"\n")
            self._stdin.flush()
