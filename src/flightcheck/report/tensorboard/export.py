"""Writes a run into a folder of TensorBoard: at once, or sample by sample while it grows."""

from __future__ import annotations

import datetime
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import numpy as np

from flightcheck.diagnosis.engine import Diagnosis
from flightcheck.recording.run import NotEnoughEvidence, Run
from flightcheck.recording.signals import (
    ACTIVATION_DEAD,
    ACTIVATION_RMS,
    ACTIVATION_SATURATED,
    CPU_USE,
    GPU_MEMORY,
    GRAD_NORM,
    GRAD_NORM_TOTAL,
    LEARNING_RATE,
    LOSS,
    MEMORY,
    NOT_THERE,
    UPDATE_NORM,
    WEIGHT_NORM,
)
from flightcheck.report.page.series import ACTIVATION, DEAD, GRADIENT, RATIO, SATURATED, Map, maps, thinned
from flightcheck.report.tensorboard.events import EventFile
from flightcheck.report.tensorboard.graph import graph_of
from flightcheck.report.tensorboard.texts import findings, overview

MOST_LAYERS: Final = 100
"""Layers with a curve of their own: TensorBoard becomes slow with thousands of tags. The histograms hold all layers."""
DENSE: Final = 2000
"""Samples that are all written; later, one is written when the step has grown by one part in so many: a million
steps are 15 000 points, of which TensorBoard shows a thousand."""
DENSE_LAYERS: Final = 500
MAY_CHANGE: Final = 16
"""Rounds: numbers of the last few are still completed by the ones after them."""
_TAG: Final = {
    GRADIENT.name: "gradient_norm", RATIO.name: "update_to_weight", ACTIVATION.name: "activation_rms",
    DEAD.name: "dead_units", SATURATED.name: "saturated",
}  # fmt: skip
_SYSTEM: Final = {
    "system/processors": CPU_USE, "system/memory_mib": MEMORY, "system/gpu_memory_mib": GPU_MEMORY,
}  # fmt: skip
_QUANTITY: Final = {
    GRAD_NORM: GRADIENT.name, UPDATE_NORM: RATIO.name, WEIGHT_NORM: RATIO.name, ACTIVATION_RMS: ACTIVATION.name,
    ACTIVATION_DEAD: DEAD.name, ACTIVATION_SATURATED: SATURATED.name,
}  # fmt: skip


