"""The diagnosis in Markdown, for TensorBoard's page of texts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from flightcheck.diagnosis.engine import DiagnosedFinding, Diagnosis
from flightcheck.recording.run import Run
from flightcheck.report.experiments import tried_in_words
from flightcheck.report.json import relative
from flightcheck.report.terminal import nothing_trained, nothing_trained_sentence, plain

LONGEST: Final = 2000
_MARKUP: Final = re.compile(r"([\\`*_{}\[\]()#+\-.!>])")
_ENTITIES: Final = {"&": "&amp;", "<": "&lt;", "|": "&#124;"}


def literal(text: str) -> str:
    """A text of the user's program, so that Markdown shows it letter by letter."""
    shown = " ".join(plain(text)[:LONGEST].split())
    marked = _MARKUP.sub(r"\\\1", shown)
    return re.sub("[&<|]", lambda sign: _ENTITIES[sign[0]], marked)


def overview(run: Run, diagnosis: Diagnosis) -> str:
    """What was run, how it ended, and what was found."""
    info = run.info
    lines = [f"**{_verdict(run, diagnosis)}**", ""]
    if info.ended == "exception":
        lines += [f"The script ended with {literal(info.error)} after {info.steps:,} steps.", ""]
    for f in diagnosis.findings:
        if f.severity != "info":
            why = f" (explained by {f.explained_by})" if f.explained_by else ""
            lines.append(f"- {f.code} {f.info.name}{why}")
    lines += ["", f"Run {literal(info.id)}: {literal(info.command or info.script)}"]
    return "\n".join(lines)


def _verdict(run: Run, diagnosis: Diagnosis) -> str:
    if nothing_trained(run):
        return literal(nothing_trained_sentence(run))
    roots = len(diagnosis.roots)
    if roots:
        return "One root cause" if roots == 1 else f"{roots} root causes, the most likely first"
    return "Findings, but no root cause" if any(f.severity != "info" for f in diagnosis.findings) else "Nothing found"


def findings(run: Run, diagnosis: Diagnosis) -> Iterator[tuple[str, int, str]]:
    """Of each finding that is more than a note: its tag, the step at which it began, its text."""
    told: dict[str, int] = {}
    for f in diagnosis.findings:
        if f.severity == "info":
            continue
        told[f.code] = told.get(f.code, 0) + 1
        number = f"_{told[f.code]}" if told[f.code] > 1 else ""
        yield f"findings/{f.code}_{f.info.name}{number}", max(0, f.finding.onset_step), _finding(f, run)


def _finding(f: DiagnosedFinding, run: Run) -> str:
    finding, place = f.finding, f.finding.location
    root = ", root cause" if f.root else f", explained by {f.explained_by}" if f.explained_by else ""
    parts = [f"**{f.code} {f.info.name}** ({f.severity}{root})"]
    if place is not None:
        parts.append(
            f"{literal(relative(place.file))}:{place.line}" + (f": {literal(place.code)}" if place.code else "")
        )
    elif finding.module:
        parts.append(literal(finding.module))
    parts.append(literal(finding.message))
    if fix := finding.fix or f.info.fix:
        parts.append(f"Fix: {literal(fix)}")
    if f.tried is not None:
        parts.append(f"Tried: {literal(tried_in_words(f.tried, run))}")
    return "\n\n".join(parts)
