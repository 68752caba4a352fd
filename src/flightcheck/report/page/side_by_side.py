"""What several runs have to draw: their curves upon each other, and one axis for each thing in which they differ."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import numpy as np

from flightcheck.frozen import frozen
from flightcheck.recording.outcomes import evaluation_losses
from flightcheck.recording.run import Run
from flightcheck.report.page.series import Curve, loss_curve, own_curves, rate_curves

MOST_POINTS: Final = 150
"""Of one run in one chart. More are narrower than a pixel, and noise hides what lies behind it."""
MOST_AXES: Final = 12
MOST_METRICS: Final = 4
LOG_RANGE: Final = 30
"""An axis of positive numbers is logarithmic where they span more than this factor, as in the charts of curves."""
DIFFERING: Final = ("value", "option", "seed")
OUTCOMES: Final = {
    "steps": "steps", "final_loss": "final loss", "evaluation_loss": "evaluation loss",
    "best_evaluation_loss": "best evaluation",
}  # fmt: skip
"""Of a run in the comparison's JSON: its name there, and in words."""


@frozen
class Overlay:
    """One chart with a line for each run that recorded the quantity."""

    title: str
    lines: dict[str, Curve]
    """By the letter of the run."""
    steps: bool = False
    """The value holds until the next one."""
    means: bool = False
    """Some point is the mean over several steps."""


@frozen
class Axis:
    """One upright axis: a number or a word for each run, None where the run has none."""

    name: str
    cells: list[float | str | None]
    outcome: bool = False

    @property
    def numeric(self) -> bool:
        """All that is known is numbers."""
        return all(not isinstance(c, str) for c in self.cells)

    @property
    def log(self) -> bool:
        """The numbers need a logarithmic scale."""
        known = [c for c in self.cells if isinstance(c, float)]
        return self.numeric and min(known) > 0 and max(known) / min(known) > LOG_RANGE


# -- curves ---------------------------------------------------------------------------------------------------------


def overlays(runs: Sequence[tuple[str, Run]]) -> list[Overlay]:
    """The charts: losses, the script's own numbers, learning rates. One that no run could fill is left out."""
    loss = {name: curve for name, run in runs if (curve := loss_curve(run)) is not None}
    evaluated = {name: _curve(name, found) for name, run in runs if (found := evaluation_losses(run))}
    rates = {name: curves[0] for name, run in runs if len(curves := rate_curves(run)) == 1}
    width = width_of_blocks(loss.values())
    rates = {n: _to_the_end(rates[n], run) for n, run in runs if n in rates}
    if len({(*c.steps, *c.values) for c in rates.values()}) < 2:
        rates = {}  # the same everywhere
    made = [
        Overlay("Training loss", {n: in_blocks(c, width) for n, c in loss.items()}, means=width > 1),
        Overlay("Evaluation loss", evaluated),
        *_own(runs),
        Overlay("Learning rate", rates, steps=True),
    ]
    return [o for o in made if o.lines]


def _curve(name: str, points: Sequence[tuple[int, float]]) -> Curve:
    return Curve(name, [s for s, _ in points], [v for _, v in points])


def _to_the_end(curve: Curve, run: Run) -> Curve:
    """Only the corners of a learning rate are kept: the last one holds until the training's end."""
    end = max(run.info.steps - 1, curve.steps[-1])
    return Curve(curve.name, [*curve.steps, end], [*curve.values, curve.values[-1]])


def _own(runs: Sequence[tuple[str, Run]]) -> Iterator[Overlay]:
    """The scripts' own numbers of which there are several under one name, in the order of the first run."""
    by_name: dict[str, dict[str, Curve]] = {}
    for letter, run in runs:
        for curve, _ in own_curves(run):
            by_name.setdefault(curve.name, {}).setdefault(letter, curve)
    for name, by in [(n, by) for n, by in by_name.items() if len(by) > 1][:MOST_METRICS]:
        width = width_of_blocks(by.values())
        yield Overlay(f"The script's {name}", {r: in_blocks(c, width) for r, c in by.items()}, means=width > 1)