class RunExport:
    """The event file of one run, in a folder of its own, so that several runs are compared side by side.

    A second export of the same run replaces the first.

    Args:
        folder: what TensorBoard is given as ``--logdir``.
        run: tells the name and when it started.

    Raises:
        MissingExtra: TensorBoard is not installed.
        UsageError: the folder cannot be written.
    """

    def __init__(self, folder: Path, run: Run) -> None:
        self._started = _epoch(run.info.started)
        name = re.sub(r"[^\w.-]", "_", run.info.id)[:100].strip(".") or "run"
        self.folder = folder / name
        self._file = EventFile(self.folder / f"events.out.tfevents.{int(self._started)}.flightcheck", self._started)
        self._last: dict[str, int] = {}

    def add_new(self, run: Run) -> None:
        """Write what has been recorded since the last call; of a run that goes on, not the last few rounds."""
        running = run.info.ended == "running"
        at = _clock(run, self._started, running)
        end = run.info.steps - MAY_CHANGE if running else np.inf
        for tag, points in _curves(run):
            for step, value in points:
                if step <= end and self._due(tag, step, DENSE):
                    self._file.scalars({tag: value}, step, at(step))
        for m in maps(self._rest(run), columns=None):
            self._layers(m, end, at)
        self._file.flush()

    def finish(self, run: Run, diagnosis: Diagnosis) -> None:
        """Write the rest, the graph and the findings, and close."""
        self.add_new(run)
        at = _clock(run, self._started, False)
        if (graph := graph_of(run)) is not None:
            self._file.graph(graph, at(0))
        self._file.text("flightcheck/diagnosis", run.info.steps, overview(run, diagnosis), at(run.info.steps))
        for tag, step, text in findings(run, diagnosis):
            self._file.text(tag, step, text, at(step))
        self._file.close()

    def _due(self, tag: str, step: int, dense: int) -> bool:
        """A sample that is new, and far enough from the one before; notes it as written."""
        last = self._last.get(tag, -1)
        if step <= last or step - last < last / dense:
            return False
        self._last[tag] = step
        return True

    def _rest(self, run: Run) -> Run:
        """The run with those samples of its layers only that are not written yet."""
        frames = {}
        for signal, quantity in _QUANTITY.items():
            if signal.name in run.frames:
                steps, rows = run.frames[signal.name]
                first = int(np.searchsorted(steps, self._last.get(_TAG[quantity], -1), side="right"))
                frames[signal.name] = (steps[first:], rows[first:])
        return Run(run.records, frames)

    def _layers(self, m: Map, end: float, at: Callable[[int], float]) -> None:
        tag = _TAG[m.quantity.name]
        share = m.quantity.kind == "share"
        shown = thinned(len(m.labels), MOST_LAYERS).tolist()
        often = Counter(m.labels)  # two models of a class have layers of the same names
        names = [label if often[label] == 1 else f"{label}_{m.modules[i]}" for i, label in enumerate(m.labels)]
        for i, step in enumerate(m.steps.tolist()):
            if step > end or not self._due(tag, step, DENSE_LAYERS):
                continue
            row, there = m.values[i], ~m.missing[i]
            numbers = {f"{tag}/{names[layer]}": float(row[layer]) for layer in shown if there[layer]}
            values = row[there]
            with np.errstate(divide="ignore", invalid="ignore"):
                spread = values if share else np.log10(values)
            self._file.histogram(f"layers/{tag}{'' if share else '_log10'}", step, spread, at(step))
            if lost := int((~np.isfinite(values)).sum()):
                numbers[f"layers_not_finite/{tag}"] = lost
            self._file.scalars(numbers, step, at(step))


def export(run: Run, diagnosis: Diagnosis, folder: Path) -> Path:
    """Write a finished run; returns the run's folder in `folder`.

    Raises:
        MissingExtra: TensorBoard is not installed.
        UsageError: the folder cannot be written.
    """
    made = RunExport(folder, run)
    made.finish(run, diagnosis)
    return made.folder


def _curves(run: Run) -> Iterator[tuple[str, Iterator[tuple[int, float]]]]:
    for tag, signal in (("loss/training", LOSS), ("gradient_norm_of_all", GRAD_NORM_TOTAL), *_SYSTEM.items()):
        try:
            series = run.series(signal)
        except NotEnoughEvidence:
            continue
        yield tag, zip(series.steps.tolist(), series.values.tolist())
    evaluations = sorted((e.step, e.loss_value) for e in run.evaluations if e.loss_value is not None)
    yield "loss/evaluation", iter(evaluations)
    try:
        rates = run.table(LEARNING_RATE)
    except NotEnoughEvidence:
        return
    for o in run.optimizers:
        column = rates.column(o.index)
        there = column.values != NOT_THERE
        name = o.type if len(run.optimizers) == 1 else f"{o.type}_{o.index}"
        yield f"learning_rate/{name}", zip(column.steps[there].tolist(), column.values[there].tolist())


def _clock(run: Run, started: float, running: bool) -> Callable[[int], float]:
    """When a step was, in seconds since 1970: now, or by its place between start and end; more is not recorded."""
    if running:
        now = time.time()
        return lambda step: now
    per_step = run.info.seconds / max(1, run.info.steps or run.info.backwards)
    return lambda step: started + step * per_step


def _epoch(started: str) -> float:
    try:
        return datetime.datetime.fromisoformat(started).timestamp()
    except ValueError:
        return 0.0
