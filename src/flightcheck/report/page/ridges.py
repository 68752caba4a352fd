"""Histograms over time: of each layer how its weight, its gradient and its output are spread, step below step."""

from __future__ import annotations

import base64
import zlib
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from flightcheck.frozen import frozen
from flightcheck.recording.distributions import QUANTILES, Floats, spreads
from flightcheck.recording.run import Run
from flightcheck.recording.signals import GRADIENT_SPREAD, OUTPUT_SPREAD, WEIGHT_SPREAD, Signal
from flightcheck.report.page.marks import Mark
from flightcheck.report.page.markup import Child, Html, count, element, number, shortened, table, theirs
from flightcheck.report.page.series import thinned

MOST_STEPS: Final = 20
"""Ridges of one chart: more lie upon each other."""
MOST_LAYERS: Final = 64
MOST_TABLE_ROWS: Final = 60
KINDS: Final = (("Weight", WEIGHT_SPREAD), ("Gradient", GRADIENT_SPREAD), ("Output", OUTPUT_SPREAD))
_EARLY, _MIDDLE, _LATE = QUANTILES // 16, QUANTILES // 2, QUANTILES - 1 - QUANTILES // 16


@frozen
class Layer:
    """One choice of the chart."""

    label: str
    module: int
    places: dict[str, int]
    """Name of a kind → index of the parameter or module under which it was recorded."""


@frozen
class Ridges:
    """All that was recorded of spreads."""

    layers: list[Layer]
    left_out: int
    kinds: dict[str, list[tuple[int, dict[int, Floats]]]]
    """Name of a kind → the chosen steps, each with the quantiles of layers."""


def ridges(run: Run, marked: list[Mark]) -> Ridges | None:
    """Collect the spreads; of very many layers those that findings name, and an even choice of the rest."""
    kinds = {name: _chosen(run, signal) for name, signal in KINDS}
    seen = {name: {i for _, layers in found for i in layers} for name, found in kinds.items()}
    layers = _layers(run, seen)
    if not layers:
        return None
    named = {m for mark in marked for m in mark.modules}
    first = [x for x in layers if x.module in named][:MOST_LAYERS]
    others = [x for x in layers if x.module not in named]
    room = MOST_LAYERS - len(first)
    even = thinned(len(others), room).tolist() if others and room > 0 else []
    kept = {id(x) for x in first} | {id(others[i]) for i in even}
    chosen = [x for x in layers if id(x) in kept]
    return Ridges(chosen, len(layers) - len(chosen), kinds)


def _chosen(run: Run, signal: Signal) -> list[tuple[int, dict[int, Floats]]]:
    found = spreads(run, signal)
    return [found[int(i)] for i in thinned(len(found), MOST_STEPS)] if found else []


def _layers(run: Run, seen: dict[str, set[int]]) -> list[Layer]:
    by_module: dict[int, list[int]] = {}
    for held in run.parameters:
        if held.index in seen["Weight"] | seen["Gradient"]:
            by_module.setdefault(held.module, []).append(held.index)
    names = {p.index: p.name for p in run.parameters}
    found = []
    for m in sorted(run.modules, key=lambda m: (m.root, m.order < 0, m.order, m.index)):
        weights: list[int | None] = [*by_module.get(m.index, [])] or [None]
        for k, p in enumerate(weights):
            places = {kind: p for kind in ("Weight", "Gradient") if p is not None and p in seen[kind]}
            if k == 0 and m.index in seen["Output"]:
                places["Output"] = m.index
            if places:
                found.append(Layer(names[p] if p is not None and len(weights) > 1 else m.path, m.index, places))
    return found


def ridge_data(found: Ridges | None) -> dict[str, Any] | None:
    """For the page: plain JSON values. Numbers are packed in 16 bits, as the upper half of a float32."""
    if found is None:
        return None
    return {
        "layers": [
            {"label": shortened(x.label, 120), "module": x.module, "kinds": len(x.places)} for x in found.layers
        ],
        "quantiles": QUANTILES,
        "kinds": [
            {"name": name, "steps": [s for s, _ in rows], "packed": _packed(found.layers, name, rows)}
            for name, rows in found.kinds.items()
            if rows
        ],
    }


def _packed(layers: list[Layer], kind: str, rows: list[tuple[int, dict[int, Floats]]]) -> str:
    values = np.full((len(layers), len(rows), QUANTILES), -np.inf, dtype=np.float32)  # -inf: not there
    for i, x in enumerate(layers):
        place = x.places.get(kind)
        for k, (_, quantiles) in enumerate(rows):
            if place is not None and place in quantiles:
                values[i, k] = quantiles[place]
    halves: npt.NDArray[Any] = values.view(np.uint32) >> 16
    return base64.b64encode(zlib.compress(halves.astype("<u2").tobytes(), 6)).decode("ascii")


def over_time_ridges(found: Ridges | None) -> list[Html]:
    """The chart's place, and its numbers as a table."""
    if found is None:
        return []
    more = f" {count(found.left_out, 'layer')} left out." if found.left_out else ""
    return [
        element("h3", "How values are spread"),
        element(
            "p",
            "One ridge for each of some steps, the first on top: where the values of a layer lie, drawn from 33 "
            "quantiles of about 1,000 of them. A bar is a single value that many have, such as the 0 of a ReLU." + more,
            class_="quiet",
        ),
        element("figure", class_="chart ridges", data_chart="ridges", hidden=True),
        element(
            "details",
            element("summary", "How values are spread, as numbers"),
            _table(found),
        ),
    ]


def _table(found: Ridges) -> Html:
    rows: list[list[Child]] = []
    for x in found.layers:
        for kind, place in x.places.items():
            there = [(s, q[place]) for s, q in found.kinds[kind] if place in q]
            cells: list[Child] = [element("code", theirs(shortened(x.label))), kind.lower()]
            for step, quantiles in (there[0], there[-1]):
                low, middle, high = (float(quantiles[i]) for i in (_EARLY, _MIDDLE, _LATE))
                cells += [f"{step:,}", number(low), number(middle), number(high)]
            rows.append(cells)
    head = ["Layer", "Of its", "First step", "6 %", "Median", "94 %", "Last step", "6 %", "Median", "94 %"]
    caption = "Below the first number lie 6 % of the values, below the last 94 %"
    return table(head, rows[:MOST_TABLE_ROWS], caption=caption)
