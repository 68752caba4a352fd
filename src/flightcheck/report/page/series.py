"""What the charts draw: curves over steps, and tables of layer × step, packed."""

from __future__ import annotations

import base64
import math
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from flightcheck.frozen import frozen
from flightcheck.recording.records import ModuleInfo
from flightcheck.recording.run import NotEnoughEvidence, Run
from flightcheck.recording.signals import (
    ACTIVATION_DEAD,
    ACTIVATION_RMS,
    ACTIVATION_SATURATED,
    GRAD_NORM,
    LEARNING_RATE,
    LOSS,
    NOT_THERE,
    UPDATE_NORM,
    WEIGHT_NORM,
    Signal,
)
from flightcheck.recording.tables import Table

Array = npt.NDArray[np.float64]
MOST_COLUMNS: Final = 1000
"""Sampled steps in a map: more are narrower than a pixel. Of a longer run evenly chosen ones are kept."""
MOST_ROWS: Final = 2000
MISSING, ZERO, NAN, INFINITE, FIRST = 0, 1, 2, 3, 10
"""Codes of a cell; from `FIRST` on it is a number."""
PER_DECADE: Final = 100
"""Levels in a factor of ten: a cell is known to 1.2 %."""
LOWEST_DECADE: Final = -45
"""The exponent at which levels begin: below the smallest float32."""
PER_SHARE: Final = 1000


@frozen
class Quantity:
    """What a heat map shows."""

    name: str
    title: str
    kind: Literal["scale", "ratio", "share"]
    help: str


GRADIENT: Final = Quantity(
    "gradient", "Gradient norm", "scale",
    "A layer that fades to the dark end learns nothing; one that grows is about to blow up.",
)  # fmt: skip
RATIO: Final = Quantity(
    "ratio", "Update / weight", "ratio",
    "How far one step moves the weights, relative to their size. Near 0.001 is usual; blue layers hardly move "
    "(0.00001 and less), red ones are thrown about (0.1 and more).",
)  # fmt: skip
ACTIVATION: Final = Quantity(
    "activation", "Activation scale", "scale",
    "The root mean square of each layer's output. Steady from top to bottom is healthy.",
)  # fmt: skip
DEAD: Final = Quantity(
    "dead", "Dead units", "share", "The share of units that fired for none of the last 1,000 examples."
)
SATURATED: Final = Quantity(
    "saturated", "Saturated outputs", "share",
    "The share of outputs where the activation is flat, so that no gradient passes.",
)  # fmt: skip
QUANTITIES: Final = (GRADIENT, RATIO, ACTIVATION, DEAD, SATURATED)


@frozen
class Map:
    """One heat map: rows are layers from the input to the output, columns are sampled steps."""

    quantity: Quantity
    labels: list[str]
    modules: list[int]
    """Index of each row's module, -1 if no called module holds it."""
    steps: npt.NDArray[np.int64]
    values: Array
    """NaN where `missing`, and where the number itself became NaN."""
    missing: npt.NDArray[np.bool_]

    @property
    def empty(self) -> bool:
        """A share that is exactly 0 wherever it was measured: nothing to look at."""
        return self.quantity.kind == "share" and not np.any(self.values[~self.missing])

    @property
    def reach(self) -> int:
        """For how many steps the last measurement stands: as many as lie at most between two of them."""
        return int(np.diff(self.steps).max()) if len(self.steps) > 1 else 1

    def thinned(self, columns: int | None) -> Map:
        """The same with at most so many columns, chosen evenly."""
        if columns is None or len(self.steps) <= columns:
            return self
        kept = thinned(len(self.steps), columns)
        return replace(self, steps=self.steps[kept], values=self.values[kept], missing=self.missing[kept])

    def data(self) -> dict[str, Any]:
        """For the page: plain JSON values."""
        levels = codes_of(self.values, self.missing, self.quantity.kind)
        packed = zlib.compress(levels.astype("<u2").T.tobytes(), 6)  # along a row: neighbours in time are alike
        return {
            "name": self.quantity.name,
            "title": self.quantity.title,
            "kind": self.quantity.kind,
            "labels": self.labels,
            "modules": self.modules,
            "steps": self.steps.tolist(),
            "until": int(self.steps[-1]) + self.reach if len(self.steps) else 0,
            "packed": base64.b64encode(packed).decode("ascii"),
        }


