"""In what recorded runs differ: first what could matter, then how they went, then what was found in them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import field
from typing import Any, Final

from flightcheck.checks.base import Verdict
from flightcheck.checks.registry import run_comparison_checks
from flightcheck.checks.tracking._data import differences, known_parts, why_unknown
from flightcheck.diagnosis.engine import Diagnosis
from flightcheck.frozen import frozen
from flightcheck.recording.outcomes import evaluation_losses, first_and_final
from flightcheck.recording.run import Run
from flightcheck.recording.sides import Sides
from flightcheck.recording.surroundings import Packages, SourceFile
from flightcheck.tracking.code_diff import code_differences
from flightcheck.tracking.curves import Parting, parting
from flightcheck.tracking.history import options_of
from flightcheck.tracking.values import Value, configuration, used_packages, values_in_effect

SCHEMA: Final = "flightcheck.comparison/1"
NOTHING: Final = "—"
_ENDED: Final = {
    "stopped": "was stopped",
    "interrupted": "was interrupted",
    "exception": "ended with an exception",
    "running": "had not ended",
    "exit": "exited",
}
_ORDER: Final = ("data", "code", "package", "value", "option", "arithmetic", "seed", "unlikely")
"""Kinds of differences, those first that make results incomparable or explain them best."""


@frozen
class Recorded:
    """A run that is compared."""

    name: str
    """A, B, C …"""
    run: Run
    diagnosis: Diagnosis


@frozen
class Difference:
    """One thing in which runs differ."""

    kind: str
    name: str
    values: list[str] = field(default_factory=list)
    """One for each run; empty where lines or a sentence tell it."""
    lines: list[str] = field(default_factory=list)
    sentence: str = ""


@frozen
class Course:
    """How a run went."""

    name: str
    id: str
    steps: int
    ended: str
    seconds: float
    first_loss: float | None
    final_loss: float | None
    evaluation_loss: float | None
    best_evaluation_loss: float | None


@frozen
class FoundIn:
    """A finding that not all runs have."""

    code: str
    name: str
    severity: str
    message: str
    location: str
    runs: list[str]
    """The runs that have it."""


@frozen
class Comparison:
    """All of it."""

    courses: list[Course]
    differences: list[Difference]
    same: list[str]
    """What was compared and is the same, in words."""
    unknown: list[str]
    """What could not be compared, in sentences."""
    partings: list[Parting]
    findings: list[FoundIn]
    verdicts: list[tuple[str, Verdict]]
    """Of the checks that compare, with the names of the two runs."""

    def nothing_differs(self) -> str:
        """One sentence for runs that differ in nothing that is recorded, save perhaps in how long they went."""
        told = "Nothing that was recorded differs"
        if len({c.steps for c in self.courses}) < 2:
            return f"{told}."
        ends = ", ".join(f"{c.name} {_ENDED.get(c.ended, c.ended)} after {c.steps:,} steps" for c in self.courses)
        return f"{told}, save how long they went: {ends}."


def compare(compared: Sequence[Recorded], repetitions: dict[str, list[Run]] | None = None) -> Comparison:
    """Compare two or more runs; the first is the one that the others are held against.

    Args:
        compared: the runs.
        repetitions: per name of a run others that differ from it in nothing but seeds.
    """
    effective = {c.name: values_in_effect(c.run) for c in compared}
    found = sorted(_differences(compared, effective), key=lambda d: _ORDER.index(d.kind))
    first, *others = compared
    return Comparison(
        courses=[_course(c) for c in compared],
        differences=found,
        same=list(_same(compared, found)),
        unknown=list(_unknown(compared)),
        partings=[parting(first.name, o.name, first.run, o.run) for o in others],
        findings=list(_found(compared)),
        verdicts=[
            (f"{a.name} → {b.name}", v)
            for a, b, sides in _sides(compared, effective, repetitions or {})
            for v in run_comparison_checks(sides)
        ],
    )


# -- what differs ---------------------------------------------------------------------------------------------------


def _differences(compared: Sequence[Recorded], effective: dict[str, dict[str, Value]]) -> Iterator[Difference]:
    first, *others = compared
    told: set[tuple[str, ...]] = set()
    for other in others:
        pair = f"{first.name} → {other.name}" if len(others) > 1 else ""
        for d in differences(first.run, other.run):
            yield Difference("data", pair, sentence=f"{d.sentence} (T06 data-changed)")
        for f in code_differences(first.run, other.run):
            if (f.path, *f.lines, f.why) not in told:
                told.add((f.path, *f.lines, f.why))
                kind = "code" if f.matters else "unlikely"
                why = f.why if f.matters else "comments or layout only"
                yield Difference(kind, " ".join(filter(None, (f.path, pair))), lines=f.lines, sentence=why)
    yield from _packages(compared)
    values = list(_values([effective[c.name] for c in compared]))
    yield from values
    yield from _command(compared, values)


def _packages(compared: Sequence[Recorded]) -> Iterator[Difference]:
    used = [used_packages(c.run) for c in compared]
    if not all(c.run.recorded(Packages) for c in compared):  # an older version knew the most important ones only
        used = [dict(c.run.environment.packages) if c.run.environment is not None else {} for c in compared]
    if not all(used):
        return
    for name, versions in _rows(used):
        yield Difference("package", name, versions)
    installed = [p[0].installed if (p := c.run.recorded(Packages)) else None for c in compared]
    if all(i is not None for i in installed):
        names = {n for u in used for n in u} | {"flightcheck"}
        for name, versions in _rows([i or {} for i in installed]):
            if name not in names:
                yield Difference("unlikely", f"{name} (installed, not imported)", versions)


def _values(effective: list[dict[str, Value]]) -> Iterator[Difference]:
    kinds = {"training": "value", "model": "value", "arithmetic": "arithmetic", "seed": "seed"}
    names = list(dict.fromkeys(name for values in effective for name in values))
    for name in names:
        several = [values.get(name) for values in effective]
        told = [str(v) if v is not None else NOTHING for v in several]
        if len(set(told)) > 1:
            yield Difference(kinds[next(v.kind for v in several if v is not None)], name, told)


def _command(compared: Sequence[Recorded], values: list[Difference]) -> Iterator[Difference]:
    """Options of the command line; one whose values are those of something in effect is told by that already."""
    explained = [[_plain(v) for v in d.values] for d in values]
    options = [options_of(c.run.info.command) for c in compared]
    words = [" ".join(c.run.info.command.split()[1:]) for c in compared]
    rows = list(_rows(options))
    for name, told in rows:
        given = {i: _plain(t) for i, t in enumerate(told) if t != NOTHING}
        known = any(all(row[i] == v for i, v in given.items()) for row in explained)
        kind = "unlikely" if known else "option"
        yield Difference(kind, f"--{name.replace('_', '-')}", told)
    if not rows and len(set(words)) > 1:
        parts = [[_plain(w) for w in ws] for ws in zip(*(w.split() for w in words)) if len(set(ws)) > 1]
        same_length = len({len(w.split()) for w in words}) == 1
        kind = "unlikely" if same_length and all(p in explained for p in parts) else "option"
        yield Difference(kind, "arguments", [w or NOTHING for w in words])


def _plain(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text


def _rows(tables: Sequence[dict[str, str]]) -> Iterator[tuple[str, list[str]]]:
    for name in sorted({n for t in tables for n in t}):
        row = [t.get(name, NOTHING) for t in tables]
        if len(set(row)) > 1:
            yield name, row


def _same(compared: Sequence[Recorded], found: Sequence[Difference]) -> Iterator[str]:
    differing = {d.kind for d in found}
    runs = [c.run for c in compared]
    parts = [known_parts(r) for r in runs]
    if "data" not in differing and all("training" in p for p in parts):
        yield "training data"
    if "data" not in differing and all("evaluation" in p for p in parts):
        yield "evaluation data"
    if "code" not in differing and all(r.recorded(SourceFile) for r in runs):
        yield "code"
    if "package" not in differing and all(used_packages(r) for r in runs):
        yield "packages in use"
    if "value" not in differing and all(r.optimizers or r.modules for r in runs):
        yield "values in effect"
    if "arithmetic" not in differing and all(r.environment is not None for r in runs):
        yield "device and precision"
    if "seed" not in differing and all(r.seeding is not None and r.seeding.values for r in runs):
        yield "seeds"


def _unknown(compared: Sequence[Recorded]) -> Iterator[str]:
    for c in compared:
        if "training" not in known_parts(c.run):
            yield f"the training data of {c.name}: {why_unknown(c.run)}"
        if not c.run.recorded(SourceFile):
            yield f"the code of {c.name}: an older version recorded no copy"
    for c in compared:
        late = [f.path for f in c.run.recorded(SourceFile) if f.late]
        if late:
            yield f"{', '.join(late)} of {c.name} was changed while the run went on: the copy may not be what ran"


# -- how it went ----------------------------------------------------------------------------------------------------


def _course(compared: Recorded) -> Course:
    info = compared.run.info
    first, final = first_and_final(compared.run)
    evaluated = [loss for _, loss in evaluation_losses(compared.run)]
    return Course(
        compared.name, info.id, info.steps, info.ended, info.seconds, first, final,
        evaluated[-1] if evaluated else None, min(evaluated, default=None),
    )  # fmt: skip


def _found(compared: Sequence[Recorded]) -> Iterator[FoundIn]:
    """Findings (advice left out) by check and module, that not all of the runs have."""
    by_key: dict[tuple[str, str], list[tuple[str, Any]]] = {}
    for c in compared:
        for f in c.diagnosis.findings:
            if f.severity != "info":
                by_key.setdefault((f.code, f.finding.module), []).append((c.name, f))
    for (code, _), found in by_key.items():
        names = list(dict.fromkeys(name for name, _ in found))
        if len(names) < len(compared):
            f = found[0][1]
            where = str(f.finding.location) if f.finding.location is not None else ""
            yield FoundIn(code, f.info.name, f.severity, f.finding.message, where, names)


# -- the checks that compare ----------------------------------------------------------------------------------------


def _sides(
    compared: Sequence[Recorded], effective: dict[str, dict[str, Value]], repetitions: dict[str, list[Run]]
) -> Iterator[tuple[Recorded, Recorded, Sides]]:
    """The first run against each other one that is no repetition of one before it."""
    groups: dict[str, list[Recorded]] = {}
    for c in compared:
        groups.setdefault(configuration(c.run, effective[c.name]), []).append(c)

    def side(group: list[Recorded]) -> tuple[Run, ...]:
        runs = [c.run for c in group] + [r for c in group for r in repetitions.get(c.name, ())]
        return tuple({r.info.id: r for r in runs}.values())

    first, *others = groups.values()
    if not others:
        yield first[0], first[1], Sides((first[0].run,), tuple(c.run for c in first[1:]), same=True)
    for group in others:
        yield first[0], group[0], Sides(side(first), side(group))


# -- as data --------------------------------------------------------------------------------------------------------


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """The comparison as JSON values."""
    return {
        "schema": SCHEMA,
        "runs": [_finite(vars(c)) for c in comparison.courses],
        "differences": [vars(d) for d in comparison.differences],
        "nothing_differs": comparison.nothing_differs(),
        "same": comparison.same,
        "unknown": comparison.unknown,
        "curves": [_finite(vars(p)) | {"sentence": p.in_words()} for p in comparison.partings],
        "findings": [vars(f) for f in comparison.findings],
        "checks": [
            {
                "runs": pair, "code": v.info.code, "name": v.info.name, "status": v.status, "reason": v.reason,
                "messages": [f.message for f in v.findings], "evidence": [f.evidence for f in v.findings],
            }
            for pair, v in comparison.verdicts
        ],
    }  # fmt: skip


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}
