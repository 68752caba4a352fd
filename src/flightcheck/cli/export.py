"""``flightcheck export``: for other programs, the recorded runs as a table, or one of them for TensorBoard."""

from __future__ import annotations

import argparse
import csv
import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

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
    parser.usage = f"{parser.prog} [options] FILE\n       {parser.prog} RUN --tensorboard DIR"
    parser.add_argument("file", nargs="?", metavar="FILE", help="a name that ends in .csv or .json; - is CSV on stdout")
    parser.add_argument("--tensorboard", type=Path, metavar="DIR",
        help="write one run (an id, its beginning, a folder; else the last) as an event file below DIR")  # fmt: skip
    add_selection(parser)
    args = parser.parse_args(arguments)
    if args.tensorboard is not None:
        if args.where or args.sort:
            raise UsageError("--tensorboard exports one run, which is named; --where and --sort choose among several")
        return _to_tensorboard(args.file, args.runs_dir, args.tensorboard)
    if args.file is None:
        raise UsageError(f"no file given; usage: {parser.prog} FILE, a name that ends in .csv or .json")
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


def _to_tensorboard(name: str | None, runs_dir: Path, folder: Path) -> int:
    from flightcheck.checks.registry import run_checks
    from flightcheck.cli.show import find_run
    from flightcheck.diagnosis.engine import diagnose
    from flightcheck.recording.run import Run
    from flightcheck.report.tensorboard.events import require_tensorboard
    from flightcheck.report.tensorboard.export import export

    require_tensorboard()
    run = Run.open(find_run(name, runs_dir))
    written = export(run, diagnose(run, run_checks(run)), folder)
    print(f"{run.info.id} in {written}; to see it: tensorboard --logdir {shlex.quote(str(folder))}")
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