def codes_of(values: Array, missing: npt.NDArray[np.bool_], kind: str) -> npt.NDArray[np.uint16]:
    """Each value as a whole number: a code, or a level on a logarithmic scale (shares: a linear one)."""
    finite = np.isfinite(values) & ~missing
    magnitude = np.where(finite & (values != 0), np.abs(values), 1.0)
    if kind == "share":
        levels = np.clip(np.where(finite, values, 0.0), 0, 1) * PER_SHARE
    else:
        levels = (np.log10(magnitude) - LOWEST_DECADE) * PER_DECADE
    codes: npt.NDArray[np.uint16] = np.clip(np.rint(levels), 0, 60_000).astype(np.uint16) + np.uint16(FIRST)
    if kind != "share":
        codes[finite & (values == 0)] = ZERO
    codes[np.isnan(values)] = NAN
    codes[np.isinf(values)] = INFINITE
    codes[missing] = MISSING
    return codes


def from_input_to_output(modules: list[ModuleInfo]) -> list[ModuleInfo]:
    """Modules in the order in which the first step called them; a container stands before what it holds. What was not
    called itself stands right behind the layer that holds it and uses its weights; else at the end.
    """
    first: dict[tuple[int, str], int] = {}
    containers = set()
    for m in modules:
        path = m.path
        while m.order >= 0 and path:
            first[m.root, path] = min(m.order, first.get((m.root, path), m.order))
            path = path.rpartition(".")[0]
            containers.add((m.root, path))

    def place(m: ModuleInfo) -> tuple[int, float, int, int]:
        path = m.path
        while (m.root, path) not in first and "." in path:
            path = path.rpartition(".")[0]
        used = path == m.path or (m.root, path) not in containers
        return m.root, first.get((m.root, path), math.inf) if used else math.inf, m.path.count("."), m.index

    return sorted(modules, key=place)


def maps(run: Run, columns: int | None = MOST_COLUMNS) -> list[Map]:
    """All heat maps for which something was recorded, each with at most so many of the sampled steps."""
    modules = from_input_to_output(run.modules)
    made = [
        _by_layer(run, modules, GRADIENT, _gradients(run)),
        ratios(run),
        _by_module(run, modules, ACTIVATION, ACTIVATION_RMS),
        _by_module(run, modules, DEAD, ACTIVATION_DEAD),
        _by_module(run, modules, SATURATED, ACTIVATION_SATURATED),
    ]
    return [m.thinned(columns) for m in made if m is not None]


def ratios(run: Run) -> Map | None:
    """How far each step moved each layer's weights, relative to their size."""
    modules = from_input_to_output(run.modules)
    return _by_layer(run, modules, RATIO, _ratios(run))


_Layers = tuple[npt.NDArray[np.int64], Callable[[list[int]], Array]]
"""Sampled steps, and what gives the values of a layer's parameters together."""


def _table(run: Run, signal: Signal) -> Table | None:
    try:
        return run.table(signal)
    except NotEnoughEvidence:
        return None


def _together(table: Table, columns: list[int]) -> Array:
    """The norm over several parameters; NOT_THERE where none of them was there."""
    columns = [c for c in columns if c < table.values.shape[1]]
    if not columns:
        return np.full(len(table), NOT_THERE)
    values = table.values[:, columns]
    there = table.recorded[:, columns] & (values != NOT_THERE)
    with np.errstate(over="ignore"):
        total = np.sqrt(np.sum(np.where(there, values, 0.0) ** 2, axis=1))
    return np.where(there.any(axis=1), total, NOT_THERE)


def _gradients(run: Run) -> _Layers | None:
    table = _table(run, GRAD_NORM)
    return None if table is None else (table.steps, lambda parameters: _together(table, parameters))


def _ratios(run: Run) -> _Layers | None:
    updates, weights = _table(run, UPDATE_NORM), _table(run, WEIGHT_NORM)
    if updates is None or weights is None:
        return None
    # While a training goes on, how far the last step moved the weights is told by the next one.
    steps, of_updates, of_weights = np.intersect1d(updates.steps, weights.steps, True, return_indices=True)

    def ratio(parameters: list[int]) -> Array:
        moved, size = _together(updates, parameters)[of_updates], _together(weights, parameters)[of_weights]
        there = (moved != NOT_THERE) & (size != NOT_THERE) & (size != 0)
        return np.where(there, moved / np.where(there, size, 1.0), NOT_THERE)

    return steps, ratio


