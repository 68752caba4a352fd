"""Two drawings without a script: gradient flow as bars, the embedding as points."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from flightcheck.report.page.markup import Html, count, element, number, table, theirs
from flightcheck.report.view.examples import caption
from flightcheck.report.view.terminal import name_of
from flightcheck.views.frames import Views

_DECADES: Final = 8
"""Of the scale of gradients, below the largest."""
_HUES: Final = (
    "#4477aa",
    "#ee6677",
    "#228833",
    "#ccbb44",
    "#66ccee",
    "#aa3377",
    "#ee8866",
    "#44bb99",
    "#bbcc33",
    "#777777",
)
"""Of labels: Paul Tol's bright and light schemes, which people who are blind to red or green can tell apart."""


def gradient_flow(views: Views) -> Html | None:
    """How large the gradient is at each layer, as bars with a logarithmic scale."""
    last = views.last
    if not last.gradients:
        return None
    layers = [x for x in views.structure.leaves() if x.path in last.gradients]
    largest = max([g for g in last.gradients.values() if np.isfinite(g)], default=0.0)
    largest_own = max([g for g in last.trained.values() if np.isfinite(g)], default=0.0)
    rows = [
        [
            theirs(name_of(x), 90),
            _bar(last.gradients[x.path], largest),
            *([_bar(last.trained.get(x.path), largest_own)] if last.trained else []),
        ]
        for x in layers
    ]
    head = [
        "layer",
        "of the best scores, at its output",
        *(["of the training's loss, in its parameters"] if last.trained else []),
    ]
    return element(
        "section",
        element("h2", "Gradient flow", id="gradients"),
        element(
            "p",
            "Root mean squares at the last snapshot, from input to output. A bar has a logarithmic scale "
            f"of {_DECADES} powers of ten below the largest; where bars shrink, little is learnt.",
            class_="quiet",
        ),
        table(head, rows, caption="Size of the gradient by layer", class_="flow"),
    )


def _bar(value: float | None, largest: float) -> Html | str:
    if value is None:
        return ""
    share = 0.0
    if value > 0 and largest > 0 and math.isfinite(value):
        share = max(0.0, 1 + math.log10(value / largest) / _DECADES)
    said = number(value) if math.isfinite(value) else "not finite"
    bar = element("i", class_="bar", style=f"width: {share * 9:.2f}rem", aria_hidden="true")
    return element("span", bar, f" {said}", class_="measured")


def embedding(views: Views) -> Html | None:
    """The examples in the plane of their first two principal components."""
    made = views.embedding
    if made is None:
        return None
    points = made.points[-1] / (np.abs(made.points).max() or 1.0)
    labels = sorted(set(views.labels.tolist())) if views.labels is not None else []
    hue = {label: _HUES[i % len(_HUES)] for i, label in enumerate(labels)}
    dots = []
    for i, (x, y) in enumerate(points):
        color = hue[int(views.labels[i])] if views.labels is not None else "var(--blue)"
        dots.append(
            element(
                "circle", element("title", caption(views, i)), cx=f"{x * 100:.2f}", cy=f"{-y * 100:.2f}", r="2.6",
                fill=color, stroke="var(--ink)" if i == views.example else "none", data_example=i,
            )
        )  # fmt: skip
    key = [element("span", f"label {label}", class_="key block", style=f"--key: {hue[label]}") for label in labels[:20]]
    return element(
        "section",
        element("h2", "Embedding", id="embedding"),
        element(
            "p",
            f"{count(len(points), 'example')} as {theirs_text(made.path)} gets them: two principal components "
            f"of {made.features} features, which hold {made.shares[0]:.0%} and {made.shares[1]:.0%} of the variance at "
            "the last snapshot. Earlier snapshots are drawn in the same plane.",
            class_="quiet",
        ),
        element(
            "figure",
            element(
                "svg",
                element("line", x1="-104", y1="0", x2="104", y2="0", class_="axis"),
                element("line", x1="0", y1="-104", x2="0", y2="104", class_="axis"),
                *dots,
                viewBox="-106 -106 212 212", role="img", aria_label="Examples by two principal components", id="points",
            ),
            element("figcaption", *key),
            class_="chart embedding",
        ),
    )  # fmt: skip


def theirs_text(path: str) -> str:
    """The path of a layer, shortened for a sentence."""
    return path if len(path) <= 60 else f"{path[:29]}…{path[-29:]}"
