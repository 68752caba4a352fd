"""What ``check`` and ``run`` share: options, tests of the input before the script starts, report and exit status."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TextIO

from flightcheck.cli.scripts import require_module, require_script
from flightcheck.errors import FlightcheckError, UsageError
from flightcheck.options import DEFAULT_BUDGET, DEFAULT_RUNS_DIR, SessionResult, WatchOptions

if TYPE_CHECKING:
    from flightcheck.checks.base import Severity
    from flightcheck.diagnosis.engine import Diagnosis
    from flightcheck.investigation import Surroundings
    from flightcheck.lab.processes import Script
    from flightcheck.recording.run import Run
    from flightcheck.viewing import Filming

FAIL_ON: Final = ("info", "warn", "error", "critical", "never")
FINDINGS: Final = 1
NOTHING_TRAINED: Final = 2


def add_options(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Declare the shared options; returns them, because the script's arguments begin where they end."""
    parser.usage = (
        f"{parser.prog} [options] SCRIPT [arguments of the script …]\n"
        f"       {parser.prog} [options] -m MODULE [arguments …]"
    )
    severities = ", ".join(FAIL_ON)
    add = parser.add_argument
    return [
        add("-m", dest="module", metavar="MODULE", help="run a module, as python -m does"),
        add("--json", metavar="FILE", help="also write the report as JSON to FILE (- for stdout)"),
        add("--sarif", metavar="FILE", help="also write the report as SARIF to FILE (- for stdout)"),
        add("--select", type=codes, default=[], metavar="CODES", help="only these checks: codes, or beginnings: L03,P"),
        add("--ignore", type=codes, default=[], metavar="CODES", help="not these checks"),
        add(
            "--fail-on", choices=FAIL_ON, default="error", metavar="SEVERITY",
            help=f"exit with status 1 from this severity on: {severities} (default %(default)s)",
        ),
        add(
            "--budget", type=share, default=DEFAULT_BUDGET, metavar="SHARE",
            help="largest share of the training's time that watching may cost (default %(default)g, that is 2 %%)",
        ),
        add("--view", action="store_true", help="also write a page with the inside of the network over time"),
        add("--quiet", "-q", action="store_true", help="print findings only"),
        add("--all", "-a", action="store_true", help="print advice, and the verdict of each check with its reason"),
        add(
            "--runs-dir", type=Path, default=DEFAULT_RUNS_DIR, metavar="DIR",
            help="where runs are recorded (default %(default)s)",
        ),
    ]  # fmt: skip


def parse(
    parser: argparse.ArgumentParser, options: Sequence[argparse.Action], arguments: list[str]
) -> tuple[argparse.Namespace, list[str]]:
    """Our options, and what belongs to the script: its name and all that follows.

    Raises:
        UsageError: a wrong option, or no script.
    """
    takes_value = {name for o in options if o.nargs != 0 for name in o.option_strings}
    parser.set_defaults(own_options=frozenset(n for o in options for n in o.option_strings if n.startswith("--")))
    end = 0
    while end < len(arguments):
        word = arguments[end]
        if word == "--":
            args, rest = parser.parse_args(arguments[:end]), arguments[end + 1 :]
            break
        if not word.startswith("-") or word == "-":
            args, rest = parser.parse_args(arguments[:end]), arguments[end:]
            break
        end += 2 if word in takes_value else 1
        if word.startswith("-m"):  # what follows the module belongs to it
            args, rest = parser.parse_args(arguments[:end]), arguments[end:]
            break
    else:
        args, rest = parser.parse_args(arguments), []
    if args.module is None and not rest:
        raise UsageError(f"no script given; usage: {parser.prog} [options] SCRIPT [arguments of the script …]")
    return args, rest


def watch(
    args: argparse.Namespace,
    script_arguments: list[str],
    mode: Literal["check", "run"],
    steps: int | None,
    seconds: float | None,
    *,
    begins: Sequence[Callable[[Path], None]] = (),
) -> int:
    """Run the script under watch, print the report, return the exit status.

    `begins` are told the run's folder, which holds a run file by then, just before the script starts.

    Raises:
        UsageError: something is wrong that can be known before the script starts.
    """
    script, script_arguments = _tested_input(args, script_arguments)
    if mode == "check":  # a whole training is worth more than its record: the session finds another folder for it
        require_folder(args.runs_dir, "--runs-dir")

    from flightcheck.cli.live import Live
    from flightcheck.session import watch_script

    live = Live(args)
    surroundings = _surroundings() if getattr(args, "lab_budget", 0) else None
    first = os.environ.get("RANK") in (None, "", "0")  # of several processes that train together, one reports
    filming = _filming(steps) if args.view and first else None
    result: SessionResult = watch_script(
        WatchOptions(
            script=script,
            module=args.module,
            arguments=script_arguments,
            mode=mode,
            steps=steps,
            seconds=seconds,
            budget=args.budget,
            runs_dir=args.runs_dir,
            json_to_stdout=args.json == "-" or args.sarif == "-",
            run_begins=[live.begin, *begins],
        ),
        filming.attach if filming is not None else None,
    )
    live.end()
    if not first:
        return _own_status(result)
    views = _save_views(filming, result, script or args.module) if filming is not None else ""
    tried = surroundings.script(script, args.module, script_arguments) if surroundings is not None else None
    return _conclude(args, result, mode, tried, views)


