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
SHORT_STEP, SHORT_STEP_CLAIM = 2.5e-3, 50e-6
"""Seconds: a step that is shorter than the first may cost the second, as two percent of it measure nothing."""
NOISE: Final = 0.005
"""How far from 1 the interval of nothing against nothing may reach for a claim to be made."""
QUIET_LOAD: Final = 0.5
"""Load average before the measurement, above which the machine is called busy."""


def verdict(measured: Measured, device: str = "cpu") -> str:
    """What the ratio of processor time says of the two percent (of 50 µs where a step is shorter than 2.5 ms); where a
    graphics card computes, that of the wall's.
    """
    ratios = measured.processor if device == "cpu" else measured.wall
    ratio, nothing = ratios[WATCHED], ratios[NOTHING]
    if nothing.low < 1 - NOISE or nothing.high > 1 + NOISE:
        return "not resolved"
    claim = allowed(measured.step)
    return "yes" if ratio.high < claim else "no" if ratio.low > claim else "not resolved"


def allowed(step: float) -> float:
    """The largest ratio that keeps the promise, for a step of so many seconds."""
    return max(CLAIM, 1 + SHORT_STEP_CLAIM / step) if step < SHORT_STEP else CLAIM


def percent(ratio: Ratio) -> str:
    """More time, in percent, with its interval."""
    values = [100 * (v - 1) for v in (ratio.median, ratio.low, ratio.high)]
    return f"{values[0]:+.1f} ({values[1]:+.1f} to {values[2]:+.1f})"


def _often(distance: float) -> str:
    return "every step" if distance < 1.05 else f"every {distance:.1f}"


def page(results: list[Measured], load: tuple[float, float], budget: float, device: str = "cpu") -> str:
    """The page."""
    card = f"{_card()}, " if device != "cpu" else ""
    command = "`make bench`" if device == "cpu" else f"`python -m benchmarks.overhead --device {device}`"
    time_of = "processor time" if device == "cpu" else "the wall's time"
    busy = load[0] > QUIET_LOAD
    lines = [
        "# What watching costs",
        "",
        f"Made by {command}: the same training with and without `flightcheck run`'s observer, in turns, in one",
        'process. Percent more time than without it, with the 95 % interval of the median; "nothing" compares blocks',
        f"without it to each other. A claim (at most 2 % of {time_of}, or 50 µs where a step is shorter than 2.5 ms)",
        f"needs that within ±{100 * NOISE:g} %.",
        "",
        f"- {card}{machine()}; budget {100 * budget:g} %; {datetime.date.today():%Y-%m-%d}",
        f"- load average before and after: {load[0]:.1f} and {load[1]:.1f}"
        + (": **the machine was busy with other programs, so none of these times supports a claim**" if busy else ""),
        "",
        "| training | threads | step, ms | processor | µs | wall | nothing | by its own clock | ≤ 2 % or 50 µs? |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for m in results:
        nothing = (m.wall if card else m.processor)[NOTHING]
        lines.append(
            f"| {m.workload} | {m.threads} | {1000 * m.step:.2f} | {percent(m.processor[WATCHED])} "
            f"| {1e6 * m.step * (m.processor[WATCHED].median - 1):,.0f} | {percent(m.wall[WATCHED])} "
            f"| {percent(nothing)} | {100 * m.own:.1f} "
            f"| {'not resolved' if busy else verdict(m, device)} |"
        )
    lines += [
        "",
        "What was seen for that price, while it was measured; of all parameters and layers. The loss: every step.",
        "",
        "| training | threads | gradients | weights and updates | activations (rows) | everything | first 10 steps |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for m in results:
        gradients, weights, activations, everything = (
            _often(m.every[k]) for k in ("gradients", "weights", "activations", "everything")
        )
        lines.append(
            f"| {m.workload} | {m.threads} | {gradients} | {weights} | {activations} ({m.rows}) | {everything} "
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


def machine() -> str:
    """The processor, its cores, and the versions that were measured."""
    return (
        f"{_processor()}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}, "
        f"PyTorch {_torch()}"
    )


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _card() -> str:
    import torch

    return str(torch.cuda.get_device_name())


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
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--out", type=Path, default=None)
    given = parser.parse_args()
    out = given.out or (PAGE if given.device == "cpu" else PAGE.with_name("overhead-gpu.md"))
    before = os.getloadavg()[0]
    results = []
    for name in given.workloads.split(","):
        for threads in map(int, given.threads.split(",")):
            numbers = map(str, (threads, given.rounds, given.seconds, given.budget))
            command = [sys.executable, "-m", "benchmarks.overhead.measuring", name, *numbers, given.device]
            environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
            done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
            if done.returncode:
                print(done.stderr, file=sys.stderr)
                return 1
            results.append(result(json.loads(done.stdout)))
            print(
                name, threads, percent(results[-1].wall[WATCHED]), verdict(results[-1], given.device), file=sys.stderr
            )
    out.write_text(page(results, (before, os.getloadavg()[0]), given.budget, given.device), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
