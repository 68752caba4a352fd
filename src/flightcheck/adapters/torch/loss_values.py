"""The value of each loss: read at once, or from a graphics card when it has arrived, since to read there is to wait."""

from __future__ import annotations

import math
import operator
from functools import partial
from typing import Any, Final

import numpy.typing as npt
import torch

from flightcheck.adapters.torch import shards
from flightcheck.adapters.torch.arrivals import Arrivals, lies_on_card
from flightcheck.adapters.torch.watch import Watch, recorded
from flightcheck.recording.signals import LOSS
from flightcheck.recording.store import RunWriter

_SLOTS: Final = 64
_SENT_EVERY: Final = 16
"""Rounds whose losses are sent together: so much later one that is not finite may be noticed."""


on_host = operator.attrgetter("is_cpu")


class LossValues:
    """The loss of this round, and those that are on their way."""

    def __init__(self, watch: Watch, arrivals: Arrivals) -> None:
        self.watch = watch
        self.late = LateLosses(arrivals, watch.writer)
        self.latest: float | None = None
        """Of this round, as far as it was read."""

    def value(self, loss: torch.Tensor, scale: float | None) -> float:
        """Read a loss; 0 where that would wait for a graphics card: such a loss is written when it has arrived.

        Args:
            loss: on which ``backward`` is called.
            scale: what a gradient scaler multiplies losses by, if there is one.
        """
        if loss.numel() != 1 or loss.is_meta:
            return 0.0
        if type(loss) is not torch.Tensor and shards.is_shard(loss):
            return 0.0
        divisor = scale if scale and loss.grad_fn is not None and "Mul" in loss.grad_fn.name() else 1.0
        if on_host(loss) or self.watch.reads(loss):
            self.latest = loss.item() / divisor
            return self.latest
        self.latest = None
        if lies_on_card(loss) and not recorded():
            self.late.note(loss, self.watch.step, divisor)
        return 0.0


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
