"""The page as a whole: it opens on the diagnosis, and needs nothing beside itself."""

from __future__ import annotations

from typing import Any, Final

from flightcheck.diagnosis.engine import Diagnosis, explains_crash
from flightcheck.recording.run import Run
from flightcheck.report.cost import cost_in_words
from flightcheck.report.course import loss_sentence, own_numbers_sentence, quiet_words
from flightcheck.report.json import relative
from flightcheck.report.page.charts import Charts, chart_data, charts_of, over_layers, over_time
from flightcheck.report.page.checklist import checklist
from flightcheck.report.page.excerpt import place
from flightcheck.report.page.findings import NOTES, OTHERS, experiments, other_findings, root_causes, sentence, title
from flightcheck.report.page.machine import machine
from flightcheck.report.page.markup import Html, count, element, joined, theirs
from flightcheck.report.page.network import Node, network, nodes
from flightcheck.report.page.output import printed
from flightcheck.report.page.self_contained import footer, head, scripted
from flightcheck.report.terminal import nothing_trained, nothing_trained_sentence, observed
from flightcheck.version import version

__all__ = ["page"]

SCRIPTS: Final = ("vendor.min.js", "draw.js", "heatmap.js", "ridges.js", "arrows.js", "graph.js", "page.js")
"""In the order in which they run."""
_COURSE: Final = (loss_sentence, own_numbers_sentence)
LIVE_SCRIPT: Final = "live.js"
"""Only in a page that is served: it asks for what is new."""


def page(run: Run, diagnosis: Diagnosis, *, live: bool = False, views: str | None = None) -> str:
    """The report as one HTML document.

    Args:
        run: the watched run.
        diagnosis: its diagnosis.
        live: the page is served while the training goes on, and renews itself from where it came.
        views: name of a page beside this one that shows the inside of the network; None if there is none.
    """
    charts = charts_of(run, diagnosis)
    made = nodes(run, diagnosis)
    return "<!doctype html>\n" + element(
        "html",
        head(_title(run, diagnosis, live), _scripts(live), ["page.css"], live=live),
        element(
            "body",
            element("a", "To the diagnosis", href="#diagnosis", class_="skip"),
            _banner(run, views),
            _live_banner() if live else None,
            element("main", *_sections(run, diagnosis, charts, made, live)),
            element("footer", footer(live)),
            scripted(chart_data(charts, run, diagnosis, made), _scripts(live)),
        ),
        lang="en",
    )


def changing_part(run: Run, diagnosis: Diagnosis, *, live: bool) -> dict[str, Any]:
    """What a page that is open needs to show the run as it is now: JSON values."""
    charts = charts_of(run, diagnosis)
    made = nodes(run, diagnosis)
    return {
        "title": _title(run, diagnosis, live),
        "verdict": _verdict(run, diagnosis, live),
        "main": joined(_sections(run, diagnosis, charts, made, live)),
        "data": chart_data(charts, run, diagnosis, made),
    }


def _live_banner() -> Html:
    """What is told of this very moment, and, to screen readers only, what is new in the diagnosis."""
    return joined(
        [
            element("p", "Connecting …", id="live", class_="live"),
            element("p", id="live-news", class_="unseen", role="status"),
        ]
    )


def _sections(run: Run, diagnosis: Diagnosis, charts: Charts, made: list[Node], live: bool) -> list[Html | None]:
    parts = [
        other_findings(run, diagnosis),
        experiments(run),
        over_time(charts),
        over_layers(charts),
        network(run, diagnosis, made, charts.maps),
        printed(run),
        checklist(diagnosis),
        machine(run),
        _cost_and_coverage(run),
    ]
    return [_diagnosis(run, diagnosis, live), _contents(charts, run, diagnosis, bool(made)), *parts]


def _title(run: Run, diagnosis: Diagnosis, live: bool) -> str:
    first = diagnosis.roots[0] if diagnosis.roots else None
    verdict = title(first) if first is not None else _verdict(run, diagnosis, live)
    return f"{verdict} · {relative(run.info.script)[-80:]} · Flightcheck"


