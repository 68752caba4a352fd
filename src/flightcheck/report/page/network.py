"""The modules of the network, each with its health: what was found there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from flightcheck.checks.base import SEVERITIES
from flightcheck.diagnosis.engine import DiagnosedFinding, Diagnosis
from flightcheck.frozen import frozen
from flightcheck.recording.records import ModuleInfo
from flightcheck.recording.run import Run
from flightcheck.report.page.arrows import Arrow, arrows, in_words
from flightcheck.report.page.excerpt import place
from flightcheck.report.page.findings import identifier, title
from flightcheck.report.page.marks import concerned
from flightcheck.report.page.markup import Html, count, element, joined, number, shortened, theirs
from flightcheck.report.page.series import QUANTITIES, Map

MOST_MODULES: Final = 3000
MOST_TAKERS: Final = 6
HEALTH: Final = {
    "critical": ("✗", "critical finding"),
    "error": ("✗", "faulty"),
    "warn": ("!", "warning"),
    "info": ("i", "note"),
    "quiet": ("✓", "nothing found"),
    "unseen": ("–", "not called"),
}


@dataclass
class Node:
    """A module as the page shows it."""

    module: ModuleInfo
    parent: int | None
    health: str
    findings: list[DiagnosedFinding] = field(default_factory=list)


def nodes(run: Run, diagnosis: Diagnosis) -> list[Node]:
    """All modules of the trained models, in the order of their first call."""
    found: dict[int, list[DiagnosedFinding]] = {}
    for f in diagnosis.findings:
        for index in concerned(run, f.finding):
            found.setdefault(index, []).append(f)
    by_path = {(m.root, m.path): m for m in run.modules}
    made = []
    for m in sorted(run.modules, key=lambda m: (m.root, m.order < 0, m.order, m.index))[:MOST_MODULES]:
        here = found.get(m.index, [])
        worst = max((f.severity for f in here), key=SEVERITIES.index, default=None)
        made.append(Node(m, _parent(m, by_path), worst or ("quiet" if m.order >= 0 else "unseen"), here))
    return made


def _parent(m: ModuleInfo, by_path: dict[tuple[int, str], ModuleInfo]) -> int | None:
    path = m.path
    while "." in path:
        path = path.rpartition(".")[0]
        above = by_path.get((m.root, path))
        if above is not None:
            return above.index
    return None


def network_data(made: list[Node]) -> list[dict[str, Any]]:
    """The modules as JSON values, for the drawing."""
    return [
        {
            "index": n.module.index,
            "parent": n.parent,
            "root": n.module.root,
            "name": shortened(n.module.path.rpartition(".")[2], 60),
            "path": shortened(n.module.path, 200),
            "type": shortened(n.module.type, 60),
            "leaf": n.module.leaf,
            "order": n.module.order,
            "health": n.health,
            "codes": list(dict.fromkeys(f.code for f in n.findings)),
        }
        for n in made
    ]


def arrows_data(run: Run, made: list[Node]) -> list[list[int]]:
    """The arrows as JSON values: from, to, and 1 where a value was seen to take this way."""
    return [[a.source, a.target, int(a.known)] for a in arrows(run, [n.module for n in made])]


def network(run: Run, diagnosis: Diagnosis, made: list[Node], charts: list[Map]) -> Html | None:
    """The graph's place, and the list of modules that stands there without JavaScript."""
    if not made:
        return None
    parameters: dict[int, int] = {}
    for p in run.parameters:
        parameters[p.module] = parameters.get(p.module, 0) + p.numel
    last = {m.quantity.name: _last(m) for m in charts}
    drawn = arrows(run, [n.module for n in made])
    feeds = _feeds(drawn, made)
    rows = [_module(n, parameters.get(n.module.index, 0), last, diagnosis, feeds) for n in made]
    more = len(run.modules) - len(made)
    return element(
        "section",
        element("h2", "The network", id="network"),
        element(
            "p",
            f"Each module with what was found there. {in_words(drawn)} Blocks that repeat are closed at first: choose "
            "one to open it. An arrow is left out where others lead the same way, as around a residual block.",
            class_="quiet",
        ),
        element(
            "div",
            element("div", id="graph", class_="graph"),
            element(
                "div", element("p", "Choose a module.", class_="quiet"), id="module", class_="module", role="status"
            ),
            class_="network",
            hidden=True,
            data_chart="network",
        ),
        element(
            "details",
            element("summary", f"{count(len(made), 'module')} as a list"),
            element("ul", *rows, class_="modules"),
            element("p", f"{count(more, 'further module')} left out.", class_="quiet") if more > 0 else None,
        ),
    )


def _feeds(drawn: list[Arrow], made: list[Node]) -> dict[int, list[str]]:
    """Of each module the paths of those that took its values, where that is known."""
    paths = {n.module.index: n.module.path for n in made}
    found: dict[int, list[str]] = {}
    for a in drawn:
        if a.known:
            found.setdefault(a.source, []).append(paths[a.target])
    return found


@frozen
class Last:
    """The last number of a module in a map."""

    value: float
    step: int
    over: bool
    """Later there was none, although it was looked for."""


def _last(m: Map) -> dict[int, Last]:
    """Of each module the last number in a map."""
    found = {}
    for column, index in enumerate(m.modules):
        there = np.flatnonzero(~m.missing[:, column])
        if index >= 0 and len(there):
            at = int(there[-1])
            found[index] = Last(float(m.values[at, column]), int(m.steps[at]), at < len(m.steps) - 1)
    return found


def _module(
    n: Node,
    parameters: int,
    last: dict[str, dict[int, Last]],
    diagnosis: Diagnosis,
    feeds: dict[int, list[str]],
) -> Html:
    m = n.module
    sign, word = HEALTH[n.health]
    facts: list[tuple[str, Html | str]] = [("Type", theirs(m.type, 200))]
    settings = ", ".join(f"{k}={v}" for k, v in m.settings.items())
    if settings:
        facts.append(("Settings", theirs(settings, 300)))
    if parameters:
        facts.append(("Parameters", f"{parameters:,}"))
    if m.location is not None:
        facts.append(("Constructed at", place(m.location)))
    takers = feeds.get(m.index, [])
    if takers:
        more = f" and {len(takers) - MOST_TAKERS} more" if len(takers) > MOST_TAKERS else ""
        named = [[", " if i else "", theirs(t, 60)] for i, t in enumerate(takers[:MOST_TAKERS])]
        facts.append(("Hands its values to", joined([*named, more])))
    for quantity in QUANTITIES:
        seen = last.get(quantity.name, {}).get(m.index)
        if seen is not None:
            said = f"{seen.value:.1%}" if quantity.kind == "share" else number(seen.value)
            since = ", none since" if seen.over else ""
            facts.append((quantity.title, f"{said} at step {seen.step:,}{since}"))
    links = [
        element("li", element("a", f"{f.code} {title(f).lower()}", href=f"#{identifier(f, diagnosis)}"))
        for f in n.findings
    ]
    return element(
        "li",
        element(
            "p",
            element("span", sign, class_=f"health {n.health}", aria_hidden="true"),
            " ",
            element("strong", theirs(m.path, 300)),
            element("span", f" {word}", class_="quiet"),
        ),
        element("ul", *links, class_="links") if links else None,
        element("dl", *(joined([element("dt", k), element("dd", v)]) for k, v in facts), class_="facts"),
        id=f"module-{m.index}",
    )
