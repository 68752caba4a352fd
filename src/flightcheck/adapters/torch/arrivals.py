"""Numbers that are computed on a device and read once they have arrived: nobody waits for the device.

They are copied into pinned memory behind the kernels that compute them; an event says when they are there, one to three
steps later. Beside `.item()`, which would empty the device's queue and wait, a copy costs the processor some 20 µs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy.typing as npt
import torch

Taken = Callable[[npt.NDArray[Any]], object]
_MOST_UNDER_WAY: Final = 256
"""Copies that may be under way; of a device that is further behind nothing more is asked."""


@dataclass
class _Sent:
    values: torch.Tensor
    take: Taken
    event: Any = None
    """Recorded behind the copy; None where there was nothing to wait for."""
    began: Any = None
    level: int = 0


class Arrivals:
    """What is under way to the host, in the order in which it was sent."""

    def __init__(self) -> None:
        self._under_way: deque[_Sent] = deque()
        self.not_sent = 0
        """Copies that were given up because too many were under way."""
        self.alarm: Callable[[], None] = lambda: None
        """Called by who finds, in what arrived, that something is wrong."""
        self.attempt: Callable[[str, Callable[[], object]], object] = lambda where, act: act()
        """Does something, and notes a fault of it."""

    def send(self, values: torch.Tensor, take: Taken, began: Any = None, level: int = 0) -> None:
        """Copy a tensor to the host; `take` gets it as an array, in a later `collect`.

        Args:
            values: of one dimension; what lies on the CPU has arrived already.
            take: called once, with the values.
            began: a CUDA event before the first kernel of ours (`begin`), to measure what they take.
            level: how closely was looked (`budget`).
        """
        if len(self._under_way) >= _MOST_UNDER_WAY:
            self.not_sent += 1
            return
        if not values.is_cuda:
            self._under_way.append(_Sent(values.detach().cpu().clone(), take))
            return
        with torch.cuda.device(values.device):  # events are of the current device, which need not be that of a model
            there = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
            there.copy_(values.detach(), non_blocking=True)
            event = torch.cuda.Event(enable_timing=began is not None)  # type: ignore[no-untyped-call]
            event.record()
        self._under_way.append(_Sent(there, take, event, began, level))

    def collect(self, wait: bool = False) -> list[tuple[int, float]]:
        """Hand over what has arrived, or all of it where it is waited for (the training is over).

        Returns:
            Of each look whose time is known: how close it was, and the seconds that the device took for it.
        """
        took: list[tuple[int, float]] = []
        while self._under_way and (wait or self._under_way[0].event is None or self._under_way[0].event.query()):
            sent = self._under_way.popleft()
            self.attempt("arrivals", lambda sent=sent: self._hand_over(sent, took))  # type: ignore[misc]
        return took

    @staticmethod
    def _hand_over(sent: _Sent, took: list[tuple[int, float]]) -> None:
        if sent.event is not None:
            sent.event.synchronize()  # which it is already, but at the end
            if sent.began is not None:
                took.append((sent.level, sent.began.elapsed_time(sent.event) / 1000))
        sent.take(sent.values.numpy())


def begin(device: torch.device) -> Any:
    """An event before the first kernel of ours; None where there is no such clock."""
    if device.type != "cuda":
        return None
    with torch.cuda.device(device):
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record()
    return event


def lies_on_card(tensor: torch.Tensor) -> bool:
    """Its numbers lie on a graphics card: to read them is to wait for it."""
    return tensor.is_cuda
