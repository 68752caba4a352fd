"""``flightcheck runs``: lists, filters and sorts the recorded runs."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from flightcheck.errors import UsageError
from flightcheck.options import DEFAULT_RUNS_DIR
from flightcheck.tracking.history import all_runs, field_of
from flightcheck.tracking.query import HELP, parse, select, sorted_by
from flightcheck.tracking.summary import Summary

DEFAULT_LIMIT: Final = 30
_COLUMNS: Final = ("id", "ended", "steps", "lr", "batch_size", "loss", "evaluation_loss", "findings", "tags", "command")
_VALUES: Final = ("lr", "batch_size")
_HEADS: Final = {"batch_size": "batch", "evaluation_loss": "eval loss"}
_TO_THE_RIGHT: Final = ("steps", "lr", "batch_size", "loss", "evaluation_loss")


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Declare the options by which runs are chosen."""
    add = parser.add_argument
    add("--where", action="append", default=[], metavar="CONDITION", help=f"only runs that meet it; {HELP}")
    add("--sort", metavar="NAME", help="in the order of a field, such as loss; -loss: the largest first")
    add("--runs-dir", type=Path, default=DEFAULT_RUNS_DIR, metavar="DIR",
        help="where runs are recorded (default %(default)s)")  # fmt: skip


def selected(args: argparse.Namespace) -> list[Summary]:
    """The runs that were asked for, the newest first or in the order that was asked for.

    Raises:
        UsageError: a condition or a name cannot be understood.
    """
    names = [n for text in args.where for n in parse(text)[1]]
    everything = all_runs(args.runs_dir)
    runs = select(everything, args.where)
    if {"finding", "findings", "root"} & set(names):
        unjudged = sum(r.get("findings") is None for r in everything)
        if unjudged:
            print(
                f"flightcheck: of {count(unjudged)} no findings are recorded (killed, or of an older version); "
                "'flightcheck show RUN' adds them",
                file=sys.stderr,
            )
    return sorted_by(runs, args.sort) if args.sort else runs


def main(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Run the command."""
    add_selection(parser)
    parser.add_argument(
        "--limit", type=_limit, default=None, metavar="N",
        help=f"show the first N; 0: all (default {DEFAULT_LIMIT}, and all with --json)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="everything that is known of them, as JSON")
    args = parser.parse_args(arguments)
    runs = selected(args)
    limit = args.limit if args.limit is not None else 0 if args.json else DEFAULT_LIMIT
    shown = runs[:limit] if limit else runs
    if args.json:
        print(json.dumps({"schema": "flightcheck.runs/1", "runs": shown}, indent=1))
        return 0
    if not runs:
        print(f"no run in {args.runs_dir}" + (" meets the condition" if args.where else ""))
        return 0
    print("\n".join(table(shown)))
    if len(shown) < len(runs):
        print(f"… and {len(runs) - len(shown)} more (--limit 0 shows all)")
    return 0


def table(runs: Sequence[Summary]) -> list[str]:
    """The lines of a table, as wide as the terminal; columns that are empty in all runs are left out."""
    columns = [(name, _cells(runs, name)) for name in _COLUMNS]
    padded = []
    for name, cells in columns:
        if any(cells):
            head = _HEADS.get(name, name)
            width = max(len(head), *map(len, cells)) if name != _COLUMNS[-1] else 0
            to_a_side = str.rjust if name in _TO_THE_RIGHT else str.ljust
            padded.append([to_a_side(c, width) for c in (head, *cells)])
    room = shutil.get_terminal_size((120, 24)).columns if sys.stdout.isatty() else 0
    lines = ["  ".join(row).rstrip() for row in zip(*padded)]
    return [line[: room - 1] + "…" if room and len(line) > room else line for line in lines]


def _cells(runs: Sequence[Summary], column: str) -> list[str]:
    """Of thousands of runs: what most cells hold is written without a call for each."""
    if column == "findings":
        return [_findings(r) for r in runs]
    values: list[Any] = [r.get(column) for r in runs]
    if column in _VALUES:
        values = [_value(r, column) if v is None else v for v, r in zip(values, runs, strict=True)]
    return [
        "" if v is None
        else v if type(v) is str and "\n" not in v
        else f"{v:.4g}" if type(v) is float
        else str(v) if type(v) is int
        else _text(v)
        for v in values
    ]  # fmt: skip


def _value(run: Summary, column: str) -> Any:
    values = run.get("values")
    found = values.get(column) if values else None
    return field_of(run, column) if values and found is None else found


def _text(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(_text, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value).replace("\n", " ")


def _findings(run: Summary) -> str:
    found = run.get("findings")
    if not found:
        return "?" if found is None else ""
    roots = run.get("roots") or []
    codes = [*roots, *(c for c in found if c not in roots)]
    rest = len(codes) - 4
    return " ".join(codes[:4]) + (f" +{rest}" if rest > 0 else "")


def count(runs: int) -> str:
    """So many runs, in words."""
    return "1 run" if runs == 1 else f"{runs} runs"


def _limit(text: str) -> int:
    if not text.isdigit():
        raise UsageError(f"--limit wants a whole number, but got {text!r}")
    return int(text)
