"""What a command asks of the session, and what it gets back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import field
from pathlib import Path
from typing import Final, Literal, TextIO

from flightcheck.frozen import frozen

DEFAULT_STEPS: Final = 300
TO_THE_END: Final = 30.0
"""Seconds in which a training must be over to be watched to its end although enough was seen: scripts that report on a
test set do so once, behind it."""
DEFAULT_SECONDS: Final = 60.0
DEFAULT_BUDGET: Final = 0.02
DEFAULT_LAB_SECONDS: Final = 120.0
DEFAULT_RUNS_DIR: Final = Path(".flightcheck/runs")


@frozen
class Replay:
    """What a run takes over from an earlier one, to be the same."""

    states: dict[str, str] = field(default_factory=dict)
    """Of the global random generators at the start, as they were recorded, by ``python``, ``numpy``, ``torch``."""
    entropies: list[str] = field(default_factory=list)
    """Seeds of the generators of NumPy that the script makes without one, in order."""


@frozen
class WatchOptions:
    """One script to be run and watched."""

    script: str | None = None
    """Path of the script (or of a folder or zip file with a ``__main__``); None if `module` is given."""
    module: str | None = None
    """Dotted name, as after ``python -m``."""
    arguments: list[str] = field(default_factory=list)
    """The script's own arguments, without its name."""
    mode: Literal["check", "run", "trial", "view"] = "check"
    steps: int | None = DEFAULT_STEPS
    """Stop after so many rounds of training; None: never."""
    seconds: float | None = DEFAULT_SECONDS
    """Stop after so much training time; None: never."""
    budget: float = DEFAULT_BUDGET
    """Largest share of the training's time that watching may cost."""
    runs_dir: Path = DEFAULT_RUNS_DIR
    patches: tuple[str, ...] = ()
    """Of a trial: text forms of its patches."""
    seed: int | None = None
    """Of a trial: which of its repetitions this is."""
    evaluates: bool = False
    """Of a trial: it is to see an evaluation, too."""
    refused: list[str] = field(default_factory=list)
    """Of a trial: filled with the reason if it was broken off to protect the user's files."""
    replay: Replay | None = None
    """Of a run that repeats another one; it ends after `steps` rounds whatever it has seen."""
    json_to_stdout: bool = False
    """Our JSON goes to stdout, so what the script prints there has to go to stderr."""
    run_begins: Sequence[Callable[[Path], None]] = ()
    """Told the run's folder, which holds a run file by then, just before the script starts."""


@frozen
class SessionResult:
    """What is left when the script is over."""

    run_folder: Path
    exit_code: int
    """The script's own, 0 if we stopped it."""
    script_failed: bool
    """The script ended by an exception or with an exit status other than 0, not by us."""
    unwritable: str = ""
    """Why the run could not be recorded to its end, which has been said; empty if it was."""
    stdout: TextIO | None = None
    """The real stdout, if it was kept for our JSON."""
