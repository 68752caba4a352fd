"""What is wrong, where, and what to do: the root causes, then everything else that was found."""

from __future__ import annotations

import math
import re
from typing import Final

from flightcheck.checks.base import Severity
from flightcheck.diagnosis.engine import DiagnosedFinding, Diagnosis
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.run import Run
from flightcheck.report.experiments import left_out, metric_in_words, patch_in_words, tried_in_words
from flightcheck.report.page.excerpt import code_around, place
from flightcheck.report.page.markup import (
    Child,
    Html,
    count,
    documentation,
    element,
    joined,
    number,
    prose,
    shortened,
    table,
    theirs,
)

SIGN: Final[dict[Severity, str]] = {"critical": "✗", "error": "✗", "warn": "!", "info": "i"}
OTHERS: Final = "Other findings"
NOTES: Final = "Notes"
_EVIDENCE: Final = {
    "X": "an exact fact",
    "B": "a bound or an identity",
    "T": "a statistical test",
    "H": "a rule of thumb",
}


def title(f: DiagnosedFinding) -> str:
    """The name of the fault in words."""
    return re.sub(r"\bnon ", "non-", f.info.name.replace("-", " ")).capitalize()


def identifier(f: DiagnosedFinding, diagnosis: Diagnosis) -> str:
    """The finding's address within the page."""
    position = next(i for i, other in enumerate(diagnosis.findings) if other is f)
    return f"finding-{f.code}-{position}"


def root_causes(run: Run, diagnosis: Diagnosis) -> list[Html]:
    """One card for each root cause, the most likely first."""
    told: set[str] = set()
    cards = []
    for i, f in enumerate(diagnosis.roots):
        cards.append(_card(f, run, diagnosis, first=i == 0, told=f.code in told))
        told.add(f.code)
    return cards


def _card(f: DiagnosedFinding, run: Run, diagnosis: Diagnosis, *, first: bool, told: bool) -> Html:
    return element(
        "article",
        _head(f, "h2"),
        element("p", theirs(f.finding.message), class_="message"),
        element("div", element("div", *_where(f, run, "h3")), element("div", *_remedy(f, run, "h3")), class_="answer"),
        None if told else _explains(f, diagnosis),
        _more(f),
        id=identifier(f, diagnosis),
        class_=f"card {f.severity}" + (" first" if first else ""),
    )


def _head(f: DiagnosedFinding, tag: str) -> Html:
    where = f.finding.location
    return element(
        "header",
        element("span", SIGN[f.severity], class_=f"sign {f.severity}", aria_hidden="true"),
        element(
            tag,
            element("span", title(f), class_="name"),
            joined([" ", element("span", "at", class_="at"), " ", place(where)]) if where else None,
        ),
        element("p", element("code", f.code), f" {f.severity}", class_="tag"),
    )


def _where(f: DiagnosedFinding, run: Run, heading: str) -> list[Html | None]:
    finding = f.finding
    facts = [
        ("Line", place(finding.location)) if finding.location else None,
        ("In", theirs(finding.location.function, 60)) if finding.location and finding.location.function else None,
        ("Module", element("code", theirs(finding.module, 200))) if finding.module else None,
        ("Since", f"step {finding.onset_step:,}" if finding.onset_step else "before the first step"),
    ]
    listed = [joined([element("dt", k), element("dd", v)]) for k, v in filter(None, facts)]
    return [
        element(heading, "Where"),
        code_around(finding.location, run) if finding.location else None,
        element("dl", *listed, class_="facts"),
    ]


def _remedy(f: DiagnosedFinding, run: Run, heading: str) -> list[Html | None]:
    fix = f.finding.fix or f.info.fix
    tried = f.tried
    diff = _diff(tried.diff) if tried is not None and tried.diff and tried.status != "refuted" else None
    return [
        element(heading, "What to do"),
        element("p", prose(fix), class_="fix") if fix else None,
        diff,
        *(_trial(tried, run, f) if tried is not None else [_untried(run)]),
    ]


def _untried(run: Run) -> Html:
    why = "this was not tried in this run"
    if not run.experiments:
        why += ": 'flightcheck check' tries fixes, 'run' does not" if run.info.mode == "run" else ""
    return element("p", f"Not proved by an experiment: {why}.", class_="quiet")


