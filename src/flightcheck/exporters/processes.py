"""Sending has a process of its own: what a tracker's library does, prints or waits for never touches the training."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from flightcheck.exporters.progress import Progress, progress_at

FINAL_SECONDS: Final = 60.0
"""Longest wait, after the training and its report, for what is still to be sent."""
_TERMINATION_SECONDS: Final = 5.0


class Sender:
    """A process that sends one run to one tracker."""

    def __init__(self, folder: Path, progress: Progress, *, live: bool) -> None:
        """Start it.

        Args:
            folder: the run's folder; the run file need not exist yet where it is sent live.
            progress: what is known of the sending; it must have been saved.
            live: the run goes on: follow it until `over` is called or this process ends.

        Raises:
            OSError: it cannot be started.
        """
        self._progress = progress
        self._stopped = False
        command = [sys.executable, "-P", "-m", "flightcheck.exporters", str(folder), str(progress.file)]
        with progress.file.with_suffix(".log").open("w") as log:
            self._process = subprocess.Popen(
                [*command, *(["--live"] if live else [])],
                stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, **_QUIET},
                start_new_session=live,  # Ctrl-C ends the training, and not what tells of it
            )  # fmt: skip

    def over(self) -> None:
        """Tell it that the run and its report are complete."""
        if self._process.stdin is not None:
            try:
                self._process.stdin.close()
            except OSError:  # it has ended
                pass

    def wait(self, seconds: float) -> bool:
        """Wait for its end; False if it still works."""
        try:
            self._process.wait(max(0.0, seconds))
        except subprocess.TimeoutExpired:
            return False
        return True

    def stop(self) -> None:
        """End it; what has arrived is remembered."""
        if self._process.poll() is None:
            self._stopped = True
        self._process.terminate()
        if not self.wait(_TERMINATION_SECONDS):
            self._process.kill()
            self._process.wait()

    def progress(self) -> Progress:
        """How far it is now; if all has not arrived, then with a reason."""
        found = progress_at(self._progress.file) or self._progress
        if not found.complete and not found.error:
            what = "more than can be waited for" if self._stopped else "the process that sends failed"
            found.error = f"{what}; see {found.file.with_suffix('.log')}"
        return found


_QUIET: Final = {"PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "ignore"}


def finish(senders: list[Sender], waiting: Callable[[], None]) -> list[Progress]:
    """Let all of them send the rest, for at most `FINAL_SECONDS` together; how far each came.

    Args:
        senders: the processes.
        waiting: called once, when it takes more than a second.
    """
    for sender in senders:
        sender.over()
    started = time.monotonic()
    try:
        if not senders[-1].wait(1.0):
            waiting()
        for sender in senders:
            sender.wait(FINAL_SECONDS - (time.monotonic() - started))
    except KeyboardInterrupt:  # enough of it; the rest can be sent later
        pass
    for sender in senders:
        sender.stop()
    return [s.progress() for s in senders]
