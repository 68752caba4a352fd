"""``flightcheck export``: the recorded runs for other programs: as a table, or sent to a tracker."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from flightcheck.cli import trackers
from flightcheck.cli.runs import add_selection, count, selected
from flightcheck.errors import UsageError
from flightcheck.tracking.summary import Summary

_FIRST = (
    "id",
    "started",
    "command",
    "ended",
    "steps",
    "seconds",
    "loss",
    "evaluation_loss",
    "findings",
    "tags",
    "note",
)


def main(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Run the command."""
    add = parser.add_argument
    add("file", nargs="*", metavar="FILE", help="a name that ends in .csv or .json; - is CSV on stdout. "
        "With --to: the runs to send, by their ids or beginnings of ids (default: the last)")  # fmt: skip
    trackers.add_options(parser)
    add("--uri", metavar="WHERE", help="the same as --to TRACKER=WHERE")
    add("--again", action="store_true", help="with --to: also runs that have been sent there before")
    add_selection(parser)
    args = parser.parse_args(arguments)
    if args.to:
        return trackers.export(args, args.file)
    if len(args.file) != 1:
        raise UsageError("give one FILE, or say with --to to which tracker the runs are to be sent")
    args.file = args.file[0]
    suffix = ".csv" if args.file == "-" else Path(args.file).suffix
    if suffix not in (".csv", ".json"):
        raise UsageError(f"{args.file}: the name must end in .csv or .json")
    runs = selected(args)
    if args.file == "-":
        _write(runs, suffix, sys.stdout)
        return 0
    try:
        with Path(args.file).open("w", encoding="utf-8", newline="") as stream:
            _write(runs, suffix, stream)
    except OSError as e:
        raise UsageError(f"{args.file}: cannot be written ({e.strerror})") from e
    print(f"{count(len(runs))} in {args.file}")
    return 0


def _write(runs: Sequence[Summary], suffix: str, stream: TextIO) -> None:
    if suffix == ".json":
        json.dump({"schema": "flightcheck.runs/1", "runs": runs}, stream, indent=1)
        stream.write("\n")
        return
    rows = [_flat(r) for r in runs]
    columns = dict.fromkeys([*_FIRST, *sorted({n for row in rows for n in row})])
    writer = csv.DictWriter(stream, list(columns), restval="")
    writer.writeheader()
    writer.writerows(rows)


def _flat(run: Summary) -> dict[str, Any]:
    """One row: values in effect under their own names, seeds and declared settings under theirs with what they are."""
    row: dict[str, Any] = {}
    for name, value in run.items():
        if name in ("schema", "code"):
            continue
        if isinstance(value, list):
            row[name] = " ".join(map(str, value))
        elif isinstance(value, dict):
            prefix = {"values": "", "seeds": "seed_of_", "declared": "declared_"}.get(name, f"{name}_")
            row |= {prefix + k.replace("-", "_"): v for k, v in value.items()}
        else:
            row[name] = value
    return row
