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
        self.copies = 0
        self.alarm: Callable[[], None] = lambda: None
        """Called by who finds, in what arrived, that something is wrong."""

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
        self.copies += 1
        if not values.is_cuda:
            self._under_way.append(_Sent(values.detach().cpu().clone(), take))
            return
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
        took = []
        while self._under_way:
            sent = self._under_way[0]
            if sent.event is not None and not sent.event.query():
                if not wait:
                    break
                sent.event.synchronize()
            self._under_way.popleft()
            if sent.began is not None and sent.event is not None:
                took.append((sent.level, sent.began.elapsed_time(sent.event) / 1000))
            sent.take(sent.values.numpy())
        return took


def begin(device: torch.device) -> Any:
    """An event before the first kernel of ours; None where there is no such clock."""
    if device.type != "cuda":
        return None
    event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    event.record()
    return event


def lies_on_card(tensor: torch.Tensor) -> bool:
    """Its numbers lie on a graphics card: to read them is to wait for it."""
    return tensor.is_cuda
