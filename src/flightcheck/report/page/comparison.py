"""The page of a comparison: what differs first, then the runs' curves upon each other, then what was found in them.

It reads the comparison as JSON values (`flightcheck.comparison/1`), so that reports and tracking do not know each
other.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from flightcheck.recording.run import Run
from flightcheck.report.json import relative
from flightcheck.report.page.markup import Child, Html, count, element, joined, number, table, theirs
from flightcheck.report.page.self_contained import footer, head, scripted
from flightcheck.report.page.side_by_side import OUTCOMES, Axis, Overlay, axes, deciding, drawn, overlays

__all__ = ["comparison_page"]

SCRIPTS: Final = ("vendor.min.js", "draw.js", "compare.js", "page.js")
"""In the order in which they run."""
MOST_COLOURS: Final = 6
"""Runs that are told apart by colour; of more the colour tells how well each went."""
MOST_COLUMNS: Final = 6
"""Runs whose values stand side by side; of more each value is told with the runs that have it."""
MOST_LINES: Final = 60
MOST_ITEMS: Final = 6
"""Of a list that is not folded."""
_SIGNS: Final = {"+": "ins", "-": "del"}
_KINDS: Final = {
    "data": "Data", "code": "Code", "package": "Package", "value": "In effect", "option": "Option",
    "arithmetic": "Computed with", "seed": "Seed", "unlikely": "Hardly matters",
}  # fmt: skip


def comparison_page(comparison: dict[str, Any], runs: Sequence[tuple[str, Run]]) -> str:
    """The comparison as one HTML document.

    Args:
        comparison: its JSON values; the runs are named as in `runs`.
        runs: letter and run, the first being the one that the others are held against.
    """
    letters = [name for name, _ in runs]
    charts, found = overlays(runs), axes(comparison)
    many = len(runs) > MOST_COLOURS
    courses, glance = _courses(comparison, charts, found, many), _at_a_glance(letters, found)
    parts = [
        _runs(comparison, runs),
        _differences(comparison, letters),
        *([glance, courses] if many else [courses, glance]),
        _findings(comparison, letters),
        _checks(comparison),
    ]
    title = f"{count(len(runs), 'run')} compared"
    return "<!doctype html>\n" + element(
        "html",
        head(f"{title} · Flightcheck", SCRIPTS, ["page.css"]),
        element(
            "body",
            element("a", "To what differs", href="#differences", class_="skip"),
            element("header", element("span", "Flightcheck", class_="brand"), class_="banner"),
            element("main", element("h1", title, class_="verdict alone"), *parts),
            element("footer", footer()),
            scripted(drawn(letters, charts, found, many), SCRIPTS),
        ),
        lang="en",
    )


def _section(address: str, title: str, *children: Child) -> Html:
    return element("section", element("h2", title, id=address), *children)


def _listed(title: str, items: Sequence[Html]) -> Html:
    """A list, folded where it is long."""
    listed = element("ul", *items, class_="quiet")
    if len(items) > MOST_ITEMS:
        return element("details", element("summary", f"{title}: {len(items)}"), listed)
    return joined([element("h3", title), listed])


def _runs(comparison: dict[str, Any], runs: Sequence[tuple[str, Run]]) -> Html:
    shown = [n for n in ("first_loss", *OUTCOMES) if any(c[n] is not None for c in comparison["runs"])]
    rows: list[list[Child]] = []
    for (letter, run), course in zip(runs, comparison["runs"], strict=True):
        cells = [f"{course[n]:,}" if n == "steps" else number(course[n]) for n in shown]
        rows.append([letter, theirs(course["id"], 60), theirs(run.info.command, 120), *cells, course["ended"]])
    head_: list[Child] = ["", "Run", "Command", *(OUTCOMES.get(n, n.replace("_", " ")) for n in shown), "Ended"]
    return element("section", table(head_, rows, caption="The runs; the others are held against the first"))


# -- what differs ---------------------------------------------------------------------------------------------------


def _differences(comparison: dict[str, Any], letters: Sequence[str]) -> Html:
    found = [d for d in comparison["differences"] if d["kind"] != "unlikely"]
    unlikely = [d for d in comparison["differences"] if d["kind"] == "unlikely"]
    told: list[Child] = [_difference(d, letters, first=d is found[0]) for d in found]
    if not comparison["differences"]:
        told.append(element("p", comparison["nothing_differs"]))
    elif not found:
        told.append(element("p", comparison["nothing_differs"].replace("was recorded", "could matter")))
    if unlikely:
        folded = [_difference(d, letters) for d in unlikely]
        told.append(element("details", element("summary", f"Hardly matters: {len(unlikely)}"), *folded))
    if comparison["same"]:
        told.append(element("p", f"The same: {', '.join(comparison['same'])}.", class_="quiet"))
    unknown = [element("li", theirs(f"{text}.", 400)) for text in comparison["unknown"]]
    if unknown:
        told.append(_listed("Not known", unknown))
    return _section("differences", "What differs, what could matter first", *told)


def _difference(d: dict[str, Any], letters: Sequence[str], first: bool = False) -> Html:
    name = [theirs(d["name"], 90)] if d["name"] else []
    heading = element("header", element("h3", *name), element("p", _KINDS[d["kind"]], class_="tag"))
    body: list[Child] = [element("p", theirs(d["sentence"], 400))] if d["sentence"] else []
    if d["values"]:
        body.append(_values(d["values"], letters))
    if d["lines"]:
        body.append(_lines(d["lines"]))
    return element("article", heading, *body, class_="row warn" if first else "row")


def _values(values: Sequence[str], letters: Sequence[str]) -> Html:
    """Few: run by run. Many: value by value, with the runs that have it."""
    if len(values) <= MOST_COLUMNS:
        cells = [[element("dt", letter), element("dd", theirs(v, 200))] for letter, v in zip(letters, values)]
        return element("dl", *cells, class_="facts")
    having: dict[str, list[str]] = {}
    for letter, value in zip(letters, values):
        having.setdefault(value, []).append(letter)
    cells = [[element("dt", theirs(v, 90)), element("dd", " ".join(names))] for v, names in having.items()]
    return element("dl", *cells, class_="facts")


def _lines(lines: Sequence[str]) -> Html:
    """Changed lines; each comes as its number, its sign and its text."""
    told = []
    for line in lines[:MOST_LINES]:
        found = re.fullmatch(r"(\d+) ([+-]) ?(.*)", line, re.DOTALL)
        tag, text = (_SIGNS[found[2]], f"{found[2]} {found[3]}") if found else ("span", line)
        told.append(element(tag, theirs(text, 300), class_="line"))
    more = len(lines) - MOST_LINES
    rest = element("p", f"… and {count(more, 'line')} more", class_="quiet") if more > 0 else None
    return joined([element("pre", *told, class_="diff"), rest])


# -- how they went --------------------------------------------------------------------------------------------------


def _courses(comparison: dict[str, Any], charts: Sequence[Overlay], found: Sequence[Axis], many: bool) -> Html:
    by = deciding(found)
    parts: list[Child] = []
    if many and by is not None and charts:
        parts.append(element("p", f"Colour: {by.name}, from blue (lowest) to amber (highest).", class_="quiet"))
    for i, chart in enumerate(charts):
        parts.append(element("h3", theirs(chart.title, 60)))
        if chart.means:
            parts.append(element("p", "A point is the mean over the steps around it.", class_="quiet"))
        missing = [c["name"] for c in comparison["runs"] if c["name"] not in chart.lines]
        if missing:
            parts.append(element("p", f"Not recorded in {' '.join(missing)}.", class_="quiet"))
        parts.append(element("figure", class_="chart", data_chart="overlay", data_place=i, hidden=True))
    partings = [element("li", p["sentence"]) for p in comparison["curves"]]
    parts.append(_listed("Where the losses part", partings))
    return _section("courses", "How they went", *parts)


def _at_a_glance(letters: Sequence[str], found: Sequence[Axis]) -> Html | None:
    """Parallel coordinates, and the same numbers as a table."""
    if len(letters) < 3 or len(found) < 2:
        return None
    rows = [[letter, *(_cell(a.cells[i]) for a in found)] for i, letter in enumerate(letters)]
    return _section(
        "glance",
        "All runs at a glance",
        element(
            "p",
            "One line for each run, one axis for each thing in which they differ; below it, who has no such value.",
            class_="quiet",
        ),
        element("figure", class_="chart", data_chart="parallel", hidden=True),
        table(["Run", *(theirs(a.name, 40) for a in found)], rows, caption="The same as a table", class_="runs"),
    )


def _cell(cell: float | str | None) -> Child:
    return theirs(cell, 60) if isinstance(cell, str) else number(cell)


# -- what was found -------------------------------------------------------------------------------------------------


def _findings(comparison: dict[str, Any], letters: Sequence[str]) -> Html:
    if not comparison["findings"]:
        return _section("findings", "Findings", element("p", "The same findings in all of them."))
    rows: list[list[Child]] = []
    for f in comparison["findings"]:
        here = [element("span", "✗", title=f["severity"]) if n in f["runs"] else "" for n in letters]
        what: Child = joined([element("code", f["code"]), f" {f['name']}"])
        told: Child = [
            theirs(f["message"], 300),
            *([" ", element("code", relative(f["location"]))] if f["location"] else []),
        ]
        rows.append([what, *(here if len(letters) <= MOST_COLUMNS else [" ".join(f["runs"])]), told])
    names = list(letters) if len(letters) <= MOST_COLUMNS else ["In"]
    listed = table(["Finding", *names, "What it says"], rows, caption="Findings that only some of them have")
    return _section("findings", "Findings", listed)


def _checks(comparison: dict[str, Any]) -> Html | None:
    """The checks that compare two runs, save those that were skipped; what T06 says of the data stands above."""
    told = []
    for c in comparison["checks"]:
        if c["code"] == "T06":
            continue
        said = c["messages"]
        if c["status"] in ("inconclusive", "error"):
            said = [f"{c['status']}: {c['reason']}"]
        told += [element("li", f"{c['code']} {c['name']} ({c['runs']}): ", theirs(text, 400)) for text in said]
    return _section("checks", "Does the difference mean something?", _listed("In words", told)) if told else None
