"""``python -m benchmarks.growth``: how a run file, `show` and the report's page grow with steps and tensors.

Writes runs as `flightcheck run` does where it may spend least: loss and learning rate at every step, all tensors in the
first hundred steps and at every hundredth after them. Times are those of the processor. A run of all sizes writes
docs/growth.md; sizes whose recording alone would take longer than `--seconds` are left out, and named.
"""

from __future__ import annotations

import argparse
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.results import environment
from flightcheck.recording.loss_records import LossSite
from flightcheck.recording.records import (
    Coverage,
    Location,
    ModuleInfo,
    OptimizerInfo,
    ParameterInfo,
    RootInfo,
    RunInfo,
)
from flightcheck.recording.signals import GRAD_NORM, LEARNING_RATE, LOSS, UPDATE_NORM, WEIGHT_NORM
from flightcheck.recording.store import FILE_NAME, FRAME_BUDGET, LEAST_FRAMES, VALUES_BUDGET, RunWriter

PAGE = Path(__file__).parents[1] / "docs" / "growth.md"
STEPS: Final = (1_000, 10_000, 100_000, 1_000_000)
TENSORS: Final = (10, 100, 1_000, 10_000)
DENSE: Final = 100
"""First steps that are measured in full, and afterwards the distance between such steps."""
SECONDS: Final = 30.0


@dataclass(frozen=True)
class Measured:
    """One size."""

    steps: int
    tensors: int
    recording: float
    """Processor seconds of all writing."""
    file: int
    """Bytes."""
    show: float
    """Processor seconds of ``flightcheck show``, with the start of Python."""
    show_memory: int
    """Largest resident size of that process, bytes."""
    page: int
    """Bytes of ``report.html``."""
    page_seconds: float
    """Processor seconds of ``flightcheck show --html``."""


def record(folder: Path, steps: int, tensors: int) -> float:
    """Write one run; returns the processor's seconds."""
    started = time.process_time()
    writer = RunWriter(folder)
    site = Location("train.py", 5)
    writer.put(RunInfo(folder.name, "train.py", "train.py", mode="run", steps=steps, ended="finished"))
    writer.put(Coverage(modules=tensors, modules_seen=tensors, sampled_steps=steps, steps=steps))
    writer.put(RootInfo(0, "Net", "Net", site))
    writer.put(LossSite(0, "cross_entropy", site, train_calls=steps))
    writer.put(OptimizerInfo(0, "Adam", groups=[{"lr": 1e-3}], parameters=list(range(tensors)), steps=steps))
    for i in range(tensors):
        writer.put(ModuleInfo(i, f"Net.{i}", "Linear", "linear", 0, site, order=i), i)
        writer.put(ParameterInfo(i, f"Net.{i}.weight", i, [64, 64], "matrix", optimizers=[0], numel=4096), i)
    random = np.random.default_rng(0)
    norms = np.exp(0.3 * random.standard_normal(tensors)).astype(np.float32)
    for step in range(steps):
        writer.frame(LOSS, step, [2.3 * math.exp(-3 * step / steps)])
        writer.frame(LEARNING_RATE, step, [1e-3])
        if step < DENSE or step % DENSE == 0:
            for signal, scale in ((GRAD_NORM, 1.0), (WEIGHT_NORM, 8.0), (UPDATE_NORM, 8e-3)):
                writer.frame(signal, step, scale * norms)
        if step % 1000 == 0:
            writer.flush(force=True)
    writer.close()
    return time.process_time() - started


