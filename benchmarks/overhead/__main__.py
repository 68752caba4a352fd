"""``python -m benchmarks.overhead``: what watching costs, written to docs/overhead.md."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Final

from benchmarks.overhead.measuring import NOTHING, WATCHED, Measured, Ratio, result
from benchmarks.overhead.workloads import WORKLOADS

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "overhead.md"
CLAIM: Final = 1.02
NOISE: Final = 0.005
"""How far from 1 the interval of nothing against nothing may reach for a claim to be made."""
QUIET_LOAD: Final = 0.5
"""Load average before the measurement, above which the machine is called busy."""


def verdict(measured: Measured) -> str:
    """What the ratio of processor time says of the two percent."""
    ratio, nothing = measured.processor[WATCHED], measured.processor[NOTHING]
    if nothing.low < 1 - NOISE or nothing.high > 1 + NOISE:
        return "not resolved"
    return "yes" if ratio.high < CLAIM else "no" if ratio.low > CLAIM else "not resolved"


def _percent(ratio: Ratio) -> str:
    values = [100 * (v - 1) for v in (ratio.median, ratio.low, ratio.high)]
    return f"{values[0]:+.1f} ({values[1]:+.1f} to {values[2]:+.1f})"


def _often(distance: float) -> str:
    return "every step" if distance < 1.05 else f"every {distance:.1f}"


def page(results: list[Measured], load: tuple[float, float], budget: float) -> str:
    """The page."""
    busy = load[0] > QUIET_LOAD
    lines = [
        "# What watching costs",
        "",
        "Made by `make bench`: the same training with and without `flightcheck run`'s observer, in turns, in one",
        'process. Percent more time than without it, with the 95 % interval of the median; "nothing" compares blocks',
        f"without it to each other. A claim (at most 2 % of processor time) needs that within ±{100 * NOISE:g} %.",
        "",
        f"- {_processor()}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}, "
        f"PyTorch {_torch()}; budget {100 * budget:g} %; {datetime.date.today():%Y-%m-%d}",
        f"- load average before and after: {load[0]:.1f} and {load[1]:.1f}"
        + (": **the machine was busy with other programs, so none of these times supports a claim**" if busy else ""),
        "",
        "| training | threads | step, ms | processor | wall | nothing | by its own clock | ≤ 2 %? |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for m in results:
        lines.append(
            f"| {m.workload} | {m.threads} | {1000 * m.step:.2f} | {_percent(m.processor[WATCHED])} "
            f"| {_percent(m.wall[WATCHED])} | {_percent(m.processor[NOTHING])} | {100 * m.own:.1f} "
            f"| {'not resolved' if busy else verdict(m)} |"
        )
    lines += [
        "",
        "What was seen for that price, while it was measured. Loss and gradients of all parameters: every step.",
        "",
        "| training | threads | weights and updates | activations of all layers (rows) | everything | first 10 steps |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for m in results:
        weights, activations, everything = (_often(m.every[k]) for k in ("weights", "activations", "everything"))
        lines.append(
            f"| {m.workload} | {m.threads} | {weights} | {activations} ({m.rows}) | {everything} "
            f"| {m.first_steps:+.2f} s |"
        )
    lines += [
        "",
        "Counted, so free of noise: an ordinary step of the watched training.",
        "",
        "| training | more operations of PyTorch | calls of the kernel | hooks on the model | Python calls of ours "
        "| bytes kept of the weights |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for m in results:
        if m.threads == 1:
            cells = (m.counts.get(k) for k in ("operations", "native", "hooks", "python", "bytes"))
            lines.append(f"| {m.workload} | " + " | ".join("–" if c is None else f"{c:,}" for c in cells) + " |")
    lines += ["", *(f"{name}: {d}." for name, d in {m.workload: m.description for m in results}.items()), ""]
    return "\n".join(lines)


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _torch() -> str:
    import torch

    return str(torch.__version__)


def main() -> int:
    """Measure every workload in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workloads", default=",".join(WORKLOADS), help="names, separated by commas")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=1.0, help="of a block")
    parser.add_argument("--budget", type=float, default=0.02)
    parser.add_argument("--out", type=Path, default=PAGE)
    given = parser.parse_args()
    before = os.getloadavg()[0]
    results = []
    for name in given.workloads.split(","):
        for threads in map(int, given.threads.split(",")):
            numbers = map(str, (threads, given.rounds, given.seconds, given.budget))
            command = [sys.executable, "-m", "benchmarks.overhead.measuring", name, *numbers]
            environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
            done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
            if done.returncode:
                print(done.stderr, file=sys.stderr)
                return 1
            results.append(result(json.loads(done.stdout)))
            print(name, threads, _percent(results[-1].processor[WATCHED]), verdict(results[-1]), file=sys.stderr)
    given.out.write_text(page(results, (before, os.getloadavg()[0]), given.budget), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
