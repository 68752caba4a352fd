"""``flightcheck view``: what goes on inside the network that a script trains."""

from __future__ import annotations

import argparse
import datetime
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from flightcheck.cli import watching
from flightcheck.cli.scripts import require_module, require_script
from flightcheck.errors import FlightcheckError, UsageError
from flightcheck.options import DEFAULT_SECONDS, WatchOptions

if TYPE_CHECKING:
    from flightcheck.viewing import View

DEFAULT_STEPS: Final = 60
DEFAULT_SNAPSHOTS: Final = 8
MOST_SNAPSHOTS: Final = 24
FOLDER: Final = Path(".flightcheck/views")


def main(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Run the command."""
    parser.usage = (
        f"{parser.prog} [options] SCRIPT [arguments of the script …]\n"
        f"       {parser.prog} [options] -m MODULE [arguments …]"
    )
    add = parser.add_argument
    options = [
        add("-m", dest="module", metavar="MODULE", help="run a module, as python -m does"),
        add("--steps", type=watching.positive_int, default=DEFAULT_STEPS, metavar="N",
            help="stop the script after N steps of training (default %(default)s)"),
        add("--time", type=watching.positive_float, default=DEFAULT_SECONDS, metavar="SECONDS",
            help="stop the script after so many seconds of training (default %(default)g)"),
        add("--snapshots", type=watching.positive_int, default=DEFAULT_SNAPSHOTS, metavar="N",
            help=f"moments of the training that are shown, at most {MOST_SNAPSHOTS} (default %(default)s)"),
        add("--example", type=_whole, default=0, metavar="I",
            help="which example of the first batch is drawn, counted from 0 (default %(default)s)"),
        add("--model", default="", metavar="NAME",
            help="class or name of the model, where several are trained (default: the one with most parameters)"),
        add("--html", type=Path, metavar="FILE", help=f"where the page goes (default: a new file in {FOLDER})"),
        add("--quiet", "-q", action="store_true", help="print no table of layers"),
    ]  # fmt: skip
    args, script_arguments = watching.parse(parser, options, arguments)
    if args.snapshots > MOST_SNAPSHOTS:
        raise UsageError(f"--snapshots: at most {MOST_SNAPSHOTS}, but got {args.snapshots}")
    script = None
    if args.module is not None:
        require_module(args.module)
    else:
        script, *script_arguments = script_arguments
        require_script(script)
    file = _place(args.html).absolute()  # the script may change the folder
    return _view(args, script, script_arguments, file)


def _view(args: argparse.Namespace, script: str | None, script_arguments: list[str], file: Path) -> int:
    import importlib.util

    if importlib.util.find_spec("torch") is None:
        raise UsageError(f"PyTorch is not installed for {sys.executable}; install Flightcheck where the script runs")
    from flightcheck.viewing import view_script

    options = WatchOptions(
        script=script, module=args.module, arguments=script_arguments, mode="view", steps=args.steps, seconds=args.time
    )
    result, seen, why_not = view_script(options, args.snapshots, args.example, args.model)
    own = (result.exit_code or 1) if result.script_failed else 0
    if os.environ.get("RANK") not in (None, "", "0"):  # of several processes that train together, one shows
        return own
    stderr = watching.open_stderr()
    if seen is None:
        print(f"flightcheck: {why_not}", file=stderr)
        return own or watching.NOTHING_TRAINED
    try:
        told = _written(seen, file)
    except FlightcheckError as e:
        print(f"flightcheck: {e}", file=stderr)
        return own or 2
    except Exception as e:  # the promise: no fault of ours changes the exit status of a training
        if os.environ.get("FLIGHTCHECK_DEBUG"):
            raise
        print(f"flightcheck: no page, by a fault of ours ({type(e).__name__}: {e})", file=stderr)
        return own
    if not args.quiet:
        from flightcheck.report.console import console_for
        from flightcheck.report.view.terminal import print_layers

        print_layers(seen.views.structure, console_for(stderr))
    print(told, file=stderr)
    return own


def _written(seen: View, file: Path) -> str:
    from flightcheck.viewing import summary

    file.parent.mkdir(parents=True, exist_ok=True)
    return f"Page: {summary(seen.save(file), seen.views)}"


def _place(wanted: Path | None) -> Path:
    """The file of the page, in a folder that exists where one was named.

    Raises:
        UsageError: there is no such folder.
    """
    if wanted is None:
        now = datetime.datetime.now(datetime.UTC)
        return FOLDER / f"{now:%Y%m%d-%H%M%S}-{os.getpid()}.html"
    if wanted.is_dir() or not wanted.absolute().parent.is_dir():
        what = "is a folder" if wanted.is_dir() else f"there is no folder {wanted.parent}"
        raise UsageError(f"{wanted}: {what}; --html wants a file in a folder that exists")
    return wanted


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"a whole number from 0 on wanted, but got {text!r}")
    return int(text)
