"""``flightcheck.check(model, loss_fn, batches, optimizer)``: the diagnosis of objects in a notebook or a test."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from flightcheck import investigation
from flightcheck.frozen import frozen
from flightcheck.lab.trials import Trained, Trial
from flightcheck.options import DEFAULT_RUNS_DIR, WatchOptions
from flightcheck.recording.experiments import NO_TIME
from flightcheck.recording.run import Run
from flightcheck.recording.store import RunWriter
from flightcheck.run_info import close_run, final_info, first_info, in_words
from flightcheck.session import install_patches, new_run_folder

if TYPE_CHECKING:
    from flightcheck.adapters.torch.training import Ingredients
    from flightcheck.diagnosis.engine import Diagnosis
    from flightcheck.report.notebook import Report

_DENSE_STEPS: Final = 50
_LONGEST_GAP: Final = 10


@frozen
class Checked:
    """What `check` found."""

    run: Run
    """Everything that was recorded, experiments included."""
    diagnosis: Diagnosis

    @property
    def ok(self) -> bool:
        """Nothing of severity warn or above was found."""
        return all(f.severity == "info" for f in self.diagnosis.findings)

    @property
    def report(self) -> Report:
        """The findings, as a notebook shows them."""
        from flightcheck.report.notebook import Report

        return Report(self.run, self.diagnosis)

    def __repr__(self) -> str:
        found = [f"{f.code} {f.info.name}" for f in self.diagnosis.findings if f.severity != "info"]
        return f"Checked(ok={self.ok}{''.join(f', {f}' for f in found)})"


def check(model: Any, loss_fn: Callable[[Any, Any], Any], batches: Iterable[Any], optimizer: Any, *, steps: int = 300,
          lab_budget: float = 60.0, runs_dir: Path | str = DEFAULT_RUNS_DIR, report: bool = True,
          select: Iterable[str] = (), ignore: Iterable[str] = ()) -> Checked:  # fmt: skip
    """Train copies of a model for some steps under watch, try fixes, and say what is wrong.

    The model, the optimizer, their state, and the random generators of Python, NumPy and torch are afterwards what they
    were. The batches are read, several times over.

    Args:
        model: a ``torch.nn.Module``.
        loss_fn: called as ``loss_fn(model(inputs), targets)``; returns a loss of shape ``()``.
        batches: pairs ``(inputs, targets)`` that can be iterated again and again: a ``DataLoader`` or a list. A
            dictionary as inputs goes to the model as keyword arguments, a tuple as positional ones.
        optimizer: over the parameters of `model`.
        steps: of the watched training.
        lab_budget: seconds for experiments, 0 for none.
        runs_dir: folder in which the run is recorded.
        report: print the report to stderr.
        select: codes, or beginnings of codes, of the checks to apply; all if empty.
        ignore: codes of checks to leave out.

    Raises:
        ValueError: the objects cannot be copied, or the batches are not pairs.
        UsageError: a code that no check has. What model or loss raise is recorded and told in the report.
    """
    import sys

    from flightcheck.adapters.torch.training import Ingredients, NoPairs, untouched
    from flightcheck.checks.registry import select_checks

    select, ignore = list(select), list(ignore)
    select_checks(select, ignore)
    given = Ingredients(model, loss_fn, batches, optimizer)
    with untouched():
        given.copied()
        folder = new_run_folder(Path(runs_dir))
        failure = _train(given, folder, WatchOptions(script=sys.argv[0], mode="check", steps=steps))
        if isinstance(failure, NoPairs):
            raise failure
        run = Run.open(folder)
        if lab_budget > 0:
            diagnosis = investigation.judged(run, select, ignore)
            investigation.experiment(run, diagnosis, CopyRunner(given, folder / "trials"), lab_budget)
            run = Run.open(folder)
        diagnosis = investigation.judged(run, select, ignore)
        if report:
            from flightcheck import notebook
            from flightcheck.report.console import console_for
            from flightcheck.report.terminal import print_report

            if notebook.in_notebook():
                notebook.show(Checked(run, diagnosis).report)
            else:
                print_report(run, diagnosis, console_for(sys.stderr))
    return Checked(run, diagnosis)


class CopyRunner:
    """Runs trials on copies of the user's objects, one after the other."""

    def __init__(self, given: Ingredients, folder: Path) -> None:
        self._given = given
        self._folder = folder
        self._known: dict[Trial, Trained] = {}

    def run(self, trials: Sequence[Trial], seconds_left: float) -> list[Trained]:
        """See `flightcheck.lab.trials.Runner`."""
        until = time.monotonic() + seconds_left
        for trial in trials:
            if trial not in self._known:
                self._known[trial] = self._one(trial, until - time.monotonic())
        return [self._known[t] for t in trials]

    def close(self) -> None:
        """Nothing is left behind: copies are forgotten after each trial."""

    def _one(self, trial: Trial, left: float) -> Trained:
        if left <= 0:
            return Trained(trial, None, NO_TIME)
        folder = self._folder / f"{len(self._known) + 1:03d}"
        options = WatchOptions(
            mode="trial", steps=trial.steps, seconds=left, patches=tuple(map(str, trial.patches)), seed=trial.seed
        )
        started = time.monotonic()
        _train(self._given, folder, options)
        return Trained.of(trial, Run.open(folder), time.monotonic() - started)


def _train(given: Ingredients, folder: Path, options: WatchOptions) -> Exception | None:
    """Train copies under watch and record it; returns what the user's code raised."""
    from flightcheck.adapters.torch import StopTraining, TorchObserver
    from flightcheck.adapters.torch.planning import Stopping
    from flightcheck.adapters.torch.training import seed, train

    writer = RunWriter(folder)
    info = first_info(options, folder)
    writer.put(info)
    trial = options.mode == "trial"
    steps = int(options.steps or 0)
    observer = TorchObserver(
        writer,
        budget=options.budget,
        dense_steps=0 if trial else _DENSE_STEPS,
        longest_gap=_LONGEST_GAP,
        stopping=Stopping(steps, float(options.seconds or 1e9)),
    )
    started = time.perf_counter()
    failure: Exception | None = None
    ended: dict[str, Any] = {"ended": "finished"}
    seed(options.seed or 0)
    copies = given.copied()
    told: Callable[[], list[Any]] = list
    observer.install()
    try:
        if trial:
            told = install_patches(observer, options)
        train(copies, steps)
    except StopTraining:
        ended = {"ended": "stopped"}
    except Exception as e:
        failure = e
        ended = {"ended": "exception", "exit_code": 1, "error": in_words(e),
                 "error_location": observer.error_location(e.__traceback__)}  # fmt: skip
    finally:
        observer.close()
        for i, record in enumerate(told()):
            writer.put(record, i if type(record).__name__ == "Probe" else 0)
        close_run(writer, final_info(info, observer, time.perf_counter() - started, ended))
    return failure
