"""The places of the charts, each with its numbers as a table: what is read without JavaScript, and aloud."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from flightcheck.diagnosis.engine import Diagnosis
from flightcheck.frozen import frozen
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.run import Run
from flightcheck.recording.tables import median
from flightcheck.report.course import Guess, constant_guess
from flightcheck.report.experiments import metric_in_words
from flightcheck.report.page.marks import Mark, marks
from flightcheck.report.page.markup import Child, Html, count, element, number, shortened, table, theirs
from flightcheck.report.page.network import Node, arrows_data, network_data
from flightcheck.report.page.ridges import Ridges, over_time_ridges, ridge_data, ridges
from flightcheck.report.page.series import (
    Curve,
    Map,
    evaluation_curve,
    loss_curve,
    maps,
    own_curves,
    rate_curves,
    thinned,
)

MOST_TABLE_ROWS: Final = 16
MOST_LAYER_ROWS: Final = 60
MOST_OWN: Final = 8
"""Charts of the script's own numbers."""


@frozen
class Charts:
    """What there is to draw of a run."""

    loss: Curve | None
    evaluation: Curve | None
    guess: Guess | None
    """What a constant guess would score."""
    own: list[tuple[Curve, bool]]
    """The script's own numbers; True where it gave the steps itself."""
    rates: list[Curve]
    maps: list[Map]
    marks: list[Mark]
    ridges: Ridges | None


def charts_of(run: Run, diagnosis: Diagnosis) -> Charts:
    """Collect everything that is drawn."""
    marked = marks(run, diagnosis)
    curves = loss_curve(run), evaluation_curve(run), constant_guess(run), own_curves(run)[:MOST_OWN], rate_curves(run)
    return Charts(*curves, maps(run), marked, ridges(run, marked))


def chart_data(charts: Charts, run: Run, diagnosis: Diagnosis, made: list[Node]) -> dict[str, Any]:
    """The data of all charts as JSON values."""
    return {
        "steps": run.info.steps or run.info.backwards,
        "loss": _curve(charts.loss),
        "evaluation": _curve(charts.evaluation),
        "guess": _number(charts.guess.value) if charts.guess else None,
        "own": [{**(_curve(c) or {}), "apart": apart} for c, apart in charts.own],
        "rates": [_curve(c) for c in charts.rates],
        "ridges": ridge_data(charts.ridges),
        "maps": [m.data() for m in charts.maps if not m.empty],
        "marks": [
            {"step": m.step, "code": m.code, "severity": m.severity, "root": m.root, "modules": m.modules}
            for m in charts.marks
        ],
        "trials": {f"trial-{f.code}": _trial(f.tried) for f in diagnosis.findings if f.tried and f.tried.controls},
        "modules": network_data(made),
        "arrows": arrows_data(run, made),
    }


def _curve(curve: Curve | None) -> dict[str, Any] | None:
    if curve is None:
        return None
    return {"name": curve.name, "steps": curve.steps, "values": [_number(v) for v in curve.values]}


def _trial(e: Experiment) -> dict[str, Any]:
    return {
        "steps": e.steps,
        "metric": metric_in_words(e.metric),
        "control": [[_number(v) for v in line] for line in e.controls],
        "patched": [[_number(v) for v in line] for line in e.patched],
    }


def _number(value: float) -> float | None:
    """Five digits are more than a pixel; what is no number has no place in JSON."""
    return float(f"{value:.5g}") if math.isfinite(value) else None


def over_time(charts: Charts) -> Html | None:
    """Loss and learning rate over the steps."""
    if charts.loss is None:
        return None
    own = element("figure", class_="chart own", data_chart="own", hidden=True)
    return element(
        "section",
        element("h2", "Training over time", id="training"),
        element("h3", "Loss"),
        _loss_sentence(charts.loss),
        element("figure", class_="chart", data_chart="loss", hidden=True),
        *([element("h3", "The script's own numbers"), own, _own_numbers(charts.own)] if charts.own else []),
        *([element("h3", "Learning rate")] if charts.rates else []),
        *([element("figure", class_="chart", data_chart="rate", hidden=True)] if charts.rates else []),
        _numbers(charts),
    )


