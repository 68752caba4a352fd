"""What the training's process used of its machine: series over the steps, and the highest values."""

from __future__ import annotations

from typing import Final

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS
from flightcheck.recording.signals import CPU_USE, GPU_MEMORY, MEMORY, Signal

SYSTEM: Final[dict[Signal, str]] = {
    CPU_USE: "Processors in use", MEMORY: "Memory (MiB)", GPU_MEMORY: "GPU memory (MiB)",
}  # fmt: skip
"""The series, and what they are called where they are shown."""


@frozen
class SystemUse:
    """The whole training: what lies between two looks is in it."""

    cores: int = 0
    """Logical processors that the process may use."""
    cpu_seconds: float = 0.0
    """Of the process and of those that it started, from the script's start to the last look."""
    memory_peak: float | None = None
    """The most that was resident, in MiB, since the process began; None where the system does not tell."""
    gpu_memory_peak: float | None = None
    """The most that tensors held, in MiB, over all devices of the process; None without one."""


RECORDS["SystemUse"] = SystemUse
