"""Processes that train together: what each rank records of the parameters that all of them hold, and how the first
rank gets what the others recorded. Nothing is sent: each rank writes its own run, and the first one reads those files.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import time
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Final

from flightcheck.errors import FlightcheckError
from flightcheck.frozen import frozen
from flightcheck.recording import store
from flightcheck.recording.as_data import from_data
from flightcheck.recording.records import RECORDS, Location, RunInfo

_TOGETHER: Final = (
    "MASTER_ADDR", "MASTER_PORT", "WORLD_SIZE", "TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT", "SLURM_JOB_ID",
    "SLURM_STEP_ID",
)  # fmt: skip
_APART: Final = 60.0
"""Seconds between the starts of two ranks of one training, at most."""
_MOST_RANKS: Final = 64
_MOST_FILES: Final = 512


@frozen
class ReplicaDigests:
    """The parameters of one rank that are to be equal on all ranks, at a few steps, before the backward pass."""

    rank: int
    how: str = ""
    """``ddp``: held by a DistributedDataParallel; ``reduced``: their gradients were summed over all ranks by hand."""
    names: list[str] = field(default_factory=list)
    """One per bucket: a parameter, or the first of several neighbours."""
    steps: list[int] = field(default_factory=list)
    hashes: list[list[str]] = field(default_factory=list)
    """Per step and bucket: 64 bits of a sample of the values; empty where one is not finite."""
    means: list[list[float]] = field(default_factory=list)
    sizes: list[list[float]] = field(default_factory=list)
    """Per step and bucket: mean of the values of the sample, and of their absolute values."""
    late: list[int] = field(default_factory=list)
    """Buckets with a parameter that the wrapper does not know: it came after the model was wrapped."""
    late_location: Location | None = None
    """The line that constructed the module of the first of them."""
    location: Location | None = None
    """The line that wraps the model, or that sums the gradients."""
    bypass: Location | None = None
    """The line that calls the wrapped model itself, where the wrapper was never called."""
    unsynchronized: int = 0
    """Rounds in which every backward ran under ``no_sync``."""
    averaged: bool = False
    """Parameters themselves were averaged or sent during training: they may differ in between on purpose."""


RECORDS["ReplicaDigests"] = ReplicaDigests


def launch_of(environment: Mapping[str, str]) -> tuple[str, str]:
    """What the processes of one distributed training have in common: a hash of where they meet, and who started them
    on which machine (a hash, too). Both are empty for a single process.
    """
    if environment.get("WORLD_SIZE", "1") in ("", "1"):
        return "", ""
    meeting = "\n".join(environment.get(name, "") for name in _TOGETHER)
    import socket  # here alone, in runs of several processes

    return _hashed(meeting), f"{_hashed(socket.gethostname())}:{os.getppid()}"


def _hashed(text: str) -> str:
    import hashlib

    return hashlib.blake2b(text.encode(errors="replace"), digest_size=8).hexdigest()


def other_ranks(folder: Path, own: RunInfo, steps: list[int], patience: float = 5.0) -> list[ReplicaDigests]:
    """What the other ranks of this training recorded, as far as their runs lie beside this one.

    Args:
        folder: the folder of the first rank's run.
        own: its record.
        steps: the steps that are to be compared; others that still write them are waited for.
        patience: seconds to wait.
    """
    until = time.monotonic() + patience
    while True:
        found = _found(folder, own)
        behind = [d for info, d in found.values() if info.ended == "running" and not set(steps) <= set(d.steps)]
        if (len(found) >= min(own.ranks - 1, _MOST_RANKS) and not behind) or time.monotonic() > until:
            return [d for _, d in found.values() if d.steps]
        time.sleep(0.1)


def _found(folder: Path, own: RunInfo) -> dict[int, tuple[RunInfo, ReplicaDigests]]:
    nearest: dict[int, tuple[tuple[bool, float], RunInfo, ReplicaDigests]] = {}
    for other in sorted(folder.parent.iterdir(), reverse=True)[:_MOST_FILES]:
        if other == folder or abs(_named(other) - _named(folder)) > _APART:
            continue
        with contextlib.suppress(FlightcheckError, TypeError, ValueError, KeyError, OSError):
            records, _, _ = store.read(other)
            info = from_data(RunInfo, records["RunInfo"][0][1])
            apart = abs(_started(info) - _started(own))
            if not _same_training(own, info) or apart > _APART:
                continue
            data = [d for index, d in records.get("ReplicaDigests", []) if index == info.rank]
            digests = from_data(ReplicaDigests, data[0]) if data else ReplicaDigests(info.rank)
            distance = info.launcher != own.launcher, apart
            if info.rank not in nearest or distance < nearest[info.rank][0]:
                nearest[info.rank] = distance, info, digests
    return {rank: (info, digests) for rank, (_, info, digests) in sorted(nearest.items())[:_MOST_RANKS]}


def _same_training(own: RunInfo, other: RunInfo) -> bool:
    """Started to train together, and not over before the other began."""
    together = (other.launch, other.ranks, other.script) == (own.launch, own.ranks, own.script)
    if not own.launch or not together or other.rank == own.rank:
        return False
    return other.ended == "running" or _started(other) + other.seconds >= _started(own) - 1.0


def _started(info: RunInfo) -> float:
    return datetime.datetime.fromisoformat(info.started).timestamp()


def _named(folder: Path) -> float:
    """The time in the name of a run's folder; far away for other folders."""
    try:
        return datetime.datetime.strptime(folder.name[:15], "%Y%m%d-%H%M%S").timestamp()
    except ValueError:
        return -1e12