def _scripts(live: bool) -> tuple[str, ...]:
    return (*SCRIPTS, LIVE_SCRIPT) if live else SCRIPTS


def _banner(run: Run, views: str | None) -> Html:
    info = run.info
    facts = [
        theirs(info.command or info.script, 200),
        count(info.steps, "step") if info.steps else count(info.backwards, "backward") if info.backwards else "",
        info.started.replace("T", " ").replace("+00:00", " UTC"),
    ]
    return element(
        "header",
        element("span", "Flightcheck", class_="brand"),
        element("span", *_between([f for f in facts if f], " · "), class_="run"),
        element("a", "Inside the network", href=views) if views is not None else None,
        class_="banner",
    )


def _between(items: list[Html | str], sign: str) -> list[Html | str]:
    return [part for i, item in enumerate(items) for part in ((sign, item) if i else (item,))]


def _diagnosis(run: Run, diagnosis: Diagnosis, live: bool) -> Html:
    ended = _ending(run, diagnosis, live)
    return element(
        "section",
        element("h1", _verdict(run, diagnosis, live), class_=_look(run, diagnosis)),
        *ended,
        *root_causes(run, diagnosis),
        id="diagnosis",
    )


def _verdict(run: Run, diagnosis: Diagnosis, live: bool) -> str:
    if live and run.info.ended == "running":
        return _verdict_so_far(run, diagnosis)
    roots, loud = diagnosis.roots, [f for f in diagnosis.findings if f.severity != "info"]
    if len(roots) == 1:
        return "One root cause"
    if roots:
        return f"{count(len(roots), 'root cause')}, the most likely first"
    if nothing_trained(run):
        return "No training was seen"
    if loud:
        return "Findings, but no root cause"
    if any(v.status in ("pass", "fail") for v in diagnosis.verdicts):
        return sentence(quiet_words(run)[1].rstrip(",")).rstrip(".")
    return "Nothing could be decided"


def _verdict_so_far(run: Run, diagnosis: Diagnosis) -> str:
    if nothing_trained(run):
        return "Waiting for the first steps"
    if not diagnosis.verdicts:
        return "Looking at the first steps"
    said = _verdict(run, diagnosis, live=False)
    return f"{said} so far"


def _look(run: Run, diagnosis: Diagnosis) -> str:
    """The verdict is a small line over cards, and large where it stands alone."""
    if diagnosis.roots:
        return "verdict"
    quiet = not any(f.severity != "info" for f in diagnosis.findings)
    answered = any(v.status in ("pass", "fail") for v in diagnosis.verdicts)
    good = quiet and answered and quiet_words(run)[0]
    return "verdict alone good" if good else "verdict alone"


def _ending(run: Run, diagnosis: Diagnosis, live: bool) -> list[Html]:
    """How the script ended, where that is news; what is lost; and what a quiet report rests on."""
    info, told = run.info, []
    after = f"after {count(info.steps, 'step')}"
    if info.ended == "exception":
        cause = explains_crash(run, diagnosis)
        at: list[Html | str] = [" at ", place(info.error_location)] if info.error_location else []
        why = f" (explained by {cause.code} {cause.info.name})" if cause else ""
        error = theirs(" ".join(info.error.split())[:400].rstrip(".") or "an exception")
        told.append(joined(["The script ended with ", error, *at, f" {after}{why}."]))
    elif info.ended == "interrupted":
        told.append(joined([f"The script was interrupted {after}; this is what was seen until then."]))
    elif info.ended == "running" and not live:
        told.append(joined([f"The script has not ended, or was killed, {after}."]))
    elif info.ended == "exit" and info.exit_code:
        told.append(joined([f"The script exited with status {info.exit_code} {after}."]))
    if run.damage:
        lost = "; ".join(run.damage[:3]) + ("; …" if len(run.damage) > 3 else "")
        told.append(joined([f"The run file is damaged, what could be read is used (unreadable: {lost})."]))
    told = [element("p", t, class_="ending") for t in told]
    if live and info.ended == "running":
        so_far = f"The training goes on; this is what was seen until step {info.steps:,}."
        told.append(element("p", so_far if info.steps else "The training has not begun.", class_="summary"))
    elif nothing_trained(run):
        told.append(element("p", theirs(sentence(nothing_trained_sentence(run))), class_="summary"))
    elif not diagnosis.roots:
        told += _what_quiet_rests_on(run, diagnosis)
    return told


