"""How a training is doing at this moment, in one line."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import field
from typing import Any, Final

import numpy as np

from flightcheck.diagnosis.engine import Diagnosis
from flightcheck.frozen import frozen
from flightcheck.recording.run import NotEnoughEvidence, Run
from flightcheck.recording.signals import LOSS, UPDATE_NORM, WEIGHT_NORM
from flightcheck.report.json import relative
from flightcheck.report.page.markup import shortened
from flightcheck.report.page.series import ratios
from flightcheck.report.terminal import plain

BARS: Final = "▁▂▃▄▅▆▇█"
NOT_FINITE: Final = "!"
WIDTH: Final = 24
"""Characters of the loss curve."""
HEALTHY_RATIO: Final = 1e-3
"""Update over weight, around which trainings usually lie: the layer that is farthest from it is named."""
_LOOKS: Final = 32


@frozen
class Alarm:
    """A root cause, as far as the training has come."""

    code: str
    name: str
    place: str


@frozen
class Pulse:
    """What one line tells."""

    step: int = 0
    loss: float | None = None
    curve: list[float] = field(default_factory=list)
    """The loss over the whole training, means of `WIDTH` equal parts of the samples."""
    steps_per_second: float | None = None
    ratio: float | None = None
    """Update over weight of the layer where it lies farthest from the usual, at the last look."""
    ratio_layer: str = ""
    judged: bool = False
    """Checks have looked at it: only then is silence worth a word."""
    alarms: list[Alarm] = field(default_factory=list)

    def text(self, curve: bool = True) -> str:
        """The line, without control characters."""
        parts = [sparkline(self.curve)] if curve and self.curve else []
        parts.append(f"step {self.step:,}" if self.step else "waiting for the first step")
        if self.loss is not None:
            parts.append(f"loss {self.loss:.4g}")
        parts += [" ".join(filter(None, ("✗", a.code, a.name, a.place))) for a in self.alarms[:2]]
        if len(self.alarms) > 2:
            parts.append(f"+{len(self.alarms) - 2}")
        if self.judged and not self.alarms:
            parts.append("no alarm")
        if self.ratio is not None:
            parts.append(f"update/weight {self.ratio:.1e} in {shortened(self.ratio_layer, 30)}")
        if self.steps_per_second:
            parts.append(f"{self.steps_per_second:.3g} steps/s")
        return plain(" · ".join(parts)).replace("\n", " ")

    def html(self) -> str:
        """The line for a notebook."""
        return f"<pre style='margin:0;white-space:pre-wrap'>{html.escape(self.text())}</pre>"

    def data(self) -> dict[str, Any]:
        """As JSON values, for the page."""
        return {"text": self.text(curve=False), "step": self.step, "alarms": [a.code for a in self.alarms]}


def pulse_of(series: Run, known: Run | None, diagnosis: Diagnosis | None, steps_per_second: float | None) -> Pulse:
    """What can be told now.

    Args:
        series: a run whose series are new.
        known: the run whose records were read last, which name the layers.
        diagnosis: the last one.
        steps_per_second: as it was measured.
    """
    step, loss, curve = 0, None, []
    try:
        losses = series.series(LOSS)
    except NotEnoughEvidence:
        pass
    else:
        step, loss = int(losses.steps[-1]) + 1, float(losses.values[-1])
        curve = [float(np.mean(part)) for part in np.array_split(losses.values, min(WIDTH, len(losses)))]
    ratio, layer = _farthest(series, known) if known is not None else (None, "")
    alarms = (
        [] if diagnosis is None else [Alarm(f.code, f.info.name, _place(f.finding.location)) for f in diagnosis.roots]
    )
    step = step or series.info.steps
    judged = diagnosis is not None and bool(diagnosis.verdicts)
    return Pulse(step, loss, curve, steps_per_second, ratio, layer, judged, alarms)


def sparkline(values: Sequence[float]) -> str:
    """One character for each value, from the lowest to the highest of the finite ones."""
    finite = [v for v in values if math.isfinite(v)]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    room = (high - low) or 1.0
    return "".join(
        BARS[min(len(BARS) - 1, int((v - low) / room * len(BARS)))] if math.isfinite(v) else NOT_FINITE for v in values
    )


def _farthest(series: Run, known: Run) -> tuple[float | None, str]:
    frames = {}
    for signal in (UPDATE_NORM, WEIGHT_NORM):
        if signal.name in series.frames:
            steps, rows = series.frames[signal.name]
            frames[signal.name] = (steps[-_LOOKS:], rows[-_LOOKS:])
    last = ratios(Run(known.records, frames))
    if last is None:
        return None, ""
    row = np.where(last.missing[-1], 0.0, last.values[-1])
    lost = np.flatnonzero(~np.isfinite(row))
    if len(lost):
        return float(row[lost[0]]), last.labels[lost[0]]
    if not (row > 0).any():
        return None, ""
    distance = np.where(row > 0, np.abs(np.log(np.where(row > 0, row, 1.0) / HEALTHY_RATIO)), -1.0)
    worst = int(distance.argmax())
    return float(row[worst]), last.labels[worst]


def _place(location: Any) -> str:
    return "" if location is None else f"{relative(location.file)}:{location.line}"
