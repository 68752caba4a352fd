"""Starts the repetition of a run in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, field
from pathlib import Path
from typing import Any, Final

from flightcheck.frozen import frozen
from flightcheck.recording.run import Run
from flightcheck.recording.starting_point import FreshGenerators, Invocation, RandomStates
from flightcheck.recording.surroundings import Numerics
from flightcheck.redaction import redacted_code
from flightcheck.reproduction.surroundings import variables
from flightcheck.reproduction.workplace import Workplace

_LAST_LINES: Final = 8


@frozen
class Ended:
    """What is left of a repetition."""

    folder: Path
    refused: str = ""
    """Why the script was broken off to protect files."""
    failure: str = ""
    """Why there is no recorded run."""
    last_lines: list[str] = field(default_factory=list)
    """Of what it printed."""


def steps_of(run: Run, limit: int | None) -> int | None:
    """After how many steps the repetition ends; None: by itself, as the original did."""
    own = run.info.ended in ("finished", "exit", "exception")
    steps = None if own else run.info.steps or _seen(run) or None
    return min(filter(None, (steps, limit)), default=None)


def _seen(run: Run) -> int:
    """The steps of a run that was killed."""
    found = run.frames.get("loss")
    return int(found[0][-1]) + 1 if found is not None and len(found[0]) else 0


def run_again(
    run: Run, started: Invocation, place: Workplace, folder: Path, *,
    seed: int = 0, steps: int | None = None, arguments: Sequence[str], writable: Sequence[Path] = (),
) -> Ended:  # fmt: skip
    """Start the script of a run again, from the folder that was rebuilt for it.

    Args:
        run: the recorded run.
        started: how it was started.
        place: where its code lies.
        folder: in which the new run is recorded.
        seed: 0 for the recorded random numbers, above 0 for others.
        steps: where it ends, see `steps_of`.
        arguments: of the script.
        writable: folders in which the script may write, beside its copy.
    """
    numerics = run.recorded(Numerics)
    states, fresh = run.recorded(RandomStates), run.recorded(FreshGenerators)
    folder.mkdir(parents=True, exist_ok=True)
    answer, output = place.root / "answer.json", place.root / "output.txt"
    answer.unlink(missing_ok=True)
    task: dict[str, Any] = {
        "folder": str(folder), "cwd": str(place.folder), "script": _script(started, place) or None,
        "module": started.module or None, "arguments": list(arguments), "mode": run.info.mode, "steps": steps,
        "threads": numerics[0].threads if numerics else 0, "seed": seed,
        "states": asdict(states[0]) if states else {}, "entropies": fresh[0].entropies if fresh else [],
        "writable": [str(place.root), *map(str, writable)], "moved": place.moved(), "answer": str(answer),
    }  # fmt: skip
    with output.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "flightcheck.trial.repetition"], cwd=place.folder, env=_environment(run, started),
            stdin=subprocess.PIPE, stdout=stream, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            process.communicate(json.dumps(task).encode())
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    try:
        told = json.loads(answer.read_bytes())
    except (OSError, ValueError):
        return Ended(folder, failure=f"its process ended with status {process.returncode}", last_lines=_last(output))
    return Ended(folder, refused=told["refused"], last_lines=_last(output))


def _script(started: Invocation, place: Workplace) -> str:
    """The script as it is to be given: as it was, where that leads to its copy."""
    if not started.script:
        return ""
    copy = place.at(Path(os.path.normpath(Path(started.folder) / started.script)))
    given = Path(started.script)
    if not given.is_absolute() and Path(os.path.normpath(place.folder / given)) == copy:
        return started.script
    return str(copy)


def _environment(run: Run, started: Invocation) -> dict[str, str]:
    environment = variables(run.environment, dict(os.environ))
    package = str(Path(__file__).parents[2])
    known = [p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p]
    path = dict.fromkeys([*started.python_path, *known, package])
    return environment | {"PYTHONPATH": os.pathsep.join(path)}


def _last(output: Path) -> list[str]:
    try:
        lines = output.read_bytes()[-20_000:].decode("utf-8", "replace").splitlines()
    except OSError:
        return []
    return [redacted_code(line) for line in lines if line.strip()][-_LAST_LINES:]
