"""``python -m benchmarks.store``: what recording, sharing a folder, and listing cost.

Three measurements, in a folder of their own: rows written by one process; several processes that write runs into one
folder while another one lists it; ten thousand runs listed by the command. `--folder` measures another disk, such as a
shared one.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.results import environment
from flightcheck.diagnosis.engine import diagnose
from flightcheck.recording.records import RunInfo
from flightcheck.recording.run import Run
from flightcheck.recording.signals import Signal
from flightcheck.recording.store import RunWriter
from flightcheck.session import new_run_folder
from flightcheck.tracking.history import all_runs
from flightcheck.tracking.summary import RUN_FILE, SUMMARY_FILE, write_json, write_summary

ROWS: Final = 200_000
METRICS: Final = 50
WRITERS: Final = 4
RUNS_OF_A_WRITER: Final = 25
STEPS_OF_A_RUN: Final = 200
LISTED: Final = 10_000


@dataclass(frozen=True)
class Took:
    """Seconds by the clock on the wall and of the processor: on a busy machine the first says little."""

    wall: float
    processor: float

    def __str__(self) -> str:
        return f"{self.wall:.2f} s ({self.processor:.2f} s of the processor)"


def timed(do: Callable[[], Any], who: int = resource.RUSAGE_SELF) -> Took:
    """How long something takes, in this process or in those that it waits for."""
    before, start = resource.getrusage(who), time.perf_counter()
    do()
    wall, after = time.perf_counter() - start, resource.getrusage(who)
    return Took(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


# -- rows -----------------------------------------------------------------------------------------------------------


def write_rows(folder: Path, metrics: int, steps: int) -> None:
    """One run: at every step one row for each metric, committed as in a training."""
    writer = RunWriter(folder)
    writer.put(RunInfo(folder.name, "train.py", "train.py", mode="run", steps=steps, ended="finished"))
    signals = [Signal(f"metric{i}", "step", "", "a number of the script's") for i in range(metrics)]
    for step in range(steps):
        for i, signal in enumerate(signals):
            writer.frame(signal, step, [value_of(i, step)])
        writer.flush()
    writer.close()


def value_of(metric: int, step: int) -> float:
    """The value that was written."""
    return metric + step / 1024


def lost_rows(folder: Path, metrics: int, steps: int) -> int:
    """How many rows do not come back as they were written."""
    run, right = Run.open(folder), 0
    for i in range(metrics):
        seen, values = run.frames.get(f"metric{i}", (np.array([], dtype=np.int64), []))
        right += sum(value[0] == np.float32(value_of(i, int(step))) for step, value in zip(seen, values, strict=True))
    return metrics * steps - right


# -- several writers ------------------------------------------------------------------------------------------------


def write_runs(folder: Path, amount: int) -> None:
    """What one training after the other does to a shared folder: take a name, write the run, then its summary."""
    for _ in range(amount):
        made = new_run_folder(folder)
        write_rows(made, 1, STEPS_OF_A_RUN)
        run = Run.open(made)
        write_summary(run, diagnose(run, []))


def write_together(folder: Path, writers: int, runs: int) -> int:
    """Start the writers at once, list the folder all the while, and count what was listed in the meantime.

    Raises:
        RuntimeError: a writer failed.
    """
    command = [sys.executable, "-m", "benchmarks.store", "--write", str(runs), "--folder", str(folder)]
    root = Path(__file__).parents[1]
    started = [subprocess.Popen(command, env=environment(), cwd=root) for _ in range(writers)]
    listings = 0
    while any(p.poll() is None for p in started):
        all_runs(folder)
        listings += 1
        time.sleep(0.05)
    if any(p.returncode for p in started):
        raise RuntimeError(f"a writer failed: exit statuses {[p.returncode for p in started]}")
    return listings


def lost_runs(folder: Path, expected: int) -> int:
    """How many runs are not listed as finished, or lack a row."""
    listed = [s["id"] for s in all_runs(folder) if s["ended"] == "finished" and s.get("findings") is not None]
    return expected - sum(not lost_rows(folder / name, 1, STEPS_OF_A_RUN) for name in listed)


# -- lists ----------------------------------------------------------------------------------------------------------


def write_summaries(folder: Path, amount: int) -> None:
    """Folders with summaries, as old runs have them."""
    for i in range(amount):
        made = folder / f"20260101-{i:06}-abcdef"
        made.mkdir(parents=True)
        (made / RUN_FILE).touch()
        summary = {
            "schema": "flightcheck.summary/1", "id": made.name, "started": f"2026-01-{i % 28 + 1:02}",
            "ended": "finished", "command": f"train.py --width {i % 9}", "steps": 300, "loss": i / amount,
            "values": {"lr": 10.0 ** -(i % 7), "batch_size": 32.0, "optimizer": "SGD", "momentum": 0.9},
            "findings": ["L03"] if i % 3 else [], "roots": [], "declared": {"epochs": 4}, "seeds": {"torch": i},
        }  # fmt: skip
        write_json(made / SUMMARY_FILE, summary)
        os.utime(made, (i, i))


def list_runs(folder: Path, *more: str) -> int:
    """Lines that ``flightcheck runs`` prints, a new process."""
    command = [sys.executable, "-m", "flightcheck", "runs", "--runs-dir", str(folder), "--limit", "0", *more]
    return len(
        subprocess.run(command, capture_output=True, text=True, check=True, env=environment()).stdout.splitlines()
    )


# -- the command ----------------------------------------------------------------------------------------------------


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.store", description=__doc__)
    parser.add_argument("--folder", type=Path, help="where to (default: a temporary folder)")
    parser.add_argument("--write", type=int, metavar="RUNS", help="only write so many runs into the folder")
    args = parser.parse_args()
    if args.write is not None:
        write_runs(args.folder, args.write)
        return
    print(f"Load average before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.")
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        _measure(Path(name))


def _measure(folder: Path) -> None:
    steps = ROWS // METRICS
    took = timed(lambda: write_rows(folder / "rows", METRICS, steps))
    size = (folder / "rows" / RUN_FILE).stat().st_size / 1e6
    read = timed(lambda: Run.open(folder / "rows"))
    lost = lost_rows(folder / "rows", METRICS, steps)
    print(f"{ROWS:,} rows, {METRICS} metrics: written in {took}, read in {read}, {size:.1f} MB, {lost} lost.")
    took = timed(lambda: write_rows(folder / "long", 1, ROWS))
    print(f"{ROWS:,} rows, 1 metric: written in {took}; thinned to {ROWS - lost_rows(folder / 'long', 1, ROWS):,}.")

    expected, listings = WRITERS * RUNS_OF_A_WRITER, []
    together = timed(lambda: listings.append(write_together(folder / "shared", WRITERS, RUNS_OF_A_WRITER)))
    lost = lost_runs(folder / "shared", expected)
    print(f"{WRITERS} processes, {expected} runs: {lost} lost, in {together.wall:.1f} s, listed {listings[0]} times.")

    write_summaries(folder / "many", LISTED)
    waited = resource.RUSAGE_CHILDREN
    print(f"{LISTED:,} runs, the first time: {timed(lambda: list_runs(folder / 'many'), waited)}.")
    print(f"{LISTED:,} runs, again: {timed(lambda: list_runs(folder / 'many'), waited)}.")
    chosen = ("--where", "lr<1e-3 and finding=L03", "--sort", "loss")
    print(f"{LISTED:,} runs, filtered and sorted: {timed(lambda: list_runs(folder / 'many', *chosen), waited)}.")


if __name__ == "__main__":
    main()
