"""Wires the parts: a script, the adapter that watches it, and the run file. Holds no logic of its own."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import importlib.util
import os
import secrets
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, TextIO

from flightcheck.errors import RunFileError, UsageError
from flightcheck.launch import run_as_main, show
from flightcheck.options import DEFAULT_BUDGET, DEFAULT_RUNS_DIR, DEFAULT_STEPS, TO_THE_END, SessionResult, WatchOptions
from flightcheck.patch import Patch
from flightcheck.recording.experiments import Probe, TrialInfo
from flightcheck.recording.records import Location, RunInfo
from flightcheck.recording.run import Run
from flightcheck.recording.starting_point import RandomStates
from flightcheck.recording.store import RunWriter
from flightcheck.run_info import close_run, compare_ranks, final_info, first_info, in_words, number_in_environment
from flightcheck.tracking.copies import Code, user_files
from flightcheck.tracking.environment import environment_of
from flightcheck.tracking.starting_point import code_at_hand, starting_point
from flightcheck.tracking.summary import write_summary

if TYPE_CHECKING:
    from flightcheck.adapters.torch import TorchObserver
    from flightcheck.diagnosis.engine import Diagnosis
    from flightcheck.report.notebook import Report

_PACKAGE: Final = str(Path(__file__).parent) + os.sep
_DENSE_STEPS: Final = {"check": 50, "run": 10, "trial": 0, "view": 0}
"""Rounds that are measured in full whatever they cost, before the budget rules."""
_DENSE_SECONDS: Final = 0.15
"""In a whole run of short steps, more of them, until they cost so much: a training of seconds is hardly seen else."""
_LONGEST_GAP: Final = {"check": 10, "run": 100, "trial": 5, "view": 100}
"""Rounds after which one is measured in full whatever it costs. A check is thrown away: there, evidence counts more."""
_LONGEST_GAP_SECONDS: Final = 0.25
"""In a whole run of short steps, as many of them as take so long: that of a hundred steps of 2.5 ms."""


def watch_script(options: WatchOptions, attach: Callable[[TorchObserver], None] | None = None) -> SessionResult:
    """Run a script under watch and record it. Never raises what the script raises.

    `attach` is given the observer before the script starts.

    Raises:
        UsageError: PyTorch is not installed here.
        RunFileError: no run can be recorded here.
    """
    if importlib.util.find_spec("torch") is None:
        raise UsageError(f"PyTorch is not installed for {sys.executable}; install Flightcheck where the script runs")
    folder = new_run_folder(options.runs_dir)
    if options.mode == "run":
        folder = recordable(folder)
    stdout = _keep_stdout() if options.json_to_stdout else None
    return dataclasses.replace(watch_into(folder, options, attach), stdout=stdout)


@dataclasses.dataclass(repr=False)
class Watched:
    """A training watched from code: the run folder, and its findings when the ``with`` block is over."""

    run_folder: Path
    run: Run | None = None
    diagnosis: Diagnosis | None = None

    @property
    def report(self) -> Report | None:
        """The findings, as a notebook shows them; None while the block is not over."""
        from flightcheck.report.notebook import Report

        return Report(self.run, self.diagnosis) if self.run is not None and self.diagnosis is not None else None

    def __repr__(self) -> str:
        return f"Watched({self.run!r})" if self.run is not None else f"Watched({str(self.run_folder)!r}, not over)"


@contextmanager
def watch(*, budget: float = DEFAULT_BUDGET, runs_dir: Path | str = DEFAULT_RUNS_DIR, report: bool = True,
          select: Iterable[str] = (), ignore: Iterable[str] = ()) -> Iterator[Watched]:  # fmt: skip
    """Watch every training inside a ``with`` block, record it, and print the report to stderr at its end.

    Models and optimizers may be built before the block; the lines that built them are then not known.

    Args:
        budget: largest share of the training's time that watching may cost.
        runs_dir: folder in which the run is recorded.
        report: print the report.
        select: codes, or beginnings of codes, of the checks to apply; all if empty.
        ignore: codes of checks to leave out.

    Raises:
        UsageError: PyTorch is not installed, or a code is unknown. What the block raises passes through.
    """
    from flightcheck import notebook
    from flightcheck.adapters.torch import TorchObserver
    from flightcheck.checks.registry import select_checks

    select_checks(select, ignore)
    watched = Watched(new_run_folder(Path(runs_dir)))
    try:
        watched.run_folder = recordable(watched.run_folder)
        writer = RunWriter(watched.run_folder)
    except RunFileError as e:
        print(f"flightcheck: {e}; the training goes on and is not watched", file=sys.stderr)
        yield watched
        return
    info = first_info(WatchOptions(script=sys.argv[0], mode="run"), watched.run_folder)
    writer.put(info)
    writer.put(environment_of(sys.argv[0]))
    for record in code_at_hand(sys.argv[0]):
        writer.put(record)
    writer.flush(force=True)
    code = Code(sys.argv[0], Path.cwd())
    observer = TorchObserver(
        writer, budget=budget, dense_steps=_DENSE_STEPS["run"], dense_seconds=_DENSE_SECONDS,
        rank=(info.rank, info.ranks),
    )  # fmt: skip
    observer.install()
    shown = notebook.live_line(watched.run_folder, list(select), list(ignore))
    observer.logged.install(observer.patches)
    observer.system.begin()
    started = time.perf_counter()
    ended: dict[str, Any] = {"ended": "finished"}
    try:
        yield watched
    except BaseException as e:
        ended = {"ended": "exception", "exit_code": 1, "error": in_words(e),
                 "error_location": observer.error_location(e.__traceback__)}  # fmt: skip
        raise
    finally:
        seconds = time.perf_counter() - started
        observer.close()
        compare_ranks(writer, info, observer)
        code.save(writer)
        close_run(writer, final_info(info, observer, seconds, ended))
        shown()
        _conclude(watched, list(select), list(ignore), report)


def _conclude(watched: Watched, select: list[str], ignore: list[str], report: bool) -> None:
    """Judge a run that is over, and show the report."""
    from flightcheck import notebook
    from flightcheck.adapters.torch.training import untouched
    from flightcheck.checks.registry import run_checks
    from flightcheck.diagnosis.engine import diagnose

    watched.run = Run.open(watched.run_folder)
    watched.diagnosis = diagnose(watched.run, run_checks(watched.run, select, ignore))
    with untouched():
        part = bool(select or ignore)
        write_summary(watched.run, diagnose(watched.run, run_checks(watched.run)) if part else watched.diagnosis)
    if report:
        with untouched():  # importing rich draws random numbers
            from flightcheck.report.console import console_for
            from flightcheck.report.terminal import print_report

            if notebook.in_notebook():
                notebook.show(watched.report)
            else:
                print_report(watched.run, watched.diagnosis, console_for(sys.stderr))


def new_run_folder(runs_dir: Path) -> Path:
    """A folder for one run, which no other process gets; names sort by time."""
    while True:
        now = datetime.datetime.now(datetime.UTC)
        folder = (runs_dir / f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}").absolute()
        try:
            folder.mkdir(parents=True)
        except FileExistsError:  # of many that start in the same second, another one drew this name
            if folder.is_dir():
                continue
        except OSError:
            pass  # whoever writes the run there says why it cannot
        return folder


def recordable(folder: Path) -> Path:
    """The folder of a run, or one for temporary files where that cannot be written: the training is worth more.

    Raises:
        RunFileError: neither can be written.
    """
    try:
        RunWriter(folder).close()
    except RunFileError as e:
        spare = Path(tempfile.gettempdir()) / "flightcheck-runs" / folder.name
        RunWriter(spare).close()
        print(f"flightcheck: {e}; the run is recorded in {spare}", file=sys.stderr, flush=True)
        return spare
    return folder


def watch_into(
    folder: Path, options: WatchOptions, attach: Callable[[TorchObserver], None] | None = None
) -> SessionResult:
    """Run a script under watch and record it in a folder that is named already. Never raises what the script raises.

    `attach` is given the observer before the script starts.
    """
    from flightcheck.adapters.torch.machine import machine

    writer = RunWriter(folder)
    try:
        info, code = _begun(writer, options)
        observer, trial = _observer(writer, options, info, attach)
    except Exception as e:
        if options.mode == "trial":
            raise
        return _unwatched(folder, options, writer, e)
    process, started = os.getpid(), time.perf_counter()
    ended = _run(options, observer.error_location)
    if os.getpid() != process:  # a child that the script forked is over: it has no part in the run
        raise SystemExit(ended.get("exit_code", 0))
    seconds = time.perf_counter() - started
    _flush_output()
    observer.close()
    try:
        compare_ranks(writer, info, observer)
        if code is not None:
            code.save(writer)
            writer.put(machine())
        for i, record in enumerate(trial() if trial is not None else ()):
            writer.put(record, i if isinstance(record, Probe) else 0)
    except Exception as e:  # how the script ended is told all the same
        print(f"flightcheck: some of the run was not recorded, by a fault of ours ({in_words(e)})", file=sys.stderr)
    close_run(writer, final_info(info, observer, seconds, ended))
    return SessionResult(folder, int(ended.get("exit_code", 0)), _failed(ended), writer.failure)


def _begun(writer: RunWriter, options: WatchOptions) -> tuple[RunInfo, Code | None]:
    """Record what is known before the script starts."""
    info = first_info(options, writer.path.parent)
    writer.put(info)
    writer.put(environment_of(options.script))
    code = Code(options.script, Path.cwd()) if options.mode in ("check", "run") else None
    if code is not None:
        for record in (*starting_point(options.script, options.module, options.arguments), *_generators(options)):
            writer.put(record)
        code.save(writer)
    writer.flush(force=True)
    for told in options.run_begins:
        told(writer.path.parent)
    return info, code


def _failed(ended: dict[str, Any]) -> bool:
    """The script ended by itself, and not as it should."""
    return ended["ended"] in ("exception", "interrupted") or (ended["ended"] == "exit" and ended["exit_code"] != 0)


def _observer(
    writer: RunWriter, options: WatchOptions, info: RunInfo, attach: Callable[[TorchObserver], None] | None
) -> tuple[TorchObserver, Callable[[], list[Any]] | None]:
    """An observer with every hook in place; of a trial also what tells at its end what was changed and measured."""
    from flightcheck.adapters.torch import TorchObserver

    observer = TorchObserver(
        writer,
        script_folder=str(Path(options.script).resolve().parent) if options.script else str(Path.cwd()),
        budget=options.budget,
        dense_steps=_DENSE_STEPS[options.mode],
        longest_gap=_LONGEST_GAP[options.mode],
        longest_gap_seconds=_LONGEST_GAP_SECONDS if options.mode == "run" else 0.0,
        dense_seconds=_DENSE_SECONDS if options.mode == "run" else 0.0,
        stopping=_stopping(options),
        rank=(info.rank, info.ranks),
    )
    if options.replay is not None:
        observer.randomness.replayed = [int(e) for e in options.replay.entropies]
    try:
        observer.install()
        if attach is not None:
            attach(observer)
        if options.mode != "trial":  # trials read along in their own way
            observer.logged.install(observer.patches)
            observer.system.begin()
        return observer, install_patches(observer, options) if options.mode == "trial" else None
    except Exception:
        observer.close()
        raise


def _unwatched(folder: Path, options: WatchOptions, writer: RunWriter, fault: Exception) -> SessionResult:
    """The training is worth more than its observation: the script runs as if we were not there."""
    why = f"not watched, by a fault of ours ({in_words(fault)})"
    print(f"flightcheck: {why}; the script runs on its own", file=sys.stderr, flush=True)
    if os.environ.get("FLIGHTCHECK_DEBUG"):
        traceback.print_exception(fault)
    ended = _run(options, lambda _: None)
    _flush_output()
    script = options.script or options.module or ""
    close_run(writer, RunInfo(folder.name, script, script, **ended))
    return SessionResult(folder, int(ended.get("exit_code", 0)), _failed(ended), writer.failure)


def _run(options: WatchOptions, error_location: Callable[[TracebackType | None], Location | None]) -> dict[str, Any]:
    """Run the script to its end; how it ended, as fields of `RunInfo`."""
    from flightcheck.adapters.torch import StopTraining

    try:
        run_as_main(options.script, options.module, options.arguments)
    except StopTraining:
        return {"ended": "stopped"}
    except KeyboardInterrupt:
        return {"ended": "interrupted", "exit_code": 130}
    except SystemExit as e:
        return {"ended": "exit", "exit_code": _exit_code(e)}
    except BaseException as e:
        where = error_location(e.__traceback__)
        show(e, _PACKAGE)
        return {"ended": "exception", "exit_code": 1, "error": in_words(e), "error_location": where}
    return {"ended": "finished"}


def _generators(options: WatchOptions) -> list[RandomStates]:
    """The states of the random generators as the script finds them: those to be replayed, or those there are."""
    from flightcheck.adapters.torch.random_states import random_states, restore

    if options.replay is not None:
        restore(RandomStates(**options.replay.states))
    return [random_states()]


def install_patches(observer: TorchObserver, options: WatchOptions) -> Callable[[], list[Any]]:
    """Put the patches of a trial in; returns what tells, at the end, what they did and what probes measured."""
    from flightcheck.adapters.torch import patching

    observer.statistics.spreads.off()
    observer.activations.spreads.off()
    observer.loaders.digests.off()  # a trial has the data of the run that it belongs to
    boundaries = patching.install(observer, [Patch.parse(p) for p in options.patches])

    def told() -> list[Any]:
        why = options.refused[0] if options.refused else ""
        info = TrialInfo(list(options.patches), options.seed or 0, dict(boundaries.applied), why)
        measured = [probe for ask in boundaries.probes if (probe := ask()) is not None]
        return [*measured, info]

    return told


def _stopping(options: WatchOptions) -> Any:
    from flightcheck.adapters.torch.planning import Stopping

    if options.steps is None and options.seconds is None:
        return None
    script = Path(options.script).resolve() if options.script else None
    waits = options.mode in ("check", "run") or options.evaluates
    return Stopping(
        steps=options.steps or sys.maxsize,
        seconds=options.seconds or float("inf"),
        sources=functools.partial(user_files, script, Path.cwd()) if waits else list,
        waits_for_thaws=options.mode == "check",
        to_the_end=TO_THE_END if options.mode == "check" and options.steps == DEFAULT_STEPS else 0.0,
        in_step=number_in_environment("WORLD_SIZE", 1) > 1 or options.replay is not None,
    )


def _flush_output() -> None:
    """What the script printed comes before our report, also where both go to one file."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):  # closed by the script, or a broken pipe
            pass


def _exit_code(e: SystemExit) -> int:
    if e.code is None:
        return 0
    if isinstance(e.code, int):
        return e.code
    print(e.code, file=sys.stderr)
    return 1


def _keep_stdout() -> TextIO:
    """The real stdout, for our report only: what script, threads and children print there goes to stderr from now on,
    up to the end of the process.
    """
    with suppress(AttributeError, ValueError):  # there is none, or it is closed
        sys.stdout.flush()
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return stream
