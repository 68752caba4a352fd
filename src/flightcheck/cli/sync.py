"""``flightcheck sync``: sends to trackers what could not be sent before."""

from __future__ import annotations

import argparse
from pathlib import Path

from flightcheck.cli import trackers
from flightcheck.options import DEFAULT_RUNS_DIR


def main(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Run the command."""
    parser.add_argument("runs", nargs="*", metavar="RUN", help="ids of runs, or beginnings of ids (default: all)")
    parser.add_argument("--runs-dir", type=Path, default=DEFAULT_RUNS_DIR, metavar="DIR",
        help="where runs are recorded (default %(default)s)")  # fmt: skip
    args = parser.parse_args(arguments)
    return trackers.sync(args.runs_dir, args.runs)
