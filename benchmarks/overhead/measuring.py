"""One workload, measured in one process: blocks of steps with and without watching, in turns."""

from __future__ import annotations

import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from benchmarks.overhead.watching import Watching, hooks, operations, ordinary, parameters_in_bytes, python_calls
from benchmarks.overhead.workloads import ON_CARD, WORKLOADS, Workload

BARE, WATCHED, NOTHING = "bare", "watched", "bare again"
_RESAMPLED: Final = 4000
WARM_UP_SECONDS: Final = 2.0
WARM_UP_STEPS: Final = 300


@dataclass(frozen=True)
class Ratio:
    """Time with watching over time without: median, quartiles, and the 95 % interval of the median."""

    median: float
    low: float
    high: float
    lower_quartile: float
    upper_quartile: float


@dataclass
class Measured:
    """Everything about one workload at one number of threads."""

    workload: str
    description: str
    threads: int
    rounds: int
    steps: int
    """Per block."""
    step: float
    """Median seconds of a step without watching, of processor time (on a graphics card: of the wall's)."""
    wall: dict[str, Ratio] = field(default_factory=dict)
    processor: dict[str, Ratio] = field(default_factory=dict)
    own: float = 0.0
    """Share of a step that the tool's own clock sees."""
    first_steps: float = 0.0
    """Seconds that the first ten steps took more than ten others."""
    every: dict[str, float] = field(default_factory=dict)
    """Mean distance of two looks, while measured."""
    rows: int = 0
    counts: dict[str, int | None] = field(default_factory=dict)


def ratio_of(ratios: list[float], seed: int = 0) -> Ratio:
    """Median and its bootstrap interval."""
    values = np.array(ratios)
    drawn = np.random.default_rng(seed).integers(0, len(values), size=(_RESAMPLED, len(values)))
    low, high = np.quantile(np.median(values[drawn], axis=1), [0.025, 0.975])
    quartiles = np.quantile(values, [0.25, 0.5, 0.75])
    return Ratio(float(quartiles[1]), float(low), float(high), float(quartiles[0]), float(quartiles[2]))


def block(step: Callable[[], None], steps: int) -> tuple[float, float]:
    """Seconds of so many steps: on the wall's clock, and on the processor's."""
    step()  # what was switched is warm again
    _settled()
    wall, processor = time.perf_counter(), time.process_time()
    for _ in range(steps):
        step()
    _settled()
    return time.perf_counter() - wall, time.process_time() - processor


def _settled() -> None:
    """Wait for the graphics card, if one is used."""
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.synchronize()


def counted(watching: Watching, work: Workload, bare_operations: int) -> dict[str, int | None]:
    """What an ordinary step of a watched training is made of, free of noise."""
    return {
        "native": ordinary(watching, work.step, lambda: _during(watching, work.step)),
        "operations": ordinary(watching, work.step, lambda: operations(work.step) - bare_operations),
        "python": ordinary(watching, work.step, lambda: python_calls(work.step)),
        "hooks": hooks(work.model),
        "bytes": parameters_in_bytes(work.model),
    }


def _during(watching: Watching, step: Callable[[], None]) -> int:
    before = watching.native_calls
    step()
    return watching.native_calls - before


def measure(name: str, threads: int, rounds: int, seconds: float, budget: float, *, device: str = "cpu") -> Measured:
    """Measure a workload in this process."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    random.seed(0)
    with torch.device(device):
        work = {**WORKLOADS, **ON_CARD}[name]()
    for _ in range(5):
        work.step()
    bare_operations = operations(work.step)
    steps = max(10, round(seconds / (block(work.step, 20)[0] / 20)))
    with tempfile.TemporaryDirectory() as folder:
        watching = Watching(Path(folder), budget)
        first = block(work.step, 10)[1]
        started = time.perf_counter()
        warm = 0
        while time.perf_counter() - started < WARM_UP_SECONDS or warm < WARM_UP_STEPS:
            work.step()
            warm += 1
        counts = counted(watching, work, bare_operations)
        watching.pause()
        found = Measured(name, work.description, threads, rounds, steps, 0.0, counts=counts)
        _blocks(found, watching, work, first)
        watching.close()
    return found


def _blocks(found: Measured, watching: Watching, work: Workload, first: float) -> None:
    walls: dict[str, list[float]] = {WATCHED: [], NOTHING: []}
    processors: dict[str, list[float]] = {WATCHED: [], NOTHING: []}
    watch = watching.observer.watch
    clock = 0 if torch.cuda.is_initialized() else 1  # type: ignore[no-untyped-call]
    bare: list[float] = []
    own, watched_steps = 0.0, 0
    looks = watching.looks()
    before = block(work.step, found.steps)
    for _ in range(found.rounds):
        for design in random.sample([WATCHED, NOTHING], 2):
            if design == WATCHED:
                watching.resume()
                spent = watch.spent
            taken = block(work.step, found.steps)
            if design == WATCHED:
                own += watch.spent - spent
                watched_steps += found.steps + 1
                watching.pause()
            after = block(work.step, found.steps)
            walls[design].append(2 * taken[0] / (before[0] + after[0]))
            processors[design].append(2 * taken[1] / (before[1] + after[1]))
            bare.append(after[clock] / found.steps)
            before = after
    found.step = statistics.median(bare)
    found.wall = {d: ratio_of(r) for d, r in walls.items()}
    found.processor = {d: ratio_of(r) for d, r in processors.items()}
    found.own = own / watched_steps / found.step
    found.first_steps = first - 10 * found.step
    now = watching.looks()
    rounds = now["rounds"] - looks["rounds"]
    found.every = {k: rounds / max(1, now[k] - looks[k]) for k in now if k != "rounds"}
    found.rows = watch.rows


def result(data: dict[str, Any]) -> Measured:
    """What another process measured."""
    ratios = {k: {d: Ratio(**r) for d, r in data[k].items()} for k in ("wall", "processor")}
    return Measured(**{**data, **ratios})


if __name__ == "__main__":
    _name, _threads, _rounds, _seconds, _budget, _device = sys.argv[1:]
    _found = measure(_name, int(_threads), int(_rounds), float(_seconds), float(_budget), device=_device)
    print(json.dumps(asdict(_found)))