def _diff(diff: str) -> Html:
    lines = []
    for line in diff.splitlines():
        kind = {"-": "del", "+": "ins"}.get(line[:1], "span")
        lines.append(element(kind, theirs(line), class_="line"))
    return element("pre", *lines, class_="diff", tabindex=0, aria_label="The change")


def _trial(e: Experiment, run: Run, f: DiagnosedFinding) -> list[Html | None]:
    """The experiment: what was changed, before and after, the interval, and the curves."""
    if e.status == "untested":
        change = theirs(patch_in_words(e.patch, run))
        why = joined([" (", theirs(e.reason, 300), ")"]) if e.reason else None
        return [element("p", element("strong", "Not tried: "), change, why, ".", class_="quiet")]
    head = element(
        "p",
        element("strong", "Tried: "),
        theirs(patch_in_words(e.patch, run)),
        " ",
        element("span", e.status, class_=f"pill {e.status}"),
    )
    if e.before is None or e.after is None:
        return [head, element("p", theirs(e.reason), class_="quiet") if e.reason else None]
    return [head, _before_after(e), *_curves(e, f"trial-{f.code}")]


def _before_after(e: Experiment) -> Html:
    metric, proved = metric_in_words(e.metric), e.status == "confirmed"  # colours only where something became better
    told = [
        element("span", metric, class_="metric"),
        " ",
        element("span", number(e.before), class_="before" if proved else None),
        " → ",
        element("span", number(e.after), class_="after" if proved else None),
        element("span", f" {_change(e)}", class_="metric"),
    ]
    details = f"{count(e.seeds, 'seed')} × {count(e.steps, 'step')}"
    if e.low is not None and e.high is not None:
        details += f"; better by {number(e.low)} to {number(e.high)} (95 % interval"
        details += f"; less than {number(e.margin)} would not count)" if e.margin else ")"
    if e.p is not None:
        details += f"; p = {number(e.p)}" if e.p >= 1e-4 else "; p < 0.0001"
    why = e.reason
    if e.status == "inconclusive" and not why and e.seeds_needed:
        why = f"{e.seeds_needed} seeds would decide it"
    return joined(
        [
            element("p", *told, class_="numbers"),
            element("p", details, ".", [" ", theirs(sentence(why))] if why else None, class_="quiet"),
        ]
    )


def _change(e: Experiment) -> str:
    """How much less or more of the metric that is, in percent of what it was; a small one is told as small."""
    if not e.before or e.after is None or not math.isfinite(share := (e.after - e.before) / abs(e.before)):
        return ""
    percent = f"{abs(share):.1%}" if abs(share) < 0.095 else f"{abs(share):.0%}"
    return f"({percent.replace('%', ' %')} {'less' if share < 0 else 'more'})" if abs(share) >= 5e-4 else "(no change)"


