"""The parts of the page of views, each complete without JavaScript."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from flightcheck.report.page.markup import Html, count, element, number, shortened, table, theirs
from flightcheck.report.view.examples import caption, example, flat, token_strip
from flightcheck.report.view.pictures import Scale, as_colours, drawn, laid_out, picture, png_of_colours
from flightcheck.report.view.terminal import name_of, shape_of
from flightcheck.views import attribution
from flightcheck.views.activations import Cells
from flightcheck.views.frames import Views

_MOST_MAPS: Final = 24
_PIXELS: Final = 1_200_000
"""Of all feature maps together."""
_BESIDE: Final = 260


def _lying(sheet: Cells) -> Cells:
    """A tall sheet on its side: a row of the table stays low, and the picture wide enough to see."""
    return sheet.T if sheet.shape[0] > 1.5 * sheet.shape[1] else sheet


def layer_table(views: Views) -> Html:
    """Each called module in a row, with what it answers now."""
    rows = []
    for x in views.structure.layers:
        answer = views.last.activations.get(x.path)
        shown = drawn(_lying(laid_out(answer)), f"answer of {name_of(x)}", most=64) if answer is not None else None
        frozen = f"{x.parameters:,}" if x.parameters else ""
        rows.append(
            [theirs(name_of(x), 120), theirs(x.type, 60), shape_of(x), frozen, f"{x.macs:,}" if x.macs else "",
             x.receptive_field, str(x.calls) if x.calls > 1 else "", shown]
        )  # fmt: skip
    head = ["layer", "type", "output", "parameters", "MACs", "sees", "calls", "answer"]
    total = sum(x.parameters for x in views.structure.layers)
    return element(
        "section",
        element("h2", "Layers", id="layers"),
        element(
            "p",
            f"{count(len(views.structure.leaves()), 'layer')}, {total:,} parameters. N stands for the examples of the "
            "batch. MACs are multiplications with addition for one example; a container's are those of all in it. "
            "“Sees” is how many input positions one value depends on, by the sizes, strides and dilations before it.",
            class_="quiet",
        ),
        table(head, rows, caption="Modules in the order of their first calls", class_="layers"),
    )


def filters(views: Views) -> Html | None:
    """Kernels of the convolutions at the last snapshot."""
    if not views.last.filters:
        return None
    shown = []
    for path, cells in views.last.filters.items():
        says = f"{count(len(cells), 'kernel')} of {path}"
        if path in views.colours:
            colours = np.stack([as_colours(f) for f in views.colours[path]])
            shown.append(_figure(_colour_sheet(colours, says), path, f"{says}, over red, green and blue"))
        else:
            shown.append(_cells_figure(cells, path, f"{says}, the mean over their inputs"))
    return element(
        "section", element("h2", "Filters", id="filters"), element("div", *shown, class_="gallery")
    )  # fmt: skip


def _colour_sheet(colours: NDArray[np.uint8], says: str) -> Html:
    n, h, w, _ = colours.shape
    columns = int(np.ceil(np.sqrt(n)))
    rows = -(-n // columns)
    sheet = np.full((rows * (h + 1) - 1, columns * (w + 1) - 1, 3), 128, np.uint8)
    for i, one in enumerate(colours):
        y, x = divmod(i, columns)
        sheet[y * (h + 1) : y * (h + 1) + h, x * (w + 1) : x * (w + 1) + w] = one
    return picture(png_of_colours(sheet), (sheet.shape[0], sheet.shape[1]), says, _BESIDE)


def feature_maps(views: Views) -> Html | None:
    """What each channel answers to the chosen example."""
    maps = views.feature_maps
    if not maps:
        return None
    chosen = list(maps)
    if len(chosen) > _MOST_MAPS:
        chosen = [chosen[i] for i in np.linspace(0, len(chosen) - 1, _MOST_MAPS).round().astype(int)]
    room = _PIXELS // len(chosen)
    shown = []
    for path in chosen:
        cells = maps[path][: max(4, room // max(1, maps[path][0].size))]
        shown.append(_cells_figure(cells, path, f"{count(len(cells), 'channel')} of {path}"))
    left_out = f" {len(maps) - len(chosen)} layers between them are left out." if len(maps) > len(chosen) else ""
    return element(
        "section",
        element("h2", "Feature maps", id="maps"),
        element("p", f"What each channel answers to {caption(views, views.example)}.{left_out}", class_="quiet"),
        element("div", *shown, class_="gallery"),
    )


def attention(views: Views) -> Html | None:
    """Which position looks at which, head by head."""
    if not views.attention:
        return None
    shown = [
        _cells_figure(
            a.weights, a.path, f"{count(len(a.weights), 'head')} of {a.path}", f"{a.queries} positions look at {a.keys}"
        )
        for a in views.attention
    ]
    return element(
        "section",
        element("h2", "Attention", id="attention"),
        element(
            "p",
            "A row is a position that looks, a column one that it looks at; each row adds up to 1. One picture for "
            "each head, for the chosen example.",
            class_="quiet",
        ),
        element("div", *shown, class_="gallery"),
    )


def attributions(views: Views) -> Html:
    """What the answer rests on; where Captum is missing, how to get it."""
    body: list[Html] = []
    if not attribution.available():
        body.append(
            element(
                "p", "Saliency, integrated gradients, occlusion and Grad-CAM need Captum: ",
                element("code", attribution.HOW_TO_GET), "."
            )
        )  # fmt: skip
    elif not views.attributions:
        body.append(element("p", "None could be computed; see the notes.", class_="quiet"))
    else:
        one = views.input[views.example]
        figures = [_figure(example(views, views.example, _BESIDE), "", caption(views, views.example))]
        for a in views.attributions:
            scale = Scale.of(a.values)
            if one.dtype.kind != "f":
                shown = token_strip(a.values, one, scale.limit)
            else:
                shown = drawn(flat(a.values), f"{a.method} for score {a.target}", scale, _BESIDE)
            figures.append(_figure(shown, "", f"{a.method}, for score {a.target}"))
        body += [
            element(
                "p",
                "How much each part of the example counts for the best score. Red raises it, blue lowers "
                "it; saliency and Grad-CAM tell only how much.",
                class_="quiet",
            ),
            element("div", *figures, class_="gallery"),
        ]
    return element("section", element("h2", "What the answer rests on", id="attribution"), *body)


def top_examples(views: Views) -> Html | None:
    """The examples that excite units most."""
    if not views.top:
        return None
    blocks = []
    for layer in views.top:
        rows = [
            [f"unit {unit}", *(_valued(views, int(e), float(v)) for e, v in zip(examples, values))]
            for unit, examples, values in zip(layer.units, layer.examples, layer.values)
        ]
        head = ["", *(f"{i + 1}." for i in range(layer.examples.shape[1]))]
        blocks.append(
            element(
                "details",
                element("summary", theirs(layer.path, 120)),
                table(head, rows, caption=f"Units of {shortened(layer.path)} that differ most between examples"),
                open=layer is views.top[0],
            )
        )
    return element(
        "section",
        element("h2", "Examples that excite units most", id="top"),
        element(
            "p",
            f"Of {count(len(views.input), 'example')} of a batch, by the largest answer over all positions.",
            class_="quiet",
        ),
        *blocks,
    )


def _valued(views: Views, number_: int, value: float) -> Html:
    says = f"{caption(views, number_)}: {number(value)}"
    return element("figure", example(views, number_, 64), element("figcaption", says), class_="small")


def _cells_figure(cells: NDArray[Any], path: str, says: str, more: str = "") -> Html:
    scale = Scale.of(cells)
    sheet = laid_out(cells)
    told = f"{more + '; ' if more else ''}{scale.text()}"
    return _figure(drawn(sheet, says, scale, _BESIDE), path, told)


def _figure(shown: Html, path: str, says: str) -> Html:
    name: Iterable[Html] = [element("strong", theirs(path, 90)), element("br")] if path else []
    return element("figure", shown, element("figcaption", *name, says), class_="shown")
