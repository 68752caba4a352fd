"""The report where a notebook shows a value: root causes with their line and fix, in markup that stands alone."""

from __future__ import annotations

import io
from typing import Final

from flightcheck.diagnosis.engine import DiagnosedFinding, Diagnosis
from flightcheck.frozen import frozen
from flightcheck.recording.run import Run
from flightcheck.report.console import SIGN, console_for
from flightcheck.report.course import quiet_words
from flightcheck.report.experiments import tried_in_words
from flightcheck.report.json import relative
from flightcheck.report.page.document import page
from flightcheck.report.page.markup import Html, element, prose, theirs
from flightcheck.report.terminal import nothing_trained, nothing_trained_sentence, print_report

_COLOR: Final = {"critical": "#b3261e", "error": "#b3261e", "warn": "#855300", "info": "#0a58a8"}
_WIDTH: Final = 100


@frozen
class Report:
    """What was found in a run. A notebook shows it; `str` is the text of the terminal, `page` the whole page."""

    run: Run
    diagnosis: Diagnosis

    def page(self) -> str:
        """The report as one HTML document, which `flightcheck show --html` writes, too."""
        return page(self.run, self.diagnosis)

    def __str__(self) -> str:
        text = io.StringIO()
        print_report(self.run, self.diagnosis, console_for(text, _WIDTH))
        return text.getvalue().rstrip("\n")

    __repr__ = __str__

    def _repr_html_(self) -> str:
        info = self.run.info
        loud = [f for f in self.diagnosis.findings if f.severity != "info" and f.explained_by is None]
        facts = f"{info.steps:,} steps, {info.evaluations:,} evaluations"
        if nothing_trained(self.run):
            facts = nothing_trained_sentence(self.run)
        elif not loud:
            good, result = quiet_words(self.run)
            facts = f"{'✓' if good else '?'} {result} in {facts}"
        return element("div", *(_finding(f, self) for f in loud), element("p", theirs(facts), style="margin:.3em 0"))


def _finding(f: DiagnosedFinding, report: Report) -> Html:
    finding, place = f.finding, f.finding.location
    where = f"{relative(place.file)}:{place.line}" if place is not None else finding.module
    explains = report.diagnosis.explains.get(f.code, [])
    parts = [
        element("strong", f"{SIGN[f.severity][0]} {f.code} {f.info.name}", style=f"color:{_COLOR[f.severity]}"),
        element("code", theirs(where, 200), style="margin-left:1em") if where else None,
        element("pre", theirs(place.code, 500), style="margin:.3em 0") if place is not None and place.code else None,
        element("div", theirs(finding.message, 2000)),
        element("div", element("b", "Fix: "), prose(finding.fix or f.info.fix)) if finding.fix or f.info.fix else None,
        element("div", element("b", "Tried: "), theirs(tried_in_words(f.tried, report.run), 500)) if f.tried else None,
        element("div", f"Explains {', '.join(explains)}.") if explains else None,
    ]
    style = f"border-left:4px solid {_COLOR[f.severity]};padding:.2em .8em;margin:.4em 0"
    return element("div", *parts, style=style)