def _own_status(result: SessionResult) -> int:
    """The exit status of a script that failed, 0 for any other."""
    return (result.exit_code or 1) if result.script_failed else 0


def _conclude(args: argparse.Namespace, result: SessionResult, mode: str, tried: Script | None, views: str) -> int:
    """Experiments with the script `tried`, if any, then the report; returns the exit status."""
    own, stderr = _own_status(result), open_stderr()
    try:
        if tried is not None:
            _experiment(args, result, tried, stderr)
        status = _report(args, result, mode, stderr)
        if views:
            print(views, file=stderr)
    except FlightcheckError as e:
        print(f"flightcheck: {e}", file=stderr)
        return own or 2
    except Exception as e:  # the promise: no fault of ours changes the exit status of a training
        fault = f"no report, by a fault of ours ({type(e).__name__}: {e})"
        print(f"flightcheck: {fault}; the run is in {result.run_folder}", file=stderr)
        return own or result.exit_code
    return own or status


def _tested_input(args: argparse.Namespace, script_arguments: list[str]) -> tuple[str | None, list[str]]:
    """The script (None for a module) and its arguments, after all tests that are possible before it starts."""
    from flightcheck.checks.registry import select_checks

    select_checks(args.select, args.ignore)
    script = None
    if args.module is not None:
        require_module(args.module)
    else:
        script, *script_arguments = script_arguments
        require_script(script)
        _say_misplaced(args.own_options, script, script_arguments)
    if args.json == "-" and args.sarif == "-":
        raise UsageError("--json and --sarif cannot both go to stdout; give one of them a file")
    for option in ("json", "sarif"):
        file = getattr(args, option)
        if file not in (None, "-"):
            _require_file(Path(file), f"--{option}")
            setattr(args, option, str(Path(file).absolute()))  # the script may change the folder
    return script, script_arguments


def _say_misplaced(own: frozenset[str], script: str, arguments: list[str]) -> None:
    """An option of ours behind the script goes to the script; where that does not know it, this is said."""
    given = [a for a in arguments if a.partition("=")[0] in own]
    if not given or not Path(script).is_file():
        return
    text = Path(script).read_text(encoding="utf-8", errors="replace")
    for option in given:
        name = option.partition("=")[0]
        if name not in text and name.lstrip("-").replace("-", "_") not in text:
            print(f"flightcheck: {name} stands behind {script}, so it went to the script; ours stand before it",
                  file=sys.stderr)  # fmt: skip


def _filming(steps: int | None) -> Filming:
    from flightcheck.viewing import Filming

    return Filming(steps)


def _save_views(filming: Filming, result: SessionResult, source: str) -> str:
    """Write the page of views, and say where it is; that there is none costs nothing else."""
    try:
        return filming.save(result.run_folder, source)
    except Exception as e:
        if os.environ.get("FLIGHTCHECK_DEBUG"):
            raise
        return f"flightcheck: no views ({e if isinstance(e, FlightcheckError) else f'{type(e).__name__}: {e}'})"


def _surroundings() -> Surroundings:
    from flightcheck.investigation import Surroundings

    return Surroundings()


def _experiment(args: argparse.Namespace, result: SessionResult, script: Script, stderr: TextIO) -> None:
    """Try the fixes, with a line on the terminal that says which; no fault of it may cost the report."""
    from flightcheck import investigation
    from flightcheck.recording.run import Run
    from flightcheck.report.progress import Progress

    with Progress(stderr, args.lab_budget) as progress:
        try:
            run = Run.open(result.run_folder)
            runner = investigation.script_runner(script, result.run_folder, args.jobs or min(4, os.cpu_count() or 1))
            diagnosis = investigation.judged(run, args.select, args.ignore)
            investigation.experiment(run, diagnosis, runner, args.lab_budget, progress.say)
        except KeyboardInterrupt:  # enough of it; what was watched is still told
            pass
        except FlightcheckError:  # the run cannot be read, and the report will say so
            pass
        except Exception as e:
            if os.environ.get("FLIGHTCHECK_DEBUG"):
                raise
            progress.close()
            print(f"flightcheck: no experiments, by a fault of ours ({type(e).__name__}: {e})", file=stderr)


