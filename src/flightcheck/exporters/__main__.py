"""The process that sends: ``python -m flightcheck.exporters FOLDER PROGRESS [--live]``; exit status 0: all arrived."""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

from flightcheck.errors import FlightcheckError
from flightcheck.exporters.progress import only_sender, progress_at
from flightcheck.exporters.reader import RunReader
from flightcheck.exporters.sending import Sending, follow, send

_NICENESS: Final = 10
"""The training has the processor first."""


def main(folder: Path, file: Path, *, live: bool) -> int:
    """Send; see `flightcheck.exporters.processes`."""
    progress = progress_at(file)
    if progress is None:
        raise FlightcheckError(f"{file}: cannot be read")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with only_sender(progress):
        sending = Sending(folder, progress)
        try:
            arrived = follow(sending, _over(folder)) if live else send(sending)
        finally:
            sending.close()
    return 0 if arrived else 1


class _over:  # noqa: N801  # it is called like a function
    """Says whether the process that trains has closed our standard input: it is done, or it was killed."""

    def __init__(self, folder: Path) -> None:
        self._reader = RunReader(folder)
        self._ended = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with suppress(OSError, ValueError):
            sys.stdin.buffer.read()
        self._ended.set()

    def __call__(self, seconds: float) -> bool:
        while not self._ended.wait(seconds):
            if self._reader.begun():
                return False
            seconds = 0.2
        return True


if __name__ == "__main__":
    with suppress(AttributeError, OSError):  # Windows has no such thing
        os.nice(_NICENESS)
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), live="--live" in sys.argv[3:]))
