"""``flightcheck note``: a sentence that stays with a run."""

from __future__ import annotations

import argparse
from pathlib import Path

from flightcheck.cli.tag import folder_of
from flightcheck.options import DEFAULT_RUNS_DIR
from flightcheck.tracking.summary import change_labels, read_labels


def main(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Run the command."""
    add = parser.add_argument
    add("run", metavar="RUN", help="folder of a run, its id, or the beginning of its id")
    add(
        "text",
        nargs="?",
        help="the note, in place of the one that it has; '' removes it; without it the note is printed",
    )
    add("--runs-dir", type=Path, default=DEFAULT_RUNS_DIR, metavar="DIR",
        help="where runs are recorded (default %(default)s)")  # fmt: skip
    args = parser.parse_args(arguments)
    folder = folder_of(args.run, args.runs_dir)
    if args.text is None:
        print(read_labels(folder)["note"] or "no note")
        return 0
    change_labels(folder, lambda had: {**had, "note": args.text})
    return 0
