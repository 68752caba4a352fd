"""A session that runs nothing: it notes what it was asked for and writes the run that a test wants."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from flightcheck.lab.processes import Script
from flightcheck.lab.trials import Trained, Trial
from flightcheck.options import SessionResult, WatchOptions
from flightcheck.recording.loss_records import LossCall, LossSite
from flightcheck.recording.records import Coverage, Location, RunInfo
from flightcheck.recording.store import RunWriter

SITE = LossSite(0, "cross_entropy", Location("train.py", 50), train_calls=8)
PROBABILITIES = LossCall(
    0, 0, True, [64, 10], [64], [], "float32", "int64", 2.3, 0.01, 0.8, 0, 9,
    classes=10, row_sum_error=1e-7, input_module="net.5", input_module_location=Location("train.py", 41),
)  # fmt: skip
LOGITS = replace(PROBABILITIES, input_min=-4.0, input_max=3.0, row_sum_error=5.0)


def write_run(folder: Path, call: LossCall = LOGITS, **info: Any) -> Path:
    """Record a run of 300 steps whose loss calls are all like `call`."""
    writer = RunWriter(folder)
    values: dict[str, Any] = {"script": "train.py", "steps": 300, "evaluations": 2, "ended": "stopped", **info}
    writer.put(RunInfo(folder.name, "train.py", **values))
    writer.put(Coverage(modules=14, modules_seen=14, sampled_steps=300, steps=300))
    writer.put(SITE)
    for step in range(8):
        writer.append(replace(call, step=step))
    writer.close()
    return folder


class FakeRunner:
    """Runs no trial."""

    def __init__(self) -> None:
        self.asked: list[Trial] = []
        self.closed = False

    def run(self, trials: Sequence[Trial], seconds_left: float) -> list[Trained]:
        self.asked += trials
        return [Trained(t, None, "nothing is run here") for t in trials]

    def close(self) -> None:
        self.closed = True


class FakeSession:
    """Stands for `flightcheck.session`, and for what runs trials."""

    def __init__(self) -> None:
        self.asked: list[WatchOptions] = []
        self.call = LOGITS
        self.info: dict[str, Any] = {}
        self.exit_code = 0
        self.failed = False
        self.labs: list[tuple[Script, Path, int, FakeRunner]] = []

    def script_runner(self, script: Script, folder: Path, jobs: int) -> FakeRunner:
        self.labs.append((script, folder, jobs, FakeRunner()))
        return self.labs[-1][-1]

    def watch_script(self, options: WatchOptions, attach: object = None) -> SessionResult:
        self.asked.append(options)
        folder = write_run(options.runs_dir / "20261123-1", self.call, **self.info)
        return SessionResult(folder, self.exit_code, self.failed)


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSession]:
    """A fake session; the current directory is an empty one with a script."""
    fake = FakeSession()
    module = ModuleType("flightcheck.session")
    module.__dict__["watch_script"] = fake.watch_script
    monkeypatch.setitem(sys.modules, "flightcheck.session", module)
    monkeypatch.setattr("flightcheck.investigation.script_runner", fake.script_runner)
    monkeypatch.chdir(tmp_path)
    Path("train.py").write_text("print('hello')\n")
    yield fake
