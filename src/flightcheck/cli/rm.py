"""``flightcheck rm``: deletes recorded runs."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from flightcheck.cli.runs import add_selection, count, selected, table
from flightcheck.cli.show import find_run
from flightcheck.errors import RunFileError, UsageError
from flightcheck.tracking.history import all_runs
from flightcheck.tracking.summary import RUN_FILE


def main(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Run the command."""
    parser.add_argument("runs", nargs="*", metavar="RUN", help="ids of runs, or beginnings of ids")
    parser.add_argument("--yes", "-y", action="store_true", help="do not ask")
    add_selection(parser)
    args = parser.parse_args(arguments)
    if bool(args.runs) == bool(args.where):
        raise UsageError("say which runs: by their ids, or with --where")
    if args.where:
        found = selected(args)
    else:
        folders = {find_run(name, args.runs_dir).resolve() for name in args.runs}
        if any(f.parent != args.runs_dir.resolve() for f in folders):
            raise UsageError(f"only runs in {args.runs_dir} are deleted (--runs-dir)")
        found = [r for r in all_runs(args.runs_dir) if args.runs_dir.resolve() / r["id"] in folders]
    if not found:
        print("no run meets the condition")
        return 0
    if not args.yes and not _agreed(found):
        return 0
    for run in found:
        _delete(args.runs_dir / run["id"])
    print(f"{count(len(found))} deleted")
    return 0


def _agreed(found: list[dict[str, object]]) -> bool:
    if not sys.stdin.isatty():
        raise UsageError(f"this deletes {count(len(found))}; say --yes where nobody can be asked")
    print("\n".join(table(found)))
    return input(f"Delete {count(len(found))}? [y/N] ").strip().lower() in ("y", "yes")


def _delete(folder: Path) -> None:
    if folder.is_symlink() or not (folder / RUN_FILE).is_file():
        raise RunFileError(f"{folder}: is no folder of a run that may be deleted")
    try:
        shutil.rmtree(folder)
    except OSError as e:
        raise RunFileError(f"{folder}: cannot be deleted ({e.strerror})") from e