def _what_quiet_rests_on(run: Run, diagnosis: Diagnosis) -> list[Html]:
    """How the training went, how many checks answered, and which could not."""
    info = run.info
    course = [element("p", theirs(said), class_="course") for s in _COURSE if (said := s(run))]
    passed = sum(v.status == "pass" for v in diagnosis.verdicts)
    open_ = [v for v in diagnosis.verdicts if v.status == "inconclusive"]
    seen = f"{count(info.steps, 'step')} and {count(info.evaluations, 'evaluation')}"
    said = f"{count(passed, 'check')} passed, {len(open_)} could not decide, in {seen}."
    links: list[Html | str] = [element("a", v.info.name, href=f"#check-{v.info.code}") for v in open_]
    undecided = element("p", "Not decided: ", *_between(links, ", "), ".", class_="quiet") if open_ else None
    return [*course, element("p", said, class_="summary"), *([undecided] if undecided is not None else [])]


def _contents(charts: Charts, run: Run, diagnosis: Diagnosis, modules: bool) -> Html:
    others = [f for f in diagnosis.findings if not f.root]
    loud = any(f.severity != "info" for f in others)
    entries = [
        ("findings", OTHERS if loud else NOTES, bool(others or diagnosis.refuted)),
        ("experiments", "What was tried", bool(run.experiments)),
        ("training", "Training over time", charts.loss is not None),
        ("layers", "Layers over time", bool(charts.maps or charts.ridges)),
        ("network", "The network", modules),
        ("output", "What the script printed", bool(run.output)),
        ("checklist", "The checklist", True),
        ("machine", "Use of the machine", run.system_use is not None),
        ("cost", "Cost and coverage", True),
    ]
    links = [element("li", element("a", name, href=f"#{address}")) for address, name, there in entries if there]
    return element("nav", element("ul", *links), aria_label="Parts of the report", class_="contents")


def _cost_and_coverage(run: Run) -> Html:
    c, info = run.coverage, run.info
    facts: list[tuple[str, str | Html]] = []
    if c.modules:
        facts.append(("Observed", observed(run).removeprefix("observed ")))
        facts.append(("Measured in full", f"{count(c.sampled_steps, 'step')} of {c.steps:,}"))
    if cost := cost_in_words(info):
        told = cost if cost.startswith("unknown") else f"{cost} of the training's time at each step that was watched"
        told += "; the first steps, which are measured in full to learn it, are apart"
        facts += [("Cost of watching", told), ("Time", f"{info.seconds:.1f} s")]
    else:  # too short to tell what a step costs
        facts.append(("Time", f"{info.seconds:.1f} s, of which {info.watching_seconds:.1f} s in Flightcheck"))
    if run.experiments:
        facts.append(("Experiments", f"{sum(e.seconds for e in run.experiments):.0f} s"))
    facts.append(("Run", theirs(info.id)))
    facts.append(("With", theirs(", ".join(filter(None, (info.framework, f"Flightcheck {version()}"))))))
    listed = [joined([element("dt", k), element("dd", v)]) for k, v in facts]
    blind = [element("li", theirs(b, 500)) for b in c.blind]
    return element(
        "section",
        element("h2", "Cost and coverage", id="cost"),
        element("dl", *listed, class_="facts"),
        element("h3", "Not observed") if blind else None,
        element("ul", *blind) if blind else None,
    )