def open_stderr() -> TextIO:
    """Where the report goes: a script may have closed its stderr."""
    if sys.stderr is not None and not sys.stderr.closed:
        return sys.stderr
    try:
        return os.fdopen(os.dup(2), "w")
    except OSError:
        return Path(os.devnull).open("w")


def _report(args: argparse.Namespace, result: SessionResult, mode: str, stderr: TextIO) -> int:
    from flightcheck.checks.registry import run_checks
    from flightcheck.cli.output import write_reports
    from flightcheck.diagnosis.engine import diagnose
    from flightcheck.recording.run import Run
    from flightcheck.report.console import console_for
    from flightcheck.report.terminal import nothing_trained, print_report
    from flightcheck.tracking.summary import write_summary

    run = Run.open(result.run_folder)
    diagnosis = diagnose(run, run_checks(run, args.select, args.ignore))
    write_summary(run, diagnose(run, run_checks(run)) if args.select or args.ignore else diagnosis)
    unanswered = nothing_trained(run) and mode == "check"  # a failure that --quiet must not hide
    try:
        print_report(run, diagnosis, console_for(stderr), everything=args.all, quiet=args.quiet and not unanswered)
        _page(run, diagnosis, stderr, quiet=args.quiet, told=bool(result.unwritable))
        write_reports(run, diagnosis, args.json, args.sarif, result.stdout)
        if result.stdout is not None:
            result.stdout.close()  # a reader need not wait for threads of the script that live on
    except BrokenPipeError:  # nobody reads; the exit status still counts
        os.dup2(os.open(os.devnull, os.O_WRONLY), (result.stdout or sys.stdout).fileno())
    if nothing_trained(run):
        return NOTHING_TRAINED if mode == "check" else result.exit_code
    return FINDINGS if _fails(diagnosis.worst(), args.fail_on) else 0


def _page(run: Run, diagnosis: Diagnosis, stderr: TextIO, *, quiet: bool, told: bool) -> None:
    """Write the page into the run's folder; that it cannot be written costs nothing but the page.

    Args:
        run: the run.
        diagnosis: of the run.
        stderr: where it is said.
        quiet: say nothing.
        told: that the folder cannot be written has been said already.
    """
    from flightcheck.cli.output import write_page

    try:
        text = f"Page: {write_page(run, diagnosis)}"
    except BrokenPipeError:
        raise
    except Exception as e:
        if os.environ.get("FLIGHTCHECK_DEBUG"):
            raise
        quiet = quiet or told
        text = f"flightcheck: no page ({e if isinstance(e, FlightcheckError) else f'{type(e).__name__}: {e}'})"
    if not quiet:
        print(text, file=stderr)


def _fails(worst: Severity | None, limit: str) -> bool:
    from flightcheck.checks.base import SEVERITIES

    if worst is None or limit == "never":
        return False
    return worst in SEVERITIES[[str(s) for s in SEVERITIES].index(limit) :]


def codes(text: str) -> list[str]:
    """Codes or beginnings of codes, separated by commas."""
    found = [c.strip() for c in text.split(",") if c.strip()]
    if not found:
        raise argparse.ArgumentTypeError(f"codes of checks wanted, separated by commas, but got {text!r}")
    return found


def positive_int(text: str) -> int:
    """A whole number above 0."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value <= 0:
        raise argparse.ArgumentTypeError(f"a whole number above 0 wanted, but got {text!r}")
    return value


def positive_float(text: str) -> float:
    """A finite number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"a number above 0 wanted, but got {text!r}")
    return value


def seconds(text: str) -> float:
    """A number of seconds; 0 is allowed."""
    return 0.0 if text.strip() in ("0", "0.0") else positive_float(text)


def share(text: str) -> float:
    """A number above 0 and at most 1."""
    value = positive_float(text)
    if value > 1:
        raise argparse.ArgumentTypeError(f"a share between 0 and 1 wanted (0.02 is 2 %), but got {text!r}")
    return value


def require_folder(folder: Path, option: str) -> None:
    """Make a folder, and see that files can be written there.

    Raises:
        UsageError: they cannot; the message names the option.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as e:
        raise UsageError(f"{folder}: cannot write there ({e.strerror}); choose another folder with {option}") from e


def _require_file(file: Path, option: str) -> None:
    if file.is_dir():
        raise UsageError(f"{file}: is a folder; {option} wants a file")
    if not file.absolute().parent.is_dir():
        raise UsageError(f"{file}: there is no folder {file.parent}; {option} does not make folders")
    try:
        with tempfile.TemporaryFile(dir=file.absolute().parent):
            pass
    except OSError as e:
        raise UsageError(f"{file}: cannot write there ({e.strerror}); choose another file with {option}") from e
