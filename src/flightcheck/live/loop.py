"""Follows a run to its end: tells its pulse often, and judges it as often as a share of the time allows."""

from __future__ import annotations

import json
import os
import select
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Final

from flightcheck.checks.registry import run_checks
from flightcheck.diagnosis.engine import Diagnosis, diagnose
from flightcheck.errors import FlightcheckError
from flightcheck.live.judging import SoFar
from flightcheck.live.pulse import Pulse, pulse_of
from flightcheck.live.server import Content, PageServer
from flightcheck.live.terminal import BottomLine
from flightcheck.recording.following import RunFollower
from flightcheck.recording.run import Run
from flightcheck.report.page.document import changing_part, page

PAUSE: Final = 0.3
"""Seconds between two looks at the run file."""
JUDGED_EVERY: Final = 1.0
"""Seconds between two judgements, where they are cheap."""
SHARE: Final = 0.05
"""Of one core that following may take."""
LAST_LOOK_SECONDS: Final = 5.0
"""That browsers have at the end to fetch the last state."""


class Follow:
    """One run, and who wants to be told of it."""

    def __init__(self, task: dict[str, Any], answers: int, terminal: int, leaving: ExitStack) -> None:
        self.follower = RunFollower(Path(task["folder"]))
        self.so_far = SoFar(task.get("select", ()), task.get("ignore", ()))
        self.known: Run | None = None
        self.diagnosis: Diagnosis | None = None
        self.lines = bool(task.get("lines"))
        self.answers = answers
        self.line: BottomLine | None = None
        if task.get("terminal") and BottomLine.possible(terminal):
            self.line = BottomLine(terminal)
            leaving.callback(self.line.close)
        self.server: PageServer | None = None
        if task.get("page"):
            self.server = PageServer({"": self._page, "part": self._part})
            self.say(url=self.server.url)
        self._steps: list[tuple[float, int]] = []
        self._next_judgement = 0.0
        self._stale = True
        self._over = False
        self._reading = threading.RLock()
        """Held by who reads the run: this loop, or a browser's request that comes before the first look."""

    def say(self, **answer: Any) -> None:
        """Answer to who started us, if he listens."""
        with suppress(OSError):
            os.write(self.answers, json.dumps(answer).encode() + b"\n")

    def look(self, changed: bool) -> None:
        """Tell what is new; judge it when it is time, and only for somebody who looks."""
        self._stale |= changed
        wanted = self.line is not None or self.lines or (self.server is not None and self.server.channel.listeners)
        due = bool(wanted) and self._stale and time.monotonic() >= self._next_judgement
        if not (changed or due):
            return
        started = time.process_time()
        with self._reading:
            series = self.follower.series()
            if due and self._judge() and self.server is not None and self.known is not None:
                self.server.channel.publish("page", self.known.info.steps)
            pulse = pulse_of(series, self.known, self.diagnosis, self._speed(series))
        if due:
            self._next_judgement = time.monotonic() + max(JUDGED_EVERY, (time.process_time() - started) / SHARE)
        self.tell(pulse)

    def _judge(self) -> bool:
        """Judge the run as it is now; False where it cannot be read."""
        with self._reading:
            try:
                known = self.follower.run()
            except FlightcheckError:  # it is being closed at this moment
                return False
            self.known, self.diagnosis, self._stale = known, self.so_far.judged(known), False
            return True

    def tell(self, pulse: Pulse) -> None:
        """Hand the pulse to everybody."""
        if self.line is not None:
            self.line.show(pulse.text())
        if self.server is not None:
            self.server.channel.publish("pulse", pulse.data())
        if self.lines:
            self.say(text=pulse.text(), html=pulse.html())

    def end(self) -> None:
        """The run is over: judge it as a whole, and let everybody see that."""
        if self.line is not None:
            self.line.close()
        if self.server is None and not self.lines:
            return
        with self._reading:
            self.known = self.follower.run()
            self.diagnosis = diagnose(self.known, run_checks(self.known, self.so_far.select, self.so_far.ignore))
            self._stale, self._over = False, True
        pulse = pulse_of(self.known, self.known, self.diagnosis, None)
        if self.lines:
            self.say(text=pulse.text(), html=pulse.html())
        if self.server is not None:
            self.server.end(LAST_LOOK_SECONDS)

    def _speed(self, series: Run) -> float | None:
        """Steps per second over the last ten seconds."""
        now, steps = time.monotonic(), max((int(s[-1]) + 1 for s, _ in series.frames.values() if len(s)), default=0)
        self._steps = [(t, n) for t, n in self._steps if t > now - 10] + [(now, steps)]
        since, before = self._steps[0]
        return (steps - before) / (now - since) if before and now - since > 1 else None

    def _current(self) -> tuple[Run, Diagnosis]:
        with self._reading:
            if self._stale and self.follower.readable and not (self.server and self.server.channel.listeners):
                self._judge()  # nobody has looked for a while
            if self.known is None or self.diagnosis is None:
                return (nothing := Run()), diagnose(nothing, ())
            return self.known, self.diagnosis

    def _page(self) -> Content:
        return "text/html; charset=utf-8", page(*self._current(), live=True).encode("utf-8", "replace")

    def _part(self) -> Content:
        text = json.dumps(changing_part(*self._current(), live=not self._over), allow_nan=False)
        return "application/json", text.encode("utf-8", "replace")


def follow(stdin: int, stdout: int, stderr: int) -> None:
    """Follow the run that the first line of stdin names until it is over.

    Args:
        stdin: file descriptor of the task, which says by its second line, or by its end, that the run is over.
        stdout: file descriptor for answers.
        stderr: file descriptor of what may be a terminal.
    """
    task = json.loads(_first_line(stdin))
    with ExitStack() as leaving:
        if task.get("tensorboard"):
            from flightcheck.live.exporting import Export

            worker: Follow | Export = Export(task)
        else:
            worker = Follow(task, stdout, stderr, leaving)
        wait = PAUSE
        while not _over(stdin, wait, int(task["process"])):
            started = time.process_time()
            if worker.follower.readable:
                worker.look(worker.follower.changed())
            wait = max(PAUSE, (time.process_time() - started) / SHARE)
        worker.end()


def _first_line(stdin: int) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        read = os.read(stdin, 1)
        if not read:
            raise EOFError("no task was given")
        line += read
    return line


def _over(stdin: int, seconds: float, process: int) -> bool:
    """Wait; was it said meanwhile that the run is over, or is the process gone that trains?"""
    if select.select([stdin], [], [], seconds)[0]:
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass
    return False