def in_blocks(curve: Curve, width: int) -> Curve:
    """The means of blocks of so many steps, each at the step of its middle; one that holds something that is not finite
    is not finite. Runs that are compared have the same blocks, so that none looks noisier than another.
    """
    if width <= 1:
        return curve
    steps, values = np.array(curve.steps), np.array(curve.values)
    starts = np.flatnonzero(np.diff(steps // width, prepend=-1))
    blocks = list(zip(np.split(steps, starts[1:]), np.split(values, starts[1:])))
    return Curve(curve.name, [int(s[len(s) // 2]) for s, _ in blocks], [float(v.mean()) for _, v in blocks])


def width_of_blocks(curves: Iterable[Curve]) -> int:
    """Steps in a block, so that the longest curve has at most `MOST_POINTS`; 1 where all are short."""
    return max((math.ceil((c.steps[-1] + 1) / MOST_POINTS) for c in curves if len(c.steps) > MOST_POINTS), default=1)


# -- axes -----------------------------------------------------------------------------------------------------------


def axes(comparison: dict[str, Any]) -> list[Axis]:
    """What the runs differ in, those first that matter first, then how they went; none where all are alike.

    Args:
        comparison: the JSON values of a comparison.
    """
    differing = [d for d in comparison["differences"] if d["kind"] in DIFFERING and d["values"]]
    made = [_axis(d["name"], [_number_or_word(v) for v in d["values"]]) for d in differing]
    outcomes = [_axis(told, [_known(r[n]) for r in comparison["runs"]], True) for n, told in OUTCOMES.items()]
    outcomes = [a for a in outcomes if len({c for c in a.cells if c is not None}) > 1]
    outcomes = [a for i, a in enumerate(outcomes) if all(a.cells != b.cells for b in outcomes[:i])]  # the last is best
    return [*made[: MOST_AXES - len(outcomes)], *outcomes]


def _axis(name: str, cells: list[float | str | None], outcome: bool = False) -> Axis:
    """Where one of the values is a word all of them are."""
    if any(isinstance(c, str) for c in cells):
        cells = [f"{c:g}" if isinstance(c, float) else c for c in cells]
    return Axis(name, cells, outcome)


def _number_or_word(text: str) -> float | str | None:
    if text == "—":
        return None
    try:
        return _known(float(text))
    except ValueError:
        return text


def _known(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def deciding(found: Sequence[Axis]) -> Axis | None:
    """The outcome by which runs are coloured: a loss on data that was not trained on, where there is one."""
    losses = [a for a in found if a.outcome and a.name != OUTCOMES["steps"]]
    return losses[-1] if losses else None


# -- for the scripts of the page ------------------------------------------------------------------------------------


def drawn(
    letters: Sequence[str], overlaid: Sequence[Overlay], found: Sequence[Axis], many: bool
) -> dict[str, Any]:  # fmt: skip
    """The data of the page's charts as JSON values."""
    by = deciding(found)
    return {
        "steps": 1 + max((s for o in overlaid for c in o.lines.values() for s in c.steps), default=0),
        "marks": [],
        "runs": list(letters),
        "ranks": ranks(by.cells) if by is not None and many else None,
        "overlays": [
            {
                "title": o.title, "step": o.steps,
                "lines": {n: {"steps": c.steps, "values": list(map(_short, c.values))} for n, c in o.lines.items()},
            }
            for o in overlaid
        ],
        "axes": [{"name": a.name, "cells": a.cells, "numeric": a.numeric, "log": a.log} for a in found],
    }  # fmt: skip


def ranks(cells: Sequence[float | str | None]) -> list[float | None]:
    """Where each number stands among all, 0 the least, 1 the largest; equal ones share a place."""
    known = sorted({c for c in cells if isinstance(c, float)})
    span = max(1, len(known) - 1)
    return [known.index(c) / span if isinstance(c, float) else None for c in cells]


def _short(value: float) -> float | None:
    return float(f"{value:.5g}") if math.isfinite(value) else None
