"""Looks, seldom, at what the training's process uses of its machine; at no cost that could be measured.

A look reads counters that the system and PyTorch keep anyhow: it waits for no device, and starts no thread.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import torch

from flightcheck.adapters.torch.watch import Watch
from flightcheck.recording.signals import CPU_USE, GPU_MEMORY, MEMORY
from flightcheck.recording.system_use import SystemUse as Record

_PAUSE: Final = 2.0
"""Seconds between two looks, at least."""
_PART: Final = 1000
"""Of long trainings a look comes when they have grown by one part in so many: 8000 looks in a month. Each tells the
mean use since the one before, so none is missed."""
_MOST_CHILDREN: Final = 64
_MIB: Final = 1024.0 * 1024.0
_PROC: Final = Path("/proc")


class SystemUse:
    """Series of what is used, and the record of it. It is off until `begin`: trials need none of it."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._on = False
        self._began = self._last = self._used_at_begin = self._used = 0.0
        self._not_theirs: set[int] = set()
        """Processes that were started before the script: by us."""

    def begin(self) -> None:
        """From now on it counts."""
        self._on = True
        self._not_theirs = set(_children())
        self._began = self._last = time.perf_counter()
        self._used_at_begin = self._used = self._seconds()

    def look(self, final: bool = False) -> None:
        """Record what is used now, if it is time to look."""
        now = time.perf_counter()
        passed = now - self._last
        if not self._on or not passed or not (final or passed >= max(_PAUSE, (now - self._began) / _PART)):
            return
        step, writer, used = max(0, self.watch.step - 1), self.watch.writer, self._seconds()
        if not final or passed > _PAUSE / 4 or self._last == self._began:  # a moment tells no mean
            writer.frame(CPU_USE, step, [max(0.0, used - self._used) / passed])
            self._last, self._used = now, used
        resident = _resident()
        if resident is not None:
            writer.frame(MEMORY, step, [resident])
        gpu = _gpu_memory()
        if gpu is not None:
            writer.frame(GPU_MEMORY, step, [gpu[0]])
        writer.put(Record(_cores(), round(used - self._used_at_begin, 3), _most_resident(), gpu[1] if gpu else None))

    def _seconds(self) -> float:
        """Of the processor, up to now: of this process, of those it started and waited for, and of those that run."""
        times = os.times()
        own = times.user + times.system + times.children_user + times.children_system
        theirs = [pid for pid in _children() if pid not in self._not_theirs]
        return own + sum(map(_seconds_of, theirs[:_MOST_CHILDREN]))


def _children() -> list[int]:
    """Processes that this thread started, such as a DataLoader's workers; none where Linux does not tell."""
    with suppress(OSError, ValueError):
        return [int(pid) for pid in (_PROC / "thread-self/children").read_text().split()]
    return []


def _seconds_of(pid: int) -> float:
    with suppress(OSError, ValueError, IndexError):  # it has just ended
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def _resident() -> float | None:
    with suppress(OSError, ValueError, IndexError):
        return int((_PROC / "self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / _MIB
    return None


def _most_resident() -> float | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(most / (_MIB if sys.platform == "darwin" else 1024.0), 1)


def _cores() -> int:
    with suppress(AttributeError, OSError):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 0


def _gpu_memory() -> tuple[float, float] | None:
    """What tensors hold now, and the most that they held, in MiB over all devices; no device is woken."""
    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return None
    devices = range(torch.cuda.device_count())
    now = sum(torch.cuda.memory_allocated(i) for i in devices)
    return now / _MIB, sum(torch.cuda.max_memory_allocated(i) for i in devices) / _MIB
