"""Does each injection do harm? Every program and its twin without the fault run alone, on several seeds.

python -m benchmarks.lookalikes.harm [--seeds 3] [--only mlp,P20] [--fresh]
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.lookalikes.rendering import Program, programs
from benchmarks.results import Results, environment

_NUMBERS = re.compile(r"train loss (\S+?),? test loss (\S+?),? score (\S+)")
MARGIN = 0.1
"""By so much the score (accuracy, or R² of a regression) of the faulty program must be below its twin's."""
RISE = 1.2
"""By such a factor the test loss of a training that overfits must end above its lowest."""


@dataclass(frozen=True)
class Curve:
    """What a program printed, one value an epoch."""

    train_loss: list[float]
    test_loss: list[float]
    score: list[float]


def curve(text: str, results: Results) -> Curve:
    """Run a program alone."""

    def run() -> dict[str, list[float]]:
        with tempfile.TemporaryDirectory() as folder:
            script = Path(folder) / "train.py"
            script.write_text(text)
            done = subprocess.run(
                [sys.executable, "-W", "ignore", str(script)],
                capture_output=True, text=True, cwd=folder, env=environment(), timeout=300, check=False,
            )  # fmt: skip
            if done.returncode:
                raise RuntimeError(done.stderr[-2000:])
        rows = [[float(number) for number in row] for row in _NUMBERS.findall(done.stdout)]
        train, test, score = (list(column) for column in zip(*rows, strict=True))
        return {"train_loss": train, "test_loss": test, "score": score}

    return Curve(**results.get(text, run))


def harmed(program: Program, faulty: Curve, twin: Curve) -> bool:
    """Whether the fault shows."""
    if program.member == "overfitting":
        return faulty.test_loss[-1] > RISE * min(faulty.test_loss) and faulty.train_loss[-1] < 0.1
    return not faulty.score[-1] > twin.score[-1] - MARGIN


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="", help="architectures or members")
    parser.add_argument("--fresh", action="store_true")
    args = parser.parse_args()
    only = set(args.only.split(",")) - {""}
    results = Results("lookalikes/harm", fresh=args.fresh)
    by_name: dict[str, list[Program]] = {}
    for seed in range(args.seeds):
        for program in programs(seed):
            wanted = {program.architecture, program.member}
            architectures = only & {"mlp", "cnn", "lstm", "transformer"}
            if (not architectures or architectures & wanted) and (
                only <= architectures or (only - architectures) & wanted
            ):
                by_name.setdefault(program.name, []).append(program)
    print("| program | member | score without the fault | with it | train loss without | with | harm on seeds |")
    print("| --- | --- | --- | --- | --- | --- | --- |", flush=True)
    for name, seeds in by_name.items():
        curves = [(curve(p.text, results), curve(p.twin, results)) for p in seeds]
        ends = [
            statistics.median(values)
            for values in zip(
                *[(t.score[-1], f.score[-1], t.train_loss[-1], f.train_loss[-1]) for f, t in curves], strict=True
            )
        ]
        count = sum(harmed(p, f, t) for p, (f, t) in zip(seeds, curves, strict=True))
        harm = "–" if seeds[0].member == "healthy" else f"{count} of {len(seeds)}"
        print(
            f"| {name} | {seeds[0].member} | {ends[0]:.3f} | {ends[1]:.3f} | {ends[2]:.3g} | {ends[3]:.3g} | {harm} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
