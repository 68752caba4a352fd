"""``flightcheck tag``: words by which a run is found again."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from flightcheck.cli.show import find_run
from flightcheck.errors import UsageError
from flightcheck.options import DEFAULT_RUNS_DIR
from flightcheck.tracking.summary import change_labels, read_labels


def main(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Run the command."""
    add = parser.add_argument
    add("run", metavar="RUN", help="folder of a run, its id, or the beginning of its id")
    add("tags", nargs="*", metavar="TAG", help="tags to give it; without any, those that it has are printed")
    add("--remove", action="store_true", help="take these tags away")
    add("--runs-dir", type=Path, default=DEFAULT_RUNS_DIR, metavar="DIR",
        help="where runs are recorded (default %(default)s)")  # fmt: skip
    args = parser.parse_args(arguments)
    for tag in args.tags:
        if not re.fullmatch(r"[\w.:/+@-]+", tag):
            raise UsageError(f"{tag!r} is no tag: letters, digits and . : / + @ - _ are allowed, no blanks")
    folder = folder_of(args.run, args.runs_dir)
    if not args.tags:
        print("\n".join(read_labels(folder)["tags"]) or "no tags")
        return 0
    named = set(args.tags)
    change_labels(
        folder,
        lambda had: {**had, "tags": sorted(set(had["tags"]) - named if args.remove else set(had["tags"]) | named)},
    )
    return 0


def folder_of(name: str, runs_dir: Path) -> Path:
    """The folder of a run.

    Raises:
        RunFileError: there is none.
    """
    found = find_run(name, runs_dir)
    return found if found.is_dir() else found.parent