def _by_layer(run: Run, modules: list[ModuleInfo], quantity: Quantity, layers: _Layers | None) -> Map | None:
    """A map with one row for each module that owns parameters, and for each parameter that no module owns."""
    if layers is None:
        return None
    steps, values_of = layers
    owned: dict[int, list[int]] = {}
    for p in run.parameters:
        owned.setdefault(p.module, []).append(p.index)
    rows = [(m.path, m.index, owned[m.index]) for m in modules if m.index in owned]
    rows += [(p.name, -1, [p.index]) for p in run.parameters if p.module == -1]
    columns = [values_of(parameters) for _, _, parameters in rows[:MOST_ROWS]]
    if not columns:
        return None
    return _map(quantity, [r[:2] for r in rows[:MOST_ROWS]], steps, np.stack(columns, axis=1))


def _by_module(run: Run, modules: list[ModuleInfo], quantity: Quantity, signal: Signal) -> Map | None:
    """A map with one row for each module of which the signal was recorded at least once."""
    table = _table(run, signal)
    if table is None:
        return None
    values = np.where(table.recorded, table.values, NOT_THERE)
    seen = [m for m in modules if m.index < values.shape[1] and (values[:, m.index] != NOT_THERE).any()][:MOST_ROWS]
    if not seen:
        return None
    rows = [(m.path, m.index) for m in seen]
    return _map(quantity, rows, table.steps, values[:, [m.index for m in seen]])


def _map(quantity: Quantity, rows: list[tuple[str, int]], steps: npt.NDArray[np.int64], values: Array) -> Map | None:
    missing = values == NOT_THERE
    if missing.all():
        return None
    values = np.where(missing, np.nan, values)
    return Map(quantity, [r[0] for r in rows], [r[1] for r in rows], steps, values, missing)


def thinned(length: int, most: int) -> npt.NDArray[np.int64]:
    """Positions of evenly chosen samples, with the first and the last."""
    if length <= most:
        return np.arange(length)
    return np.unique(np.rint(np.linspace(0, length - 1, most)).astype(np.int64))


@frozen
class Curve:
    """One line of a chart."""

    name: str
    steps: list[int]
    values: list[float]


def loss_curve(run: Run) -> Curve | None:
    """The training loss over the sampled steps."""
    try:
        series = run.series(LOSS)
    except NotEnoughEvidence:
        return None
    return Curve("loss", series.steps.tolist(), series.values.tolist())


def evaluation_curve(run: Run) -> Curve | None:
    """The loss of each evaluation that computed one."""
    found = [(e.step, e.loss_value) for e in run.evaluations if e.loss_value is not None]
    return Curve("evaluation", [s for s, _ in found], [v for _, v in found]) if found else None


def own_curves(run: Run) -> list[tuple[Curve, bool]]:
    """The script's own numbers of which there are several, each with whether the script gave the steps itself.

    What only counts, such as the number of the epoch, is left out.
    """
    found = []
    for m in run.metrics:
        if m.signal not in run.frames or not len(run.frames[m.signal][0]):
            continue
        series = run.series(Signal(m.signal, "step", "", ""))
        curve = Curve(m.name, series.steps.tolist(), series.values.tolist())
        if len(set(curve.steps)) > 1 and not counts(curve):
            found.append((curve, m.own_steps))
    return found


def counts(curve: Curve) -> bool:
    """A counter: from each point to the next one up by one."""
    return bool(np.array_equal(np.diff(curve.values), np.ones(len(curve.values) - 1)))


def rate_curves(run: Run) -> list[Curve]:
    """The learning rate of each optimizer, where it changes."""
    table = _table(run, LEARNING_RATE)
    curves = []
    for o in run.optimizers if table is not None else ():
        assert table is not None
        column = table.column(o.index)
        if len(column):
            kept = _corners(column.values)
            curves.append(Curve(o.type, column.steps[kept].tolist(), column.values[kept].tolist()))
    return curves


def _corners(values: Array) -> npt.NDArray[np.int64]:
    """Positions that a line needs: not those between two equal neighbours."""
    same = (values[1:-1] == values[:-2]) & (values[1:-1] == values[2:])
    return np.flatnonzero(~np.concatenate([[False], same, [False]])) if len(values) > 2 else np.arange(len(values))
