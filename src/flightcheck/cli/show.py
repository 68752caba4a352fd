"""``flightcheck show``: the report of a recorded run again."""

from __future__ import annotations

import argparse
import gc
import sys
from pathlib import Path

from flightcheck.errors import RunFileError, UsageError
from flightcheck.options import DEFAULT_RUNS_DIR
from flightcheck.tracking.summary import RUN_FILE as FILE_NAME

REPORT_SUFFIXES = {"json": (".json", ".sarif"), "sarif": (".json", ".sarif"), "html": (".html", ".htm")}
_BARE = {"json": "-", "sarif": "-", "html": ""}
"""What an option without a file means: stdout, and for the page the run's own folder."""


def main(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Run the command."""
    add = parser.add_argument
    add(
        "run",
        nargs="?",
        metavar="RUN",
        help="folder or file of a run, its id or the beginning of its id (default: the last)",
    )
    add("--json", nargs="?", const="-", metavar="FILE", help="the report as JSON, to stdout or to FILE, instead")
    add("--sarif", nargs="?", const="-", metavar="FILE", help="the report as SARIF, to stdout or to FILE, instead")
    add("--html", nargs="?", const="", metavar="FILE",
        help="the report as one HTML file, in the run's folder, in FILE or (-) to stdout, instead")  # fmt: skip
    add("--all", "-a", action="store_true", help="advice, and the verdict of each check with its reason")
    add("--output", action="store_true", help="what the script printed, instead of the report")
    add("--runs-dir", type=Path, default=DEFAULT_RUNS_DIR, metavar="DIR",
        help="where runs are recorded (default %(default)s)")  # fmt: skip
    args = parser.parse_args(arguments)
    if args.output:
        return _print_output(find_run(args.run, args.runs_dir))
    for option, suffixes in REPORT_SUFFIXES.items():  # `show --json RUN` must not overwrite the run
        file = getattr(args, option)
        if file not in (None, "-", "") and Path(file).suffix not in suffixes:
            if args.run is not None:
                raise UsageError(f"{file}: the name of the report must end in {' or '.join(suffixes)}")
            args.run = file
            setattr(args, option, _BARE[option])
    to_stdout = [f"--{option}" for option in REPORT_SUFFIXES if getattr(args, option) == "-"]
    if len(to_stdout) > 1:
        raise UsageError(f"{' and '.join(to_stdout)} cannot both go to stdout; give one of them a file")
    collects = gc.isenabled()
    gc.disable()  # a twentieth of this short program's time, and all that it makes is needed to its end
    try:
        _show(args, bool(to_stdout))
    finally:
        if collects:
            gc.enable()
    return 0


def _show(args: argparse.Namespace, to_stdout: bool) -> None:
    from flightcheck.checks.registry import run_checks
    from flightcheck.cli.output import write_page, write_reports
    from flightcheck.diagnosis.engine import diagnose
    from flightcheck.recording.run import Run
    from flightcheck.report.console import console_for
    from flightcheck.report.terminal import print_report
    from flightcheck.tracking.summary import write_summary

    run = Run.open(find_run(args.run, args.runs_dir))
    diagnosis = diagnose(run, run_checks(run))
    write_summary(run, diagnosis)
    if args.json is None and args.sarif is None and args.html is None:
        print_report(run, diagnosis, console_for(sys.stdout), everything=args.all)
    write_reports(run, diagnosis, args.json, args.sarif)
    if args.html is not None:
        written = write_page(run, diagnosis, args.html)
        if written is not None:
            print(f"Page: {written}", file=sys.stderr if to_stdout else sys.stdout)


def _print_output(path: Path) -> int:
    from flightcheck.recording.run import Run
    from flightcheck.report.terminal import plain

    lines = Run.open(path).output
    for line in lines:
        print(f"… {line.left_out:,} lines are not kept …" if line.left_out else plain(line.text))
    if not lines:
        print("Nothing that the script printed is recorded.")
    return 0


def find_run(name: str | None, runs_dir: Path) -> Path:
    """The folder or file of a run, by path, by id, by the beginning of its id, or the last one.

    Raises:
        RunFileError: there is none, or more than one begins so.
    """
    if name is not None and (path := Path(name)).exists():
        if path.is_dir() and not (path / FILE_NAME).is_file():
            raise RunFileError(f"{name}: holds no run ({FILE_NAME} is missing)")
        return path
    try:
        runs = {p.parent.name: p.parent for p in runs_dir.glob(f"*/{FILE_NAME}")}
    except OSError as e:
        raise RunFileError(f"{runs_dir}: cannot be read ({e.strerror})") from e
    if not runs:
        raise RunFileError(f"there is no recorded run in {runs_dir}; 'flightcheck check SCRIPT' records one")
    if name is None:
        return max(runs.values(), key=_written)
    if name in runs:
        return runs[name]
    matching = sorted(run for run in runs if name and run.startswith(name))
    if len(matching) == 1:
        return runs[matching[0]]
    if matching:
        raise RunFileError(f"{len(matching)} runs begin with {name!r}: {', '.join(matching[:5])}")
    last = max(runs.values(), key=_written).name
    raise RunFileError(f"there is no run {name!r} in {runs_dir} ({len(runs)} runs; the last is {last})")


def _written(folder: Path) -> tuple[float, str]:
    times = [p.stat().st_mtime for p in folder.glob(f"{FILE_NAME}*")]
    return (max(times, default=0.0), folder.name)
