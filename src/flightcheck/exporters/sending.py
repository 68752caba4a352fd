"""Brings one run to one tracker: at once when it is over, or bit by bit while it goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import Final

from flightcheck.exporters.base import MOST_POINTS, Exporter, Point, exporter_class
from flightcheck.exporters.contents import contents_of, params_in_effect
from flightcheck.exporters.progress import Progress
from flightcheck.exporters.reader import Row, RunReader
from flightcheck.recording.signals import LOSS
from flightcheck.redaction import redacted_text

LOOK_SECONDS: Final = 5.0
"""Time between two looks at the run file of a training that goes on."""
FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 60.0
"""Pauses after failures double from the first to the longest."""
FINAL_TRIES: Final = 2
"""Tries when the training is over; then what is left waits for ``flightcheck sync``."""
_DESCRIBED_FROM: Final = 20
"""Steps after which the values in effect are recorded: the learning pass is over."""


class Sending:
    """One run on its way to one tracker. It remembers on disk what has arrived."""

    def __init__(self, folder: Path, progress: Progress, clock: Callable[[], float] = time.time) -> None:
        self.progress = progress
        self._folder = folder
        self._clock = clock
        self._reader = RunReader(folder)
        self._exporter: Exporter | None = None

    def advance(self) -> None:
        """Send what was recorded since the last time, of a training that may go on.

        Raises:
            Exception: whatever the tracker's library raises; what had arrived before is remembered.
        """
        exporter = self._begun()
        if not exporter.live:
            return
        self._send_points(exporter, settled=False)
        if not self.progress.described and self.progress.cursor.get(LOSS.name, 0) >= _DESCRIBED_FROM:
            exporter.describe(params_in_effect(self._folder))
            self.progress.described = True
            self._arrived()

    def complete(self) -> None:
        """Send all that is left of a run that is over.

        Raises:
            Exception: see `advance`.
        """
        exporter = self._begun()
        if not exporter.live:  # an earlier try has left nothing behind
            self.progress.cursor, self.progress.anchor, self.progress.points = {}, None, 0
        self._send_points(exporter, settled=True)
        with contents_of(self._folder, self.progress.destination.models) as contents:
            exporter.describe(contents.params)
            exporter.finish(contents)
        self.progress.told = exporter.told()
        self.progress.complete = True
        self._arrived()

    def failed(self, error: Exception) -> None:
        """Note a failure, and let go of the tracker."""
        reason = _reason(error)
        told = " ".join(str(reason).split())
        self.progress.error = redacted_text(f"{type(reason).__name__}: {told}"[:500])
        self.progress.attempts += 1
        with suppress(OSError):  # the disk is full: then it is not remembered
            self.progress.save()
        self.close()

    def close(self) -> None:
        """Let go of the tracker."""
        if self._exporter is not None:
            with suppress(Exception):
                self._exporter.close()
            self._exporter = None

    def _begun(self) -> Exporter:
        if self._exporter is None:
            progress = self.progress
            progress.save()  # before the tracker hears of it: the next try goes by the same name
            exporter = exporter_class(progress.destination.tracker)(progress.destination, progress.export, self._folder)
            self._exporter = exporter
            progress.run = exporter.begin(self._reader.heading(), progress.run, progress.attempts > 0)
            progress.told = exporter.told()
            progress.save()
        return self._exporter

    def _arrived(self) -> None:
        self.progress.attempts, self.progress.error = 0, ""
        self.progress.save()

    def _send_points(self, exporter: Exporter, settled: bool) -> None:
        progress = self.progress
        while rows := self._reader.rows(progress.cursor, MOST_POINTS, settled):
            rows = _whole_steps(self._begun_before(rows) or rows)
            times = self._times(rows[-1].step, settled)
            exporter.log([Point(r.name, r.step, r.value, times(r.step)) for r in rows])
            for row in rows:
                progress.cursor[row.series] = max(row.place, progress.cursor.get(row.series, -1))
            progress.points += len(rows)
            progress.anchor = (rows[-1].step, times(rows[-1].step))
            if progress.reached is not None and progress.reached[0] <= rows[-1].step:
                progress.reached = None
            if exporter.live:
                self._arrived()

    def _begun_before(self, rows: list[Row]) -> list[Row]:
        """Of these, what an earlier try may have sent already: it goes first, with the times that it had."""
        reached = self.progress.reached
        return [r for r in rows if r.step <= reached[0]] if reached is not None else []

    def _times(self, last: int, settled: bool) -> Callable[[int], float]:
        """When a step was. The run file keeps no time of its steps: they lie on a line from the last sent to now."""
        progress = self.progress
        started = self._reader.heading().started
        step, time_ = progress.anchor or (-1, started)
        if progress.reached is None or progress.reached[0] < last:
            newest = self._reader.newest_step() - (not settled)
            now = started + self._reader.seconds() if settled else self._clock()
            progress.reached = (max(last, newest), max(now, time_))
            progress.save()
        reached = progress.reached
        slope = (reached[1] - time_) / max(1, reached[0] - step)
        return lambda s: min(reached[1], max(time_, time_ + slope * (s - step)))


def _whole_steps(rows: list[Row]) -> list[Row]:
    """The first rows, at most `MOST_POINTS`, cut where a step ends: the cursor knows nothing smaller."""
    kept: list[Row] = []
    for _, group in groupby(rows, key=lambda r: r.step):
        step = list(group)
        if kept and len(kept) + len(step) > MOST_POINTS:
            break
        kept += step
    return kept


def _reason(error: BaseException) -> BaseException:
    """What the system refused, where that is behind the error: libraries wrap it into sentences of five lines."""
    link, seen = error, {id(error)}
    while (deeper := link.__cause__ or link.__context__) is not None and id(deeper) not in seen:
        link = deeper
        seen.add(id(link))
    return link if isinstance(link, OSError) else error


def pauses() -> Iterable[float]:
    """Seconds to wait after the first failure, the second …"""
    pause = FIRST_PAUSE
    while True:
        yield pause
        pause = min(LONGEST_PAUSE, 2 * pause)


def send(sending: Sending, wait: Callable[[float], object] = time.sleep) -> bool:
    """Send all of a run that is over, with `FINAL_TRIES` tries; False if it did not arrive."""
    pause = iter(pauses())
    for attempt in range(FINAL_TRIES):
        if attempt:
            wait(next(pause))
        try:
            sending.complete()
        except Exception as e:  # libraries of trackers raise anything
            sending.failed(e)
        else:
            sending.close()
            return True
    return False


def follow(sending: Sending, over: Callable[[float], bool]) -> bool:
    """Send a training while it goes on, and the rest when it is over.

    Args:
        sending: what is sent, and where.
        over: waits so many seconds, or less if the training and its report are over by then; says whether they are.

    Returns:
        All has arrived.
    """
    pause = iter(pauses())
    rest = 0.0
    while not over(rest):
        try:
            sending.advance()
        except Exception as e:
            sending.failed(e)
            rest = next(pause)
        else:
            pause, rest = iter(pauses()), LOOK_SECONDS
    return send(sending)