def _loss_sentence(loss: Curve) -> Html:
    finite = [(s, v) for s, v in zip(loss.steps, loss.values) if math.isfinite(v)]
    text = "No finite loss was seen."
    if finite:
        lowest = min(finite, key=lambda x: x[1])
        text = f"{number(finite[0][1])} at step {finite[0][0]:,}, {number(finite[-1][1])} at step {finite[-1][0]:,}; "
        text += f"lowest {number(lowest[1])} at step {lowest[0]:,}."
    broken = next((s for s, v in zip(loss.steps, loss.values) if not math.isfinite(v)), None)
    if broken is not None:
        text += f" Not finite for the first time at step {broken:,}."
    return element("p", text)


def _numbers(charts: Charts) -> Html:
    assert charts.loss is not None
    kept = thinned(len(charts.loss.steps), MOST_TABLE_ROWS)
    rates = [(c, np.array(c.steps)) for c in charts.rates]
    rows = []
    for i in kept.tolist():
        step = charts.loss.steps[i]
        cells: list[Child] = [f"{step:,}", number(charts.loss.values[i])]
        for curve, steps in rates:
            before = int(np.searchsorted(steps, step, side="right")) - 1
            cells.append(number(curve.values[max(before, 0)]))
        rows.append(cells)
    head: list[Child] = ["Step", "Loss", *(theirs(f"Learning rate of {c.name}", 60) for c in charts.rates)]
    return element(
        "details",
        element("summary", "Loss and learning rate as numbers"),
        table(head, rows, caption="Loss and learning rate at some steps", class_="numbers"),
    )


def _own_numbers(own: list[tuple[Curve, bool]]) -> Html:
    rows: list[list[Child]] = []
    for curve, _ in own:
        finite = [v for v in curve.values if math.isfinite(v)]
        told = [curve.values[0], min(finite, default=None), max(finite, default=None), curve.values[-1]]
        rows.append([theirs(shortened(curve.name)), *map(number, told), f"{curve.steps[-1]:,}", str(len(curve.steps))])
    head = ["Printed or logged", "First", "Lowest", "Highest", "Last", "At step", "Numbers"]
    return element(
        "details",
        element("summary", "The script's own numbers as a table"),
        table(head, rows, caption="The script's own numbers", class_="numbers"),
    )


def over_layers(charts: Charts) -> Html | None:
    """The heat maps."""
    if not charts.maps and charts.ridges is None:
        return None
    return element(
        "section",
        element("h2", "Layers over time", id="layers"),
        element(
            "p",
            "Rows are layers in the order in which the first step called them, the input's side on top, a container ",
            "before what it holds; the horizontal axis is the step, as above. Where the ground is grey, nothing was ",
            "measured. With the arrow keys or the pointer each cell tells its number.",
            class_="quiet",
        ),
        *(_map(m) for m in charts.maps if not m.empty),
        *(_nothing_in(m) for m in charts.maps if m.empty),
        *over_time_ridges(charts.ridges),
    )


def _nothing_in(m: Map) -> Html:
    there = f"in any of {count(len(m.labels), 'layer')} at {count(len(m.steps), 'measured step')}"
    return element("p", element("strong", m.quantity.title), f": none, {there}.", class_="quiet")


def _map(m: Map) -> Html:
    return element(
        "div",
        element("h3", m.quantity.title),
        element("p", m.quantity.help, class_="quiet"),
        element("figure", class_="chart map", data_chart="map", data_name=m.quantity.name, hidden=True),
        element(
            "details",
            element("summary", f"{m.quantity.title} as numbers"),
            _layer_table(m),
        ),
        class_="layer-map",
    )


def _layer_table(m: Map) -> Html:
    rows = []
    for column in _most_telling(m):
        there = ~m.missing[:, column]
        values = m.values[there, column]
        finite = values[np.isfinite(values)]
        cells: list[Child] = [element("code", theirs(shortened(m.labels[column])))]
        if len(finite):
            told = [finite[0], median(finite), finite[-1], finite.min(), finite.max()]
            cells += [f"{v:.1%}" if m.quantity.kind == "share" else number(float(v)) for v in told]
        else:
            cells += ["–"] * 5
        cells.append(str(len(values) - len(finite)) if len(values) > len(finite) else "")
        rows.append(cells)
    head = ["Layer", "First", "Median", "Last", "Lowest", "Highest", "Not finite"]
    more = len(m.labels) - len(rows)
    caption = f"{m.quantity.title} by layer, {count(len(m.steps), 'sampled step')}"
    return table(head, rows, caption=f"{caption}; {count(more, 'layer')} left out" if more else caption)


def _most_telling(m: Map) -> list[int]:
    """All layers, or of very many an even choice."""
    return [int(i) for i in thinned(len(m.labels), MOST_LAYER_ROWS)]
