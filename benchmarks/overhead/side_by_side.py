"""``python -m benchmarks.overhead.side_by_side``: Flightcheck's cost beside other tools', to docs/overhead-peers.md.

The other tools are installed into an environment of their own (build/benchmarks/peers) that sees this one's packages.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from typing import Final

from benchmarks.overhead.__main__ import ROOT, machine, percent
from benchmarks.overhead.comparing import OURS, Compared, compared
from benchmarks.overhead.measuring import NOTHING

PAGE: Final = ROOT / "docs" / "overhead-peers.md"
ENVIRONMENT: Final = ROOT / "build" / "benchmarks" / "peers"
NEEDED: Final = Path(__file__).with_name("peers.txt")
WITHOUT_DEPENDENCIES: Final = ("backpack-for-pytorch==1.7.1", "unfoldNd", "einops", "torchvision==0.28.0")
"""BackPACK asks for torchvision, whose dependencies would bring another PyTorch."""
OWN: Final = 100
"""Steps between two full measurements of ours at most, where nothing else is asked for."""
AS_PEERS: Final = 10
NOT_HERE: Final = (
    "TrainCheck rewrites the script and traces it in a process of its own, so it cannot be taken out of a process"
    " between blocks: it was not measured.",
)


def python_with_peers() -> Path:
    """The interpreter that has the other tools; they are installed if they are not there yet.

    Raises:
        subprocess.CalledProcessError: pip could not install them.
    """
    python = ENVIRONMENT / "bin" / "python"
    done = ENVIRONMENT / "installed"
    if done.exists() and done.read_text() == NEEDED.read_text():
        return python
    venv.create(ENVIRONMENT, with_pip=True, clear=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = ENVIRONMENT / "lib" / version / "site-packages"
    (packages / "measured.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    for arguments in (["--no-deps", *WITHOUT_DEPENDENCIES], ["-r", str(NEEDED)]):
        subprocess.run([*pip, *arguments], check=True)
    done.write_text(NEEDED.read_text())
    return python


def page(results: list[Compared], load: tuple[float, float]) -> str:
    """The page."""
    lines = [
        "# What watching costs, beside other tools",
        "",
        "Made by `make bench-peers`: one process for each table, in which blocks of the same training are watched by",
        "one tool at a time, in shuffled order, each between two blocks that nothing watches. Percent more processor",
        f'time than those, with the 95 % interval of the median; "{NOTHING}" is a block that nothing watches, as a',
        "control. Tools that can be told how often to look are told every 10 steps. Flightcheck is shown twice: as it",
        "is (with its budget of 2 %), and made to measure everything after 10 steps at the latest, at any cost.",
        "",
        f"- {machine()}; one thread; {datetime.date.today():%Y-%m-%d}",
        f"- load average before and after: {load[0]:.1f} and {load[1]:.1f}",
        "",
    ]
    for found in results:
        often = "as it is" if found.gap == OWN else f"everything every {found.gap} steps at the latest"
        lines += [
            f"## {found.workload}, Flightcheck {often}",
            "",
            f"{found.description}; {1000 * found.step:.2f} ms a step.",
            "",
            "| | more processor time, % | µs a step | what it sees |",
            "| --- | --- | --- | --- |",
        ]
        order = sorted(found.processor, key=lambda d: (d != OURS, d != NOTHING, found.processor[d].median))
        for design in order:
            ratio = found.processor[design]
            micro = 1e6 * found.step * (ratio.median - 1)
            lines.append(f"| {design} | {percent(ratio)} | {micro:,.0f} | {found.sees.get(design, 'nothing')} |")
        lines += ["", *(f"Not compared: {reason}" for reason in found.missing), ""]
    return "\n".join([*lines, *NOT_HERE, ""])


def main() -> int:
    """Measure each training in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workloads", default="mlp,cnn,gpt", help="names, separated by commas")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=0.5, help="of a block")
    parser.add_argument("--out", type=Path, default=PAGE)
    given = parser.parse_args()
    before = os.getloadavg()[0]
    python = python_with_peers()
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src")}
    results = []
    for name in given.workloads.split(","):
        for gap in (OWN, AS_PEERS):
            command = [str(python), "-m", "benchmarks.overhead.comparing", name, str(given.rounds), str(given.seconds)]
            done = subprocess.run(
                [*command, str(gap)], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=False
            )
            if done.returncode:
                return 1
            results.append(compared(json.loads(done.stdout)))
            told = ", ".join(f"{d} {percent(r)}" for d, r in results[-1].processor.items())
            print(f"{name}, {gap}: {told}", file=sys.stderr)
            given.out.write_text(page(results, (before, os.getloadavg()[0])), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
