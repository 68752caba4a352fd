"""Draws docs/report.svg: the example is run under Flightcheck, and what the terminal would show is kept."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

from flightcheck.checks.registry import run_checks
from flightcheck.diagnosis.engine import diagnose
from flightcheck.recording.run import Run
from flightcheck.report.terminal import print_report

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "report.svg"
SCRIPT = "examples/digits.py"
COLUMNS = 92
FOUND = 1


def main() -> None:
    """Run the example, print what it printed and the report into a recording console, save its picture."""
    with tempfile.TemporaryDirectory() as runs:
        printed, run = watched_example(runs)
    PICTURE.write_text(_picture(printed, run), encoding="utf-8")
    print(f"{PICTURE.name}: {run.info.steps} steps of {SCRIPT}")


def watched_example(runs: str) -> tuple[str, Run]:
    """Run the example under Flightcheck; returns what it printed, and the run."""
    os.chdir(ROOT)  # the report shows paths relative to the current folder
    command = [sys.executable, "-m", "flightcheck", "check", "--runs-dir", runs, SCRIPT]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    folders = list(Path(runs).iterdir())
    if done.returncode != FOUND or not folders:
        sys.exit(f"{SCRIPT}: status {done.returncode}, nothing was found in it; the picture is left as it was")
    return done.stdout, Run.open(folders[0])


def _picture(printed: str, run: Run) -> str:
    console = Console(
        record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor",
        highlight=False, markup=False, emoji=False,
    )  # fmt: skip
    console.print(Text.assemble(("$ ", "dim"), (f"flightcheck check {SCRIPT}", "bold")))
    console.print(Text(printed.rstrip("\n")))
    print_report(run, diagnose(run, run_checks(run)), console)
    svg = console.export_svg(title="flightcheck", unique_id="report")
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)  # they would be fetched from the network
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


if __name__ == "__main__":
    main()
