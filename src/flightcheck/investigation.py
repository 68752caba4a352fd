"""From a watched run to experiments: wires diagnosis and lab, and writes into the run what was tried."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import field, replace
from pathlib import Path
from types import ModuleType
from typing import Final

from flightcheck.checks.registry import run_checks
from flightcheck.diagnosis.engine import DiagnosedFinding, Diagnosis, diagnose
from flightcheck.diagnosis.graph import SYMPTOMS
from flightcheck.frozen import frozen
from flightcheck.lab.agenda import adjusted, investigate
from flightcheck.lab.candidates import Candidate
from flightcheck.lab.experiments import Lab
from flightcheck.lab.processes import Script, ScriptRunner
from flightcheck.lab.script_code import of_the_script, sources_of
from flightcheck.lab.statistics import ALPHA
from flightcheck.lab.trials import Runner
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.run import Run
from flightcheck.recording.store import RunWriter

_MOST_MODULES: Final = 3000


@frozen
class Surroundings:
    """Where and how the command was started: taken before the script runs, since a script may change all of it."""

    cwd: Path = field(default_factory=Path.cwd)
    environment: dict[str, str] = field(default_factory=lambda: dict(os.environ))
    modules: frozenset[str] = field(default_factory=lambda: frozenset(sys.modules))

    def script(self, script: str | None, module: str | None, arguments: list[str]) -> Script:
        """The script as it was started, with the libraries that it has imported since."""
        new = [n for n, m in list(sys.modules.items()) if n not in self.modules and _is_library(n, m)]
        return Script(script, module, arguments, self.cwd, self.environment, new[:_MOST_MODULES])


def _is_library(name: str, module: ModuleType) -> bool:
    file = getattr(module, "__file__", None)
    if name.startswith(("__", "flightcheck")) or not isinstance(file, str):
        return False
    return "site-packages" in file or file.startswith((sys.base_prefix, sys.prefix))


def experiment(
    run: Run, diagnosis: Diagnosis, runner: Runner, seconds: float, say: Callable[[str], None] = lambda text: None
) -> Run:
    """Try the fixes of a diagnosis, and what no single run can show; returns the run with what was found.

    Args:
        run: the watched run; its file gets the experiments.
        diagnosis: of this run.
        runner: runs trials of the same training; closed at the end.
        seconds: the budget.
        say: told what is being tried.
    """
    found: list[Experiment] = []
    sources = sources_of(run)

    def diagnosed_again(so_far: Sequence[Experiment]) -> list[Candidate]:
        run.records["Experiment"] = adjusted(so_far, ALPHA)
        return candidates(judged(run))

    try:
        for tried in investigate(Lab(runner, seconds, say), run, candidates(diagnosis), diagnosed_again):
            found.append(replace(tried, diff=of_the_script(tried.diff, sources)))
    finally:  # what was found until an interrupt counts
        runner.close()
        _record(run, found)
    return run


def _record(run: Run, found: Sequence[Experiment]) -> None:
    run.records["Experiment"] = adjusted(found, ALPHA)
    if run.path is not None:
        writer = RunWriter(run.path)
        for i, e in enumerate(run.experiments):
            writer.put(e, i)
        for i, probe in enumerate(run.probes):
            writer.put(probe, i)
        writer.close()


def candidates(diagnosis: Diagnosis) -> list[Candidate]:
    """Roots, then what is folded under a root that is only a heuristic: its rivals."""
    roots = [f for f in diagnosis.findings if f.root]
    doubtful = {f.code for f in roots if f.info.evidence == "H"}
    rivals = [
        f for f in diagnosis.findings
        if f.explained_by in doubtful and f.severity != "info" and (f.code not in SYMPTOMS or f.code == "C07")
    ]  # fmt: skip
    chosen = [*roots, *rivals]
    beside = {f.code: tuple(o.finding for o in chosen if o.code == f.code and o.finding.patch) for f in chosen}
    return [Candidate(f.info, f.finding, f.explained_by or "", beside[f.code]) for f in _one_each(chosen)]


def _one_each(findings: Iterable[DiagnosedFinding]) -> list[DiagnosedFinding]:
    return list({f.code: f for f in reversed(list(findings))}.values())[::-1]


def judged(run: Run, select: Iterable[str] = (), ignore: Iterable[str] = ()) -> Diagnosis:
    """The diagnosis of a run as it is recorded now."""
    return diagnose(run, run_checks(run, select, ignore))


def script_runner(script: Script, run_folder: Path, jobs: int) -> Runner:
    """Runs trials of a script; their runs lie in ``trials`` in the watched run's folder."""
    return ScriptRunner(script, run_folder / "trials", jobs)
