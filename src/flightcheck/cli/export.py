"""``flightcheck export``: the recorded runs for other programs: as a table, for TensorBoard, or sent to a tracker."""

from __future__ import annotations

import argparse
import csv
import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from flightcheck.cli import trackers
from flightcheck.cli.runs import add_selection, count, selected
from flightcheck.errors import UsageError
from flightcheck.tracking.parquet import require_pyarrow, write_parquet
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
    ways = ("[options] FILE", "RUN --tensorboard DIR", "[RUN ...] --to TRACKER")
    parser.usage = "\n       ".join(f"{parser.prog} {way}" for way in ways)
    add = parser.add_argument
    add("file", nargs="*", metavar="FILE", help="a name that ends in .csv, .json or .parquet; - is CSV on stdout. With "
        "--tensorboard or --to: the runs, by their ids, beginnings of ids or folders (default: the last)")  # fmt: skip
    add("--tensorboard", type=Path, metavar="DIR", help="write one run as an event file below DIR")
    trackers.add_options(parser)
    add("--uri", metavar="WHERE", help="the same as --to TRACKER=WHERE")
    add("--again", action="store_true", help="with --to: also runs that have been sent there before")
    add_selection(parser)
    args = parser.parse_args(arguments)
    if args.to:
        return trackers.export(args, args.file)
    if args.tensorboard is not None:
        if args.where or args.sort or len(args.file) > 1:
            raise UsageError("--tensorboard exports one run, which is named; --where and --sort choose among several")
        return _to_tensorboard(next(iter(args.file), None), args.runs_dir, args.tensorboard)
    if len(args.file) != 1:
        raise UsageError(
            "give one FILE that ends in .csv, .json or .parquet; or say with --tensorboard or --to where runs go"
        )
    args.file = args.file[0]
    suffix = ".csv" if args.file == "-" else Path(args.file).suffix
    if suffix not in (".csv", ".json", ".parquet"):
        raise UsageError(f"{args.file}: the name must end in .csv, .json or .parquet")
    if suffix == ".parquet":
        require_pyarrow()
    runs = selected(args)
    if args.file == "-":
        _write(runs, suffix, sys.stdout)
        return 0
    try:
        if suffix == ".parquet":
            rows, columns = _rows(runs)
            write_parquet(rows, columns, Path(args.file))
        else:
            with Path(args.file).open("w", encoding="utf-8", newline="") as stream:
                _write(runs, suffix, stream)
    except OSError as e:
        raise UsageError(f"{args.file}: cannot be written ({e.strerror or e})") from e
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
    rows, columns = _rows(runs)
    writer = csv.DictWriter(stream, columns, restval="")
    writer.writeheader()
    writer.writerows(rows)


def _rows(runs: Sequence[Summary]) -> tuple[list[dict[str, Any]], list[str]]:
    rows = [_flat(r) for r in runs]
    return rows, list(dict.fromkeys([*_FIRST, *sorted({n for row in rows for n in row})]))


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
