"""The command ``flightcheck``: finds the command, and turns what goes wrong into one sentence and exit status 2."""

from __future__ import annotations

import argparse
import gc
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Final, NoReturn

from flightcheck.errors import FlightcheckError, UsageError

COMMANDS: Final = {
    "check": "watch the first steps of a training script, then name what is wrong with it",
    "run": "watch the whole training; the report comes at the end, also after a crash",
    "view": "look inside: layers, activations as they train, attention, what an answer rests on, as one page",
    "show": "print the report of a recorded run again",
    "runs": "list the recorded runs: filter them by a condition, sort them",
    "compare": "compare recorded runs: in what they differ, how they went, what was found",
    "reproduce": "run a recorded run again from its own code, and say whether the curve is the same",
    "tag": "give a run tags, by which 'runs --where tag=…' finds it",
    "note": "write a note to a run",
    "models": "give checkpoints of runs names, versions and stages, and list them",
    "export": "write what is known of the runs to a CSV, JSON or Parquet file, or send runs to a tracker",
    "sync": "send to trackers what could not be sent before",
    "rm": "delete recorded runs",
    "list": "list all checks",
    "explain": "explain one check in full: criterion, reasons, fix, sources, thresholds",
}
READERS: Final = (
    "show", "runs", "compare", "reproduce", "tag", "note", "models", "export", "sync", "rm", "list", "explain",
)  # fmt: skip
"""Commands that own stdout; in the others it is the script's."""
STARTS_A_TRAINING: Final = "reproduce"
USAGE_ERROR: Final = 2


class Parser(argparse.ArgumentParser):
    """Reports a wrong argument as one sentence."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see '{self.prog} --help'")


def entry() -> int:
    """The whole process ``flightcheck``.

    A command that only reads has no use for the threads that NumPy starts when it is imported, which cost more
    processor time than the rest of that import, nor for a search for reference cycles in the second that it lives.
    A training gets all of its own.
    """
    if sys.argv[1:2] and sys.argv[1] in READERS and sys.argv[1] != STARTS_A_TRAINING:
        gc.disable()
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    return main()


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return the exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return _main(arguments)
    except FlightcheckError as e:
        print(f"flightcheck: {e}", file=sys.stderr)
        return USAGE_ERROR
    except BrokenPipeError:  # `flightcheck list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130


def _main(arguments: list[str]) -> int:
    if not arguments:
        _top_parser().print_help(sys.stderr)
        return USAGE_ERROR
    if arguments[0].startswith("-"):
        try:
            given = _top_parser().parse_args(arguments[:1])
        except SystemExit as e:  # --help
            return int(e.code or 0)
        if given.version:
            from flightcheck.version import version  # reading the package's metadata takes 20 ms

            print(f"flightcheck {version()}")
            return 0
    name, *rest = arguments
    if name not in COMMANDS:
        raise UsageError(_unknown_command(name))
    if name in READERS and hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # a terminal that cannot show ✗ shows ? instead of a traceback
    command = _command(name)
    parser = Parser(prog=f"flightcheck {name}", description=_sentence(COMMANDS[name]), allow_abbrev=False)
    try:
        status: int = command.main(parser, rest)
    except SystemExit as e:  # --help of the command; a script's own exit never gets here
        return e.code if isinstance(e.code, int) else 0
    return status


def _top_parser() -> Parser:
    width = max(map(len, COMMANDS))
    parser = Parser(
        prog="flightcheck",
        usage="flightcheck COMMAND [options]",
        description="The checklist for debugging neural networks, as a program.",
        epilog="commands:\n"
        + "".join(f"  {name:<{width}}  {text}\n" for name, text in COMMANDS.items())
        + "\n'flightcheck COMMAND --help' shows the options of a command.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="store_true", help="show the program's version number and exit")
    return parser


def _command(name: str) -> ModuleType:
    return importlib.import_module(f"flightcheck.cli.{name}")


def _unknown_command(name: str) -> str:
    if Path(name).exists():
        return f"{name!r} is no command; did you mean 'flightcheck check {name}'?"
    import difflib  # for a command that there is not

    near = difflib.get_close_matches(name, COMMANDS, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"the commands are {', '.join(COMMANDS)}"
    return f"unknown command {name!r}; {hint}"


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."
