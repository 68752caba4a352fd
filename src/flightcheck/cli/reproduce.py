"""``flightcheck reproduce``: is a recorded run made again, bit for bit?"""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from flightcheck.cli.show import find_run
from flightcheck.cli.watching import positive_int
from flightcheck.errors import UsageError
from flightcheck.options import DEFAULT_RUNS_DIR

if TYPE_CHECKING:
    from rich.console import Console

    from flightcheck.recording.records import RunInfo
    from flightcheck.reproduction.reproduce import Part, Reproduction

STATUS: Final = {"same": 0, "within-noise": 0, "different": 1, "could-not": 2}
_REPEATS: Final = 3


def main(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Run the command."""
    parser.usage = f"{parser.prog} [options] RUN [-- arguments of the script …]"
    parser.epilog = (
        "exit status: 0 the same, bit for bit or within noise; 1 different; 2 it could not be done. "
        "Nothing is written in your folders but the new run in the runs folder."
    )
    add = parser.add_argument
    add("run", metavar="RUN", help="folder of a run, its id, or the beginning of its id")
    add("--steps", type=positive_int, metavar="N", help="repeat and compare the first N steps only")
    add("--repeats", type=_count, default=_REPEATS, metavar="N",
        help="where the bits differ, runs with other random numbers by which noise is judged "
        "(default %(default)s, 2 or more)")  # fmt: skip
    add("--exact", action="store_true", help="only the same bits count: noise is not judged")
    add("--cwd", type=Path, metavar="DIR", help="copy this folder in the place of the one where the script was started")
    add("--writable", type=Path, action="append", default=[], metavar="DIR",
        help="let the script write in this folder, too (it may be given several times)")  # fmt: skip
    add("--json", action="store_true", help="the answer as JSON")
    add("--runs-dir", type=Path, default=DEFAULT_RUNS_DIR, metavar="DIR",
        help="where runs are recorded (default %(default)s)")  # fmt: skip
    own, given = _split(arguments)
    args = parser.parse_args(own)
    if args.cwd is not None and not args.cwd.is_dir():
        raise UsageError(
            f"{args.cwd}: there is no such folder; --cwd wants the folder that holds what the script reads"
        )

    from flightcheck.recording.run import Run
    from flightcheck.report.console import console_for
    from flightcheck.reproduction.reproduce import Request, reproduce, reproduction_json
    from flightcheck.session import new_run_folder

    run = Run.open(find_run(args.run, args.runs_dir))
    folder = new_run_folder(args.runs_dir)
    request = Request(
        run, folder, given, args.cwd.absolute() if args.cwd is not None else None, args.steps,
        0 if args.exact else args.repeats, [d.absolute() for d in args.writable],
    )  # fmt: skip
    console = console_for(sys.stdout)
    if args.json:
        result = reproduce(request, _say)
        print(json.dumps(_finite(reproduction_json(result)), indent=1, allow_nan=False))
    else:
        _head(run.info, console)
        result = reproduce(request, _say, lambda part: _part(part, console))
        _answer(result, console)
    with suppress(OSError):
        folder.rmdir()  # it is empty where nothing was run
    return STATUS[result.verdict]


def _split(arguments: list[str]) -> tuple[list[str], list[str] | None]:
    """Our arguments, and those of the script after ``--``; None where there are none."""
    if "--" not in arguments:
        return arguments, None
    at = arguments.index("--")
    return arguments[:at], arguments[at + 1 :]


def _count(text: str) -> int:
    number = positive_int(text)
    if number < 2:
        raise argparse.ArgumentTypeError("2 or more wanted: noise cannot be told from fewer; --exact asks for none")
    return number


def _say(text: str) -> None:
    if sys.stderr.isatty():
        print(f"… {text}", file=sys.stderr, flush=True)


# -- for people -----------------------------------------------------------------------------------------------------


def _head(info: RunInfo, console: Console) -> None:
    _line(console, f"{info.id}  {info.command}  ({info.steps} steps, {info.ended}, {info.seconds:.0f} s)", "bold")


def _part(part: Part, console: Console) -> None:
    head = part.name
    if part.same:
        _line(console, f"  {head:<17} {'; '.join(part.same)}")
        head = ""
    for difference in part.differences:
        _line(console, f"  {head:<17} ≠ {difference}", "yellow")
        head = ""


def _answer(result: Reproduction, console: Console) -> None:
    for curve in result.curves:
        _line(console, f"  {'' if curve is not result.curves[0] else 'Curve':<17} {curve.in_words()}",
              "" if curve.same else "yellow")  # fmt: skip
    for position, number in enumerate(result.noise):
        _line(console, f"  {'' if position else 'Noise':<17} {number.in_words()}")
    console.print()
    words = {
        "same": ("✓ the same, bit for bit", "bold green"),
        "within-noise": ("✓ other bits, the same within noise", "bold green"),
        "different": ("✗ different", "bold red"),
        "could-not": ("? could not be reproduced", "bold yellow"),
    }[result.verdict]
    _line(console, words[0] + (f": {result.reason}" if result.reason else ""), words[1])
    for reason in result.reasons:
        _line(console, f"  may explain it: {reason}")
    for line in result.last_lines if result.verdict == "could-not" else ():
        _line(console, f"  | {line}", "dim")
    if result.again is not None:
        _line(console, f"The repetition is recorded: flightcheck compare {result.run} {result.again.name}", "dim")


def _line(console: Console, text: str, style: str = "") -> None:
    from rich.text import Text

    from flightcheck.report.terminal import plain

    console.print(Text(plain(text), style), soft_wrap=True)


def _finite(value: object) -> object:
    """NaN and infinity as texts: JSON has none."""
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_finite(v) for v in value]
    if isinstance(value, float) and not abs(value) < float("inf"):
        return str(value)
    return value
