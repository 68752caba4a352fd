"""Losses on a graphics card: noted at every step, read when they have arrived. To read one at once would be to wait."""

from __future__ import annotations

import math
from functools import partial
from typing import Any, Final

import numpy.typing as npt
import torch

from flightcheck.adapters.torch.arrivals import Arrivals
from flightcheck.recording.signals import LOSS
from flightcheck.recording.store import RunWriter

_SLOTS: Final = 64
_SENT_EVERY: Final = 16
"""Rounds whose losses are sent together: so much later one that is not finite may be noticed."""


class LateLosses:
    """Copies each loss into its slot on the device: the user's own tensor may be written to later."""

    def __init__(self, arrivals: Arrivals, writer: RunWriter) -> None:
        self.arrivals = arrivals
        self.writer = writer
        self._room: torch.Tensor | None = None
        self._slots: list[torch.Tensor] = []
        self._noted: list[tuple[int, float]] = []
        """Step and divisor of the losses in the slots."""

    @torch.no_grad()
    def note(self, loss: torch.Tensor, step: int, divisor: float) -> None:
        """Keep the loss of a step (of one element); of several in one step the last one counts, as on the CPU.

        Args:
            loss: on any device.
            step: the number of the round.
            divisor: what a gradient scaler multiplied it by.
        """
        if self._room is None or self._room.device != loss.device:
            self.send()
            self._room = torch.zeros(_SLOTS, dtype=torch.float64, device=loss.device)
            self._slots = list(self._room.unbind())
        if self._noted and self._noted[-1][0] == step:
            self._noted.pop()
        elif len(self._noted) == _SLOTS:
            self.send()
        self._slots[len(self._noted)].copy_(loss.detach().reshape(()))
        self._noted.append((step, divisor))

    def round_over(self) -> None:
        """Send what was noted, if it is enough."""
        if len(self._noted) >= _SENT_EVERY:
            self.send()

    def send(self) -> None:
        """Send what was noted."""
        if self._room is not None and self._noted:
            self.arrivals.send(self._room[: len(self._noted)], partial(self._arrived, self._noted))
        self._noted = []

    def _arrived(self, noted: list[tuple[int, float]], values: npt.NDArray[Any]) -> None:
        for (step, divisor), value in zip(noted, values.tolist()):
            self.writer.frame(LOSS, step, [value / divisor])
            if not math.isfinite(value):
                self.arrivals.alarm()
