"""A recorded run to be sent, and a tracker that notes what it gets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from flightcheck.exporters import base, sending
from flightcheck.exporters.base import Contents, Destination, Heading, Param, Point
from flightcheck.recording.batches import Evaluation
from flightcheck.recording.digests import DataDigest
from flightcheck.recording.inputs import DatasetInfo
from flightcheck.recording.records import Location, OptimizerInfo, RunInfo
from flightcheck.recording.signals import GRAD_NORM_TOTAL, LEARNING_RATE, LOSS
from flightcheck.recording.store import RunWriter
from flightcheck.recording.surroundings import Environment, Packages, Setting, SourceFile
from tests.cli.made import PROBABILITIES, SITE

TOKEN = "hf_abcdefghijklmnopqrstuv"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
STARTED = "2026-01-01T00:00:00+00:00"
START = 1767225600.0


def write_training(folder: Path, steps: int = 30, *, ended: str = "finished", **info: object) -> RunWriter:
    """A run of which everything is recorded that travels; its loss falls by one a step. It is not yet closed."""
    writer = RunWriter(folder)
    values: dict[str, Any] = {
        "id": folder.name, "command": "train.py --width 64 --api-key '***'", "script": "train.py", "started": STARTED,
        "seconds": float(steps), "steps": steps, "ended": ended, "framework": "torch 2.13", **info,
    }  # fmt: skip
    writer.put(RunInfo(**values))
    writer.put(OptimizerInfo(0, "SGD", groups=[{"lr": 0.5, "momentum": 0.9}], steps=steps))
    writer.put(Setting("lr", "lr", 0.1, "argparse"))
    writer.put(Environment(python="3.11.7", commit=COMMIT))
    writer.put(Packages({"torch": "2.13.0"}, ["torch"]))
    writer.put(SourceFile("train.py", "0" * 64, "import torch\n", main=True), 0)
    writer.put(SourceFile("../shared/model.py", "1" * 64, "class Net: ...\n"), 1)
    writer.put(DatasetInfo(0, 0, "Digits", trained=True))
    writer.put(DataDigest(0, "training", 0, ["x"], 512, 512, "d1cce459fef9d4d7", labels={"y": {"0": 256, "1": 256}}))
    writer.put(SITE)
    for step in range(8):
        writer.append(replace(PROBABILITIES, step=step))
    for step in range(steps):
        writer.frame(LOSS, step, [float(steps - step)])
        writer.frame(LEARNING_RATE, step, [0.5, 0.25])
        if step % 10 == 0:
            writer.frame(GRAD_NORM_TOTAL, step, [2.0 if step else -1.0])
            writer.append(Evaluation(step, 0, 1, Location("train.py", 9), losses=1, loss_value=float(step)))
    writer.flush(force=True)
    return writer


@dataclass
class Noted:
    """What a tracker got, over all tries."""

    begun: list[tuple[str, str, bool]] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    params: dict[str, Param] = field(default_factory=dict)
    contents: Contents | None = None
    files: dict[str, bytes] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    """Names of the calls that are to fail, in the order in which they do."""


class NotingExporter(base.Exporter):
    """Notes what it gets, and fails where a test wants it to."""

    package: ClassVar[str] = "json"
    extra: ClassVar[str] = "json"
    noted: ClassVar[Noted]
    lives: ClassVar[bool] = True

    @property
    def live(self) -> bool:
        return self.lives

    @classmethod
    def place(cls, where: str) -> str:
        return where

    def _fail(self, call: str) -> None:
        if self.noted.failures[:1] == [call]:
            self.noted.failures.pop(0)
            raise ConnectionError(f"down while https://user:{'secret'}@server was asked to {call}")

    def begin(self, heading: Heading, known: str, tried: bool) -> str:
        self._fail("begin")
        self.noted.begun.append((heading.id, known, tried))
        return known or f"remote-{self.export}"

    def describe(self, params: Mapping[str, Param]) -> None:
        self._fail("describe")
        self.noted.params |= params

    def log(self, points: Sequence[Point]) -> None:
        self._fail("log")
        self.noted.batches.append(len(points))
        self.noted.points += points
        self._fail("answer")  # it has got them, and we do not learn of it

    def finish(self, contents: Contents) -> None:
        self._fail("finish")
        self.noted.contents = contents
        self.noted.files = {name: file.read_bytes() for name, file in contents.files.items()}

    def told(self) -> str:
        return "somewhere"


@pytest.fixture
def tracker(monkeypatch: pytest.MonkeyPatch) -> Noted:
    """A tracker that notes what it gets."""
    NotingExporter.noted = Noted()
    NotingExporter.lives = True
    monkeypatch.setattr(sending, "exporter_class", lambda _: NotingExporter)
    return NotingExporter.noted


TO = Destination("noting", "there", "flightcheck")