def command(*arguments: str) -> tuple[float, int]:
    """Run one of our commands: processor seconds and largest resident size."""
    process = subprocess.Popen(
        [sys.executable, "-m", "flightcheck", *arguments], env=environment(), stdout=subprocess.DEVNULL
    )
    _, status, used = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status) not in (0, 1):  # 1: there are findings
        raise RuntimeError(f"flightcheck {' '.join(arguments)} ended with {os.waitstatus_to_exitcode(status)}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def measure(steps: int, tensors: int) -> Measured:
    """Write a run of this size, and read it as a user does."""
    with tempfile.TemporaryDirectory(prefix="growth-") as folder:
        run = Path(folder) / "made"
        recording = record(run, steps, tensors)
        size = (run / FILE_NAME).stat().st_size
        show, memory = command("show", str(run))
        page_seconds, _ = command("show", "--html", str(run / "report.html"), str(run))
        page = (run / "report.html").stat().st_size
    return Measured(steps, tensors, recording, size, show, memory, page, page_seconds)


def slope(values: Sequence[tuple[float, float]]) -> float:
    """Of the logarithms, least squares: 1 grows in proportion, 0 does not grow."""
    x, y = np.log([v[0] for v in values]), np.log([v[1] for v in values])
    return float(np.polyfit(x, y, 1)[0])


INTRODUCTION: Final = f"""# How a run grows

`python -m benchmarks.growth` wrote this page: made runs with loss and learning rate at every step, and three numbers
of each tensor in the first {DENSE} steps and at every {DENSE}th after them. Times are processor seconds of one core;
those of `show` and the page include the start of Python and all checks. A file keeps at most {FRAME_BUDGET:,} steps of
a number and {VALUES_BUDGET:,} values of it, but {LEAST_FRAMES} steps at least.
"""
SLOPES: Final = """Slopes of the logarithms from the second largest size to the largest (1 is in proportion):
"""
NUMBERS: Final = (
    ("recording, s", "recording"), ("file, MB", "file"), ("show, s", "show"), ("show, MB of memory", "show_memory"),
    ("page, MB", "page"), ("page, s", "page_seconds"),
)  # fmt: skip


def slopes(rows: list[Measured]) -> str:
    """How each number grows from the second largest size to the largest, along steps and along tensors."""
    told = [
        "| number | slope over steps | at tensors | slope over tensors | at steps |",
        "| --- | --- | --- | --- | --- |",
    ]
    tensors = max(r.tensors for r in rows if r.steps == max(r.steps for r in rows))
    steps = max(r.steps for r in rows if r.tensors == max(r.tensors for r in rows))
    for name, field in NUMBERS:
        along = [(r.steps, getattr(r, field)) for r in rows if r.tensors == tensors][-2:]
        across = [(r.tensors, getattr(r, field)) for r in rows if r.steps == steps][-2:]
        told.append(f"| {name} | {slope(along):.2f} | {tensors:,} | {slope(across):.2f} | {steps:,} |")
    return "\n".join(told)


def table(rows: list[Measured]) -> str:
    """The results as Markdown."""
    told = [
        "| steps | tensors | recording | µs a step | run file | `show` | its memory | page | written in |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for r in rows:
        told.append(
            f"| {r.steps:,} | {r.tensors:,} | {r.recording:.1f} s | {r.recording / r.steps * 1e6:.0f} | "
            f"{r.file / 1e6:.1f} MB | {r.show:.1f} s | {r.show_memory / 1e6:.0f} MB | {r.page / 1e6:.2f} MB | "
            f"{r.page_seconds:.1f} s |"
        )
    return "\n".join(told)


def main() -> None:
    """Measure all sizes, print, write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--seconds", type=float, default=SECONDS, help="for the recording of one size (default %(default)g)"
    )
    parser.add_argument("--no-write", action="store_true", help="leave docs/growth.md as it is")
    args = parser.parse_args()
    rows: list[Measured] = []
    left_out: list[str] = []
    for tensors in TENSORS:
        expected = 0.0
        for steps in STEPS:
            if expected > args.seconds:
                left_out.append(f"{steps:,} steps of {tensors:,} tensors (about {expected:.0f} s of recording)")
                continue
            rows.append(measure(steps, tensors))
            expected = rows[-1].recording * 10
            print(table(rows[-1:]).splitlines()[-1], flush=True)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    text = f"{INTRODUCTION}\n{table(rows)}\n\n{SLOPES}\n{slopes(rows)}\n\n"
    text += f"Left out: {'; '.join(left_out) or 'nothing'}. Recording took {memory:.0f} MB of memory at most.\n"
    print(text)
    if not args.no_write:
        PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
