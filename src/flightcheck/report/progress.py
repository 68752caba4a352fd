"""One line on the terminal that says what is being tried; nothing where there is no terminal."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TextIO

_WIDTH = 20


class Progress:
    """A bar over the time that experiments may take, and the one that runs now."""

    def __init__(self, stream: TextIO, seconds: float) -> None:
        self._stream = stream
        self._seconds = seconds
        self._started = time.monotonic()
        self._shown = False

    def say(self, text: str) -> None:
        """Show what is being tried."""
        if not self._stream.isatty():
            return
        spent = time.monotonic() - self._started
        full = round(_WIDTH * min(1.0, spent / max(self._seconds, 1e-9)))
        bar = "█" * full + "░" * (_WIDTH - full)
        self._stream.write(f"\r\x1b[2K{bar} {spent:3.0f} of {self._seconds:.0f} s  trying {text}"[:150])
        self._stream.flush()
        self._shown = True

    def close(self) -> None:
        """Take the line away."""
        if self._shown:
            self._stream.write("\r\x1b[2K")
            self._stream.flush()
            self._shown = False

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, e: BaseException | None, tb: TracebackType | None) -> None:
        self.close()
