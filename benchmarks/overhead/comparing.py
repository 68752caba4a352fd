"""One training, watched by Flightcheck and by other tools in turns, in one process."""

from __future__ import annotations

import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import torch

from benchmarks.overhead.measuring import NOTHING, WARM_UP_SECONDS, WARM_UP_STEPS, Ratio, block, ratio_of
from benchmarks.overhead.peers import attached
from benchmarks.overhead.watching import Watching
from benchmarks.overhead.workloads import WORKLOADS

OURS: Final = "flightcheck"


@dataclass
class Compared:
    """What each tool costs one training, on one thread."""

    workload: str
    description: str
    gap: int
    """Steps after which Flightcheck measures everything, whatever its budget says."""
    step: float = 0.0
    """Median seconds of a step without any tool, of processor time."""
    processor: dict[str, Ratio] = field(default_factory=dict)
    sees: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    """Tools that are not compared, each with its reason."""


def compare(name: str, rounds: int, seconds: float, gap: int) -> Compared:
    """Measure one training in this process."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    random.seed(0)
    work = WORKLOADS[name]()
    found = Compared(name, work.description, gap)
    steps = max(20, round(seconds / (block(work.step, 20)[0] / 20)))
    with tempfile.TemporaryDirectory() as folder:
        watching = Watching(Path(folder), longest_gap=gap)
        _warm(work.step)
        watching.pause()
        peers = attached(work, Path(folder), found.missing.append)
        looks = watching.looks()
        designs: dict[str, Any] = {OURS: watching, NOTHING: None, **{p.name: p for p in peers}}
        ratios: dict[str, list[float]] = {d: [] for d in designs}
        bare: list[float] = []
        before = block(work.step, steps)[1]
        for _ in range(rounds):
            for design in random.sample(list(designs), len(designs)):
                taken = _block_of(designs[design], work.step, steps)
                after = block(work.step, steps)[1]
                ratios[design].append(2 * taken / (before + after))
                bare.append(after / steps)
                before = after
        found.sees = {OURS: _seen(looks, watching.looks()), **{p.name: p.sees for p in peers}}
        for peer in peers:
            peer.close()
        watching.close()
    found.step = statistics.median(bare)
    found.processor = {d: ratio_of(r) for d, r in ratios.items()}
    return found


def _warm(step: Callable[[], None]) -> None:
    started, done = time.perf_counter(), 0
    while time.perf_counter() - started < WARM_UP_SECONDS or done < WARM_UP_STEPS:
        step()
        done += 1


def _block_of(design: Any, step: Callable[[], None], steps: int) -> float:
    if design is None:
        return block(step, steps)[1]
    design.resume()
    taken = block(step, steps)[1]
    design.pause()
    return taken


def _seen(before: dict[str, int], after: dict[str, int]) -> str:
    rounds = after["rounds"] - before["rounds"]
    often = {k: rounds / max(1, after[k] - before[k]) for k in after}
    return (
        f"loss of every step; norm, mean, largest, zeros, non-finite of each gradient every {often['gradients']:.1f}, "
        f"of each weight and update every {often['weights']:.1f}, of each layer's activations every "
        f"{often['activations']:.1f}; all with histograms and dead units every {often['everything']:.1f}"
    )


def compared(data: dict[str, Any]) -> Compared:
    """What another process measured."""
    return Compared(**{**data, "processor": {d: Ratio(**r) for d, r in data["processor"].items()}})


if __name__ == "__main__":
    _name, _rounds, _seconds, _gap = sys.argv[1:]
    with redirect_stdout(sys.stderr):  # other tools print
        _found = compare(_name, int(_rounds), float(_seconds), int(_gap))
    sys.stdout.write(json.dumps(asdict(_found)) + "\n")
    sys.stdout.flush()
    os._exit(0)  # services that other tools leave behind are not waited for
