"""Trials of a script, each in a process of its own."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import field
from pathlib import Path
from typing import Any, Final

from flightcheck.errors import FlightcheckError
from flightcheck.frozen import frozen
from flightcheck.lab.scratch import Scratch
from flightcheck.lab.trials import Trained, Trial
from flightcheck.recording.as_data import from_data, to_data
from flightcheck.recording.experiments import NO_TIME, Probe, TrialInfo
from flightcheck.recording.records import RunInfo
from flightcheck.recording.run import Run

_GRACE: Final = 5.0
"""Seconds that a trial may take to stop after its time."""
_START: Final = 60.0
"""Seconds that the server may take to import what the script imports."""


@frozen
class Script:
    """How the script was started, and in what surroundings."""

    script: str | None
    module: str | None
    arguments: list[str]
    cwd: Path
    environment: dict[str, str] = field(default_factory=lambda: dict(os.environ))
    modules: list[str] = field(default_factory=list)
    """Libraries that it imported."""


class ScriptRunner:
    """Starts trials as forks of a process that has imported everything already; results are kept and used again."""

    def __init__(self, script: Script, folder: Path, jobs: int = 1) -> None:
        self.script = script
        self.folder = folder
        self.jobs = jobs
        self.forks = True
        self._scratch: Scratch | None = None
        self._server: subprocess.Popen[bytes] | None = None
        self._known: dict[Trial, Trained] = {}
        self._count = 0
        self._rest = b""

    def run(self, trials: Sequence[Trial], seconds_left: float) -> list[Trained]:
        """See `flightcheck.lab.trials.Runner`."""
        until = time.monotonic() + seconds_left
        waiting = [t for t in dict.fromkeys(trials) if t not in self._known]
        running: dict[int, tuple[Trial, Path, float]] = {}
        try:
            if waiting:
                self._start()
            while waiting or running:
                while waiting and len(running) < self.jobs:
                    trial = waiting.pop(0)
                    left = until - time.monotonic()
                    if left <= 0:
                        self._known[trial] = Trained(trial, None, NO_TIME)
                        continue
                    number, folder = self._send(trial, left)
                    running[number] = (trial, folder, time.monotonic())
                if running:
                    answer = self._answer(until - time.monotonic() + 2 * _GRACE)
                    trial, folder, started = running.pop(int(answer["id"]))
                    seconds = time.monotonic() - started
                    self._known[trial] = self._trained(trial, folder, answer["status"], seconds)
        except (OSError, ValueError, KeyError) as e:  # the server is gone: what it ran says nothing
            self._stop()
            for trial in (*waiting, *(t for t, _, _ in running.values())):
                self._known[trial] = Trained(trial, None, f"the process that runs trials ended ({e})")
        return [self._known[t] for t in trials]

    def close(self) -> None:
        """End the server and remove what trials wrote."""
        self._stop()
        if self._scratch is not None:
            self._scratch.close()

    def _start(self) -> None:
        self._scratch = self._scratch or Scratch(self.script.cwd)
        if self._server is not None:
            return
        environment = {**self.script.environment, "PYTHONHASHSEED": "0"}
        package = str(Path(__file__).parents[2])
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [environment.get("PYTHONPATH"), package]))
        self._server = subprocess.Popen(
            [sys.executable, "-m", "flightcheck.trial.server"], cwd=self.script.cwd, env=environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=None if os.environ.get("FLIGHTCHECK_DEBUG") else subprocess.DEVNULL,
        )  # fmt: skip
        self._write(self.script.modules)
        self.forks = bool(self._answer(_START)["forks"])

    def _stop(self) -> None:
        if self._server is not None:
            self._server.kill()
            self._server.wait()
            for stream in (self._server.stdin, self._server.stdout):
                if stream is not None:
                    stream.close()
        self._server = None

    def _send(self, trial: Trial, left: float) -> tuple[int, Path]:
        assert self._scratch is not None
        self._count += 1
        folder = self.folder / f"{self._count:03d}"
        self._write(
            {
                "id": self._count, "folder": str(folder), "cwd": str(self._scratch.make()),
                "script": self.script.script, "module": self.script.module, "arguments": self.script.arguments,
                "patches": [str(p) for p in trial.patches], "seed": trial.seed, "steps": trial.steps,
                "seconds": left, "limit": left + _GRACE, "evaluates": trial.evaluates,
                "threads": 1,  # so that results do not depend on the number of jobs
            }
        )  # fmt: skip
        return self._count, folder

    def _write(self, task: Any) -> None:
        assert self._server is not None and self._server.stdin is not None
        self._server.stdin.write(json.dumps(task).encode() + b"\n")
        self._server.stdin.flush()

    def _answer(self, seconds: float) -> dict[str, Any]:
        """The server's next line.

        Raises:
            OSError: it is silent for so long, or gone.
        """
        assert self._server is not None and self._server.stdout is not None
        until = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(self._server.stdout, selectors.EVENT_READ)
            while b"\n" not in self._rest:
                if not selector.select(max(0.0, until - time.monotonic())):
                    raise OSError(f"no answer for {seconds:.0f} s")
                read = os.read(self._server.stdout.fileno(), 1 << 16)
                if not read:
                    raise OSError("it closed its output")
                self._rest += read
        line, self._rest = self._rest.split(b"\n", 1)
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _trained(self, trial: Trial, folder: Path, status: str, seconds: float) -> Trained:
        try:
            run = Run.open(folder)
        except FlightcheckError as e:
            why = "took too long" if status == "timeout" else "ended at once"
            return Trained(trial, None, f"the trial {why} ({e})", seconds)
        if self._scratch is not None:  # what is told of a trial reaches the report
            for kind in (Probe, TrialInfo, RunInfo):
                told = run.recorded(kind)
                run.records[kind.__name__] = [from_data(kind, self._scratch.in_original(to_data(r))) for r in told]
        return Trained.of(trial, run, seconds)