def sentence(text: str) -> str:
    """With a capital and a full stop."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def _curves(e: Experiment, name: str) -> list[Html | None]:
    if not e.controls or not e.patched:
        return []
    return [element("figure", class_="chart trial", data_chart="trial", data_name=name, hidden=True)]


def _explains(f: DiagnosedFinding, diagnosis: Diagnosis) -> Html | None:
    codes = diagnosis.explains.get(f.code, [])
    if not codes:
        return None
    links = []
    for code in codes:
        other = next(x for x in diagnosis.findings if x.code == code)
        name = f"{code} {title(other).lower()}"
        links.append(element("li", element("a", name, href=f"#{identifier(other, diagnosis)}")))
    return element(
        "div",
        element("h3", f"Explains {count(len(codes), 'more finding')}"),
        element("ul", *links, class_="links"),
        class_="explains",
    )


def _more(f: DiagnosedFinding) -> Html:
    evidence = [
        joined([element("dt", theirs(str(k).replace("_", " "))), element("dd", theirs(_short(v)))])
        for k, v in f.finding.evidence.items()
    ]
    return element(
        "details",
        element("summary", "Evidence and background"),
        element("dl", *evidence, class_="facts") if evidence else None,
        element("p", f"The check rests on {_EVIDENCE.get(f.info.evidence, f.info.evidence)}.", class_="quiet"),
        element("div", documentation(f.info.documentation), class_="documentation"),
        class_="more",
    )


def _short(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return shortened(number(value) if isinstance(value, float) else str(value), 300)


def other_findings(run: Run, diagnosis: Diagnosis) -> Html | None:
    """What is no root cause: symptoms, what is explained, notes; and what experiments refuted."""
    others = [f for f in diagnosis.findings if not f.root]
    loud = [f for f in others if f.severity != "info"]
    notes = [f for f in others if f.severity == "info"]
    if not others and not diagnosis.refuted:
        return None
    return element(
        "section",
        element("h2", OTHERS if loud else NOTES, id="findings"),
        *(_row(f, run, diagnosis) for f in loud),
        element("p", f"{count(len(notes), 'note')}: advice, not faults.", class_="quiet") if notes else None,
        *(_row(f, run, diagnosis) for f in notes),
        element("h3", "Suspected, and refuted by an experiment") if diagnosis.refuted else None,
        *(_refuted(f, run) for f in diagnosis.refuted),
    )


def _row(f: DiagnosedFinding, run: Run, diagnosis: Diagnosis) -> Html:
    """One line to read; the rest opens."""
    by = None
    if f.explained_by is not None:
        cause = next((x for x in diagnosis.findings if x.code == f.explained_by), None)
        target = f"#{identifier(cause, diagnosis)}" if cause else None
        by = element("p", "Explained by ", element("a", f.explained_by, href=target), ".", class_="quiet")
    return element(
        "article",
        _head(f, "h3"),
        element("p", theirs(f.finding.message), class_="message"),
        by,
        element(
            "details",
            element("summary", "Line, fix, and what was tried" if f.tried else "Line and fix"),
            element(
                "div", element("div", *_where(f, run, "h4")), element("div", *_remedy(f, run, "h4")), class_="answer"
            ),
            _more(f),
        ),
        id=identifier(f, diagnosis),
        class_=f"row {f.severity}",
    )


def _refuted(f: DiagnosedFinding, run: Run) -> Html:
    return element(
        "article",
        _head(f, "h3"),
        element("p", theirs(f.finding.message), class_="message"),
        element("p", "Tried: ", theirs(tried_in_words(f.tried, run))) if f.tried else None,
        class_="row refuted",
    )


def _outcome(e: Experiment) -> Html | str:
    """Proved and refuted fixes as such; of everything else what the numbers say, without the word of a verdict."""
    if e.low is not None and e.high is not None and e.status not in ("confirmed", "untested"):
        if e.high < -e.margin:
            return "worse, as it should be"
        if e.purpose == "fix" and e.status == "inconclusive":
            return "no clear difference" if e.low <= 0 else "better, but not by enough to count"
    return element("span", e.status, class_=f"pill {e.status}") if e.purpose == "fix" else "measured"


def experiments(run: Run) -> Html | None:
    """Everything that was tried, in the order in which it was."""
    if not run.experiments:
        return None
    rows: list[list[Child]] = [
        [
            theirs(patch_in_words(e.patch, run)),
            element("code", e.question),
            _outcome(e),
            metric_in_words(e.metric) or "–",
            f"{number(e.before)} → {number(e.after)}" if e.after is not None else "–",
            f"{number(e.low)} … {number(e.high)}" if e.low is not None else "–",
            f"{e.seeds} × {e.steps}" if e.seeds else "–",
            theirs(e.reason, 200) if e.reason else "–",
        ]
        for e in run.experiments
    ]
    head: list[Child] = [
        "Change",
        "For",
        "Outcome",
        "Metric",
        "Before → after",
        "Better by (95 %)",
        "Seeds × steps",
        "Reason",
    ]
    used = [i for i in range(len(head)) if any(row[i] != "–" for row in rows)]
    done = sum(e.status != "untested" for e in run.experiments)
    told = f"{count(done, 'experiment')} in {sum(e.seconds for e in run.experiments):.0f} s"
    told += f", {len(run.experiments) - done} not tried." if done < len(run.experiments) else "."
    return element(
        "section",
        element("h2", "What was tried", id="experiments"),
        element(
            "p",
            "The same training with one thing changed, beside itself without the change, from the same seeds: " + told,
        ),
        table([head[i] for i in used], [[row[i] for i in used] for row in rows], caption="Experiments", class_="tried"),
        *(element("p", theirs(late), class_="quiet") for late in left_out(run)),
    )
