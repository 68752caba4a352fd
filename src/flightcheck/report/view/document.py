"""The page of views as a whole: one file, the film of the network first."""

from __future__ import annotations

from typing import Final

import numpy as np

from flightcheck.report.json import relative
from flightcheck.report.page.markup import Html, count, element, joined, number, theirs
from flightcheck.report.page.self_contained import footer, head, scripted
from flightcheck.report.view import sections
from flightcheck.report.view.charts import embedding, gradient_flow
from flightcheck.report.view.examples import caption, example
from flightcheck.report.view.graph import graph_data
from flightcheck.report.view.terminal import name_of
from flightcheck.views.frames import Views

SCRIPTS: Final = ("vendor.min.js", "arrows.js", "film.js")
"""In the order in which they run."""
STYLES: Final = ("page.css", "view.css")


def page(views: Views, source: str = "") -> str:
    """The views as one HTML document; `source` names the script, where there is one."""
    parts = [
        ("film", "The network at work", _film(views)),
        ("gradients", "Gradient flow", gradient_flow(views)),
        ("layers", "Layers", sections.layer_table(views)),
        ("filters", "Filters", sections.filters(views)),
        ("maps", "Feature maps", sections.feature_maps(views)),
        ("attention", "Attention", sections.attention(views)),
        ("attribution", "What the answer rests on", sections.attributions(views)),
        ("top", "Examples that excite units most", sections.top_examples(views)),
        ("embedding", "Embedding", embedding(views)),
        ("notes", "Notes", _notes(views)),
    ]
    links = [element("li", element("a", title, href=f"#{address}")) for address, title, made in parts if made]
    steps = [s.step for s in views.snapshots]
    when = f"after {steps[0]} to {count(steps[-1], 'step')}" if len(steps) > 1 else ""
    facts = [theirs(views.name, 80), *([theirs(relative(source), 200)] if source else []), *([when] if when else [])]
    banner = [part for i, f in enumerate(facts) for part in ((" · ", f) if i else (f,))]
    return "<!doctype html>\n" + element(
        "html",
        head(f"{views.name} · views · Flightcheck", SCRIPTS, STYLES),
        element(
            "body",
            element("a", "To the network", href="#film", class_="skip"),
            element(
                "header", element("span", "Flightcheck", class_="brand"), element("span", *banner), class_="banner"
            ),
            element(
                "main",
                element("h1", "Inside the network", class_="verdict alone"),
                element("p", _title(views, source, len(steps)), class_="summary"),
                element("nav", element("ul", *links), aria_label="Parts of the page", class_="contents"),
                *(made for _, _, made in parts),
            ),
            element("footer", footer()),
            scripted(graph_data(views), SCRIPTS),
        ),
        lang="en",
    )


def _title(views: Views, source: str, snapshots: int) -> Html:
    """One sentence: what is shown here, of what, and when."""
    model = [theirs(views.name, 80), *([" of ", theirs(relative(source), 200)] if source else [])]
    when = f" at {snapshots} points of its training" if snapshots > 1 else ""
    what = (
        f": what each layer answers, learns and looks at, for {count(len(views.input), 'example')} of one batch{when}."
    )
    return joined([*model, what])


def _film(views: Views) -> Html:
    """The chosen example, what the model answers to it, and the place of the graph."""
    last = views.last.scores
    answer = ""
    if last is not None and len(last):
        best = int(np.argmax(np.nan_to_num(last, nan=-np.inf)))
        answer = (
            f"answers {number(float(last[0]))}"
            if len(last) == 1
            else f"best score: {best} ({number(float(last[best]))})"
        )
    steps = [s.step for s in views.snapshots]
    scrub = element(
        "div",
        element("button", "Play", type="button", id="play"),
        element(
            "input", type="range", id="step", min=0, max=len(steps) - 1, value=len(steps) - 1, step=1,
            aria_label="Snapshot",
        ),
        element("output", f"step {steps[-1]}", id="at", for_="step"),
        class_="scrub",
    )  # fmt: skip
    chosen = element(
        "figure",
        example(views, views.example, 120),
        element("figcaption", caption(views, views.example), element("br"), element("span", answer, id="answer")),
        class_="shown",
    )
    told = "Arrows follow the data: which layer's values reach which." + (
        " Move through the steps of the training with the slider." if len(steps) > 1 else ""
    )
    return element(
        "section",
        element("h2", "The network at work", id="film"),
        element(
            "p",
            f"What each layer answers to one example, in evaluation mode. {told} "
            "Colours keep their meaning over all steps.",
            class_="quiet",
        ),
        element(
            "div",
            element("div", chosen, scrub if len(steps) > 1 else None, class_="lead"),
            element(
                "div",
                element("div", id="graph", class_="graph"),
                element(
                    "div", element("p", "Choose a layer.", class_="quiet"), id="layer", class_="module", role="status"
                ),
                class_="network",
            ),
            hidden=True,
            data_film=True,
        ),
        element("p", "The drawing needs JavaScript; all its pictures at the last step are in the table of layers.",
                class_="quiet", id="still"),
    )  # fmt: skip


def _notes(views: Views) -> Html:
    steps = [s.step for s in views.snapshots]
    facts = [
        f"{count(len(views.input), 'example')} of one batch; snapshots after {', '.join(map(str, steps))} steps.",
        f"Looking took {views.seconds:.1f} s, on copies of the model; the model itself was not touched.",
        *views.notes,
    ]
    several = [name_of(x) for x in views.structure.layers if x.calls > 1]
    if several:
        facts.append(f"Called several times, of which the first is drawn: {', '.join(several[:12])}.")
    return element(
        "section", element("h2", "Notes", id="notes"), element("ul", *(element("li", theirs(f, 400)) for f in facts))
    )
