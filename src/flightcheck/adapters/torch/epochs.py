"""How long an epoch is: by the variable of the loop over epochs, whichever way its batches are made."""

from __future__ import annotations

import statistics
import sys
from types import FrameType
from typing import Final

from flightcheck.adapters.torch.frames import local
from flightcheck.adapters.torch.watch import Watch
from flightcheck.recording.provenance.loops import EpochLoop, epoch_loop
from flightcheck.recording.records import Location

_ENOUGH: Final = 3
"""Epochs whose length was seen: those of one training are alike."""
_LONGEST: Final = 4096
"""Rounds after which it is no more looked for: each costs a look at the stack."""
_DEEPEST: Final = 32


class EpochLengths:
    """Optimizer steps between two values of the variable that counts the epochs."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._loops: dict[Location, EpochLoop | None] = {}
        self._value: int | None = None
        self._began: int | None = 0
        """The round in which this epoch began; None if that was not seen."""
        self._lengths: list[int] = []

    @property
    def steps(self) -> int | None:
        """Steps of one epoch, None if no whole one was seen."""
        return round(statistics.median(self._lengths)) if self._lengths else None

    def passed(self, line: Location | None) -> None:
        """Backward was called at a line, by the user's code on this stack."""
        if line is None or len(self._lengths) >= _ENOUGH or self.watch.step > _LONGEST:
            return
        if line not in self._loops:
            self._loops[line] = epoch_loop(line.file, line.line)
        loop = self._loops[line]
        value = _value(loop) if loop is not None else None
        if value is None or value == self._value:
            return
        if self._value is not None:
            follows = value == self._value + 1
            if follows and self._began is not None:
                self._lengths.append(self.watch.step - self._began)
            self._began = self.watch.step if follows else None
        self._value = value


def _value(loop: EpochLoop) -> int | None:
    """The variable now, in the frame that goes round."""
    frame: FrameType | None = sys._getframe(1)
    for _ in range(_DEEPEST):
        if frame is None:
            return None
        if frame.f_code.co_filename == loop.file and loop.first <= frame.f_lineno <= loop.last:
            value = local(frame, loop.variable)
            if type(value) is int:
                return value
        frame = frame.f_back
    return None
