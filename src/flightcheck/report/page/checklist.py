"""The checklist, section by section: each check with its verdict and reason."""

from __future__ import annotations

from collections import Counter
from typing import Final

from flightcheck.checks.base import SECTIONS, Status, Verdict, effective_severity
from flightcheck.diagnosis.engine import Diagnosis
from flightcheck.report.page.findings import identifier
from flightcheck.report.page.markup import Child, Html, count, element, joined, prose, theirs

_WORD: Final[dict[Status, tuple[str, str]]] = {
    "fail": ("✗", "failed"),
    "pass": ("✓", "passed"),
    "inconclusive": ("?", "inconclusive"),
    "skipped": ("–", "skipped"),
    "error": ("!", "broke"),
}
_ORDER: Final[tuple[Status, ...]] = ("fail", "error", "inconclusive", "pass", "skipped")


def checklist(diagnosis: Diagnosis) -> Html:
    """All verdicts."""
    parts = []
    for letter, name in SECTIONS.items():
        verdicts = [v for v in diagnosis.verdicts if v.info.code[0] == letter]
        if verdicts:
            parts.append(_section(letter, name, verdicts, diagnosis))
    return element(
        "section",
        element("h2", "The checklist", id="checklist"),
        element(
            "p",
            "Inconclusive means that too little was seen to decide; skipped, that there is nothing to look at. ",
            "Neither is a pass.",
            class_="quiet",
        ),
        *parts,
    )


def _section(letter: str, name: str, verdicts: list[Verdict], diagnosis: Diagnosis) -> Html:
    looks = Counter(_look(v) for v in sorted(verdicts, key=lambda v: _ORDER.index(v.status)))
    tally = [element("span", f"{sign} {n} {word}", class_=f"tally {kind}") for (sign, word, kind), n in looks.items()]
    rows = [_row(v, diagnosis) for v in sorted(verdicts, key=lambda v: (_ORDER.index(v.status), v.info.code))]
    return element(
        "div",
        element("h3", name, " ", element("span", *tally, class_="tallies"), id=f"section-{letter}"),
        element("ul", *rows, class_="checks", aria_label=f"{name}: {count(len(verdicts), 'check')}"),
        class_="checks-section",
    )


def _look(v: Verdict) -> tuple[str, str, str]:
    """Sign, word and style; a check that failed with advice alone is noted."""
    if v.findings and all(effective_severity(v.info, f) == "info" for f in v.findings):
        return "i", "noted", "noted"
    return (*_WORD[v.status], v.status)


def _reason(v: Verdict) -> Html:
    """Why it stands so; a check that failed tells its fault, one that passed tells which fault was not seen."""
    if v.reason:
        return theirs(v.reason, 300)
    if v.status == "pass":
        return joined(["Not seen: ", prose(v.info.summary)])
    return prose(v.info.summary)


def _row(v: Verdict, diagnosis: Diagnosis) -> Html:
    sign, word, kind = _look(v)
    found = next((f for f in diagnosis.findings if f.code == v.info.code), None)
    name: Child = v.info.name
    if found is not None:
        name = element("a", v.info.name, href=f"#{identifier(found, diagnosis)}")
    return element(
        "li",
        element("span", sign, class_=f"status {kind}", aria_hidden="true"),
        element("code", v.info.code, class_="code"),
        element("span", name, class_="name"),
        element("span", word, class_=f"word {kind}"),
        element("span", _reason(v), class_="reason"),
        id=f"check-{v.info.code}",
    )
