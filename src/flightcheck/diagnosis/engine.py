"""From verdicts to root causes: build the graph of findings, break its cycles, keep what nothing else explains."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from flightcheck.checks.base import SEVERITIES, CheckInfo, Finding, Severity, Verdict, effective_severity
from flightcheck.diagnosis.graph import (
    CAUSES,
    CAUSES_OF_VANISHING,
    CRASHES,
    MAY_FOLD_UNDER_HEURISTIC,
    SYMPTOMS,
    Cause,
    missing_path,
    saturating,
)
from flightcheck.frozen import frozen
from flightcheck.patch import alternatives
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.run import Run

EVIDENCE_ORDER: Final = "XBTH"
SHORTEST_SLACK: Final = 20
"""Steps: most onsets are told from a window of this length."""


@frozen
class DiagnosedFinding:
    """A finding and its place in the diagnosis."""

    info: CheckInfo
    finding: Finding
    severity: Severity
    root: bool = False
    explained_by: str | None = None
    """Code of the root cause, or of the unexplained symptom, under which the finding is folded."""
    rank: int | None = None
    """1 for the most likely root cause, None for findings that are none."""
    tried: Experiment | None = None
    """The experiment that says most about its fix."""

    @property
    def code(self) -> str:
        return self.info.code


@frozen
class Diagnosis:
    """Root causes first."""

    findings: tuple[DiagnosedFinding, ...]
    """Root causes, then what nothing explains, then what is explained, then advice (info)."""
    roots: tuple[DiagnosedFinding, ...]
    """The most likely first."""
    verdicts: tuple[Verdict, ...]
    explains: dict[str, list[str]]
    """Codes that a finding's code explains, in the order of their appearance."""
    refuted: tuple[DiagnosedFinding, ...] = ()
    """Heuristic findings that an experiment refuted: what they blame can be changed, and nothing gets better."""

    def worst(self) -> Severity | None:
        """The highest severity of any finding, folded ones included."""
        return max((f.severity for f in self.findings), key=SEVERITIES.index, default=None)


@frozen
class _Place:
    """Where a finding lies: its parameters, the modules around them, and when those were called."""

    parameters: frozenset[int]
    paths: tuple[str, ...]
    orders: tuple[int, ...]

    def overlaps(self, other: _Place) -> bool:
        if self.parameters and other.parameters:
            return bool(self.parameters & other.parameters)
        if self.paths and other.paths:
            return any(_within(a, b) or _within(b, a) for a in self.paths for b in other.paths)
        return True

    def reaches(self, other: _Place) -> bool:
        """Something of `other` is called at or after the first call of something here."""
        return not self.orders or not other.orders or max(other.orders) >= min(self.orders)


def diagnose(run: Run, verdicts: Iterable[Verdict], causes: Sequence[Cause] = CAUSES) -> Diagnosis:
    """Name the root causes among the findings of a run.

    Args:
        run: tells where parameters and modules lie, and how long an evaluation interval is.
        verdicts: of all checks that were run.
        causes: the table of causes.
    """
    verdicts = tuple(verdicts)
    tried = _tried(run)
    told_by_checks = [
        DiagnosedFinding(v.info, f, effective_severity(v.info, f), tried=_of(f, v, tried.get(v.info.code)))
        for v in verdicts
        for f in v.findings
    ]
    refuted = tuple(n for n in told_by_checks if n.info.evidence == "H" and _outcome(n) == "refuted")
    nodes = [_proved(n) for n in told_by_checks if n not in refuted]
    graph = _break_cycles(nodes, _edges(run, nodes, causes))
    leads = _fold(nodes, graph)
    fired = _fired(nodes)

    rooted = [i for i in leads if nodes[i].severity != "info" and not _is_symptom(nodes[i], fired)]
    if not rooted:
        rooted = [i for i in leads if nodes[i].severity != "info"]

    def likelihood(i: int) -> tuple[int, int, int, int, int, str]:
        folded = leads[i]
        severity = max(SEVERITIES.index(nodes[j].severity) for j in (i, *folded))
        doubt = _DOUBT[_outcome(nodes[i])]
        # A fact stays a fact where its fix alone does not help.
        doubt = min(doubt, 1) if nodes[i].info.evidence in "XB" else doubt
        return (doubt, -severity, *_order(nodes[i], len(folded)))

    rooted.sort(key=likelihood)
    explained_by = {j: nodes[i].code for i, folded in leads.items() for j in folded}
    rank = {i: n for n, i in enumerate(rooted, 1)}
    told: list[DiagnosedFinding] = [
        replace(n, root=i in rank, explained_by=explained_by.get(i), rank=rank.get(i)) for i, n in enumerate(nodes)
    ]
    explains: dict[str, list[str]] = {}
    for i in sorted(leads, key=lambda i: (rank.get(i, len(nodes)), likelihood(i))):
        codes = explains.setdefault(nodes[i].code, [])
        codes += [
            c
            for c in dict.fromkeys(nodes[j].code for j in sorted(leads[i], key=lambda j: nodes[j].finding.onset_step))
            if c not in codes
        ]

    def reading_order(f: DiagnosedFinding) -> tuple[int, int, int, int, int, int, str]:
        place = 0 if f.root else 3 if f.severity == "info" else 1 if f.explained_by is None else 2
        return (place, f.rank or 0, -SEVERITIES.index(f.severity), *_order(f, 0))

    findings = tuple(sorted(told, key=reading_order))
    roots = tuple(f for f in findings if f.root)
    return Diagnosis(findings, roots, verdicts, {c: e for c, e in explains.items() if e}, refuted)


_DOUBT: Final[dict[str, int]] = {"confirmed": 0, "inconclusive": 1, "untested": 1, "": 1, "refuted": 2}
_MOST_TELLING: Final = ("confirmed", "inconclusive", "refuted", "untested")


def _tried(run: Run) -> dict[str, Experiment]:
    """For each code the experiment that says most: one confirmed alternative is enough, refuted are all together; of
    two that confirm the same change, the longer one.
    """
    best: dict[str, Experiment] = {}
    for e in (e for e in run.experiments if e.purpose == "fix"):
        known = best.get(e.question)
        says_more = known is None or _MOST_TELLING.index(e.status) < _MOST_TELLING.index(known.status)
        if says_more or (known is not None and _is_longer(e, known)):
            best[e.question] = e
    return best


def _is_longer(e: Experiment, known: Experiment) -> bool:
    return e.status == known.status == "confirmed" and e.patch == known.patch and e.steps > known.steps


def _of(finding: Finding, verdict: Verdict, tried: Experiment | None) -> Experiment | None:
    """The experiment if it is about this finding: of several with fixes of their own, one that has its fix in it."""
    fixes = [_parts(f.patch or verdict.info.patch) for f in verdict.findings]
    if tried is None or all(f == fixes[0] for f in fixes):
        return tried
    changed = set().union(*_parts(tried.patch))
    proposed = any(part <= changed for fix in fixes for part in fix)
    if not proposed:  # a question of the lab's own
        return tried if finding is verdict.findings[0] else None
    return tried if any(part <= changed for part in _parts(finding.patch or verdict.info.patch)) else None


def _parts(patch: str) -> list[frozenset[str]]:
    """The alternatives of a patch's text, each as what it changes."""
    return [frozenset(parts) for parts in alternatives(patch)]


def _outcome(f: DiagnosedFinding) -> str:
    return f.tried.status if f.tried is not None else ""


def _proved(f: DiagnosedFinding) -> DiagnosedFinding:
    """A heuristic warning whose fix was tried and works is an error (catalogue, section 2.1)."""
    if f.info.evidence == "H" and f.severity == "warn" and _outcome(f) == "confirmed":
        return replace(f, severity="error")
    return f


def explains_crash(run: Run, diagnosis: Diagnosis) -> DiagnosedFinding | None:
    """The finding that explains the exception which ended the script, if one does."""
    error, place = run.info.error, run.info.error_location
    if run.info.ended != "exception":
        return None
    loud = [f for f in diagnosis.findings if f.severity != "info"]
    for f in loud:
        at = f.finding.location
        if at and place and (at.file, at.line) == (place.file, place.line):
            return f
    text = f"{error} {place.code if place else ''}"
    for pattern, codes in CRASHES:
        if re.search(pattern, text, re.IGNORECASE):
            for f in loud:
                if f.code in codes:
                    return f
    return None


def _order(f: DiagnosedFinding, folded: int) -> tuple[int, int, int, str]:
    return (EVIDENCE_ORDER.index(f.info.evidence), -folded, f.finding.onset_step, f.code)


def _fired(nodes: list[DiagnosedFinding]) -> set[str]:
    return {n.code for n in nodes if n.severity != "info"}


def _is_symptom(f: DiagnosedFinding, fired: set[str]) -> bool:
    if f.code == "C07" and (saturating(f.finding) or not fired & CAUSES_OF_VANISHING):
        return False
    return f.code in SYMPTOMS


def _edges(run: Run, nodes: list[DiagnosedFinding], causes: Sequence[Cause]) -> dict[int, set[int]]:
    """From each finding to those that it explains directly."""
    by_code: dict[str, list[int]] = {}
    for i, n in enumerate(nodes):
        by_code.setdefault(n.code, []).append(i)
    places = [_place(run, n.finding) for n in nodes]
    slack = _slack(run)
    edges: dict[int, set[int]] = {i: set() for i in range(len(nodes))}
    for row in causes:
        for a in by_code.get(row.code, ()):
            for b in (b for code in row.explains for b in by_code.get(code, ())):
                cause, effect = nodes[a].finding, nodes[b].finding
                if a == b or (nodes[a].severity == "info" and nodes[b].severity != "info"):
                    continue  # advice hides nothing that is louder
                if cause.onset_step > effect.onset_step + slack:
                    continue
                if row.when is not None and not row.when(cause, effect):
                    continue
                if _outcome(nodes[b]) == "confirmed" and _outcome(nodes[a]) in ("inconclusive", "refuted"):
                    continue  # what the effect's own fix removes is not the work of a cause whose fix does not
                if _compatible(row, places[a], places[b]):
                    edges[a].add(b)
    return edges


def _compatible(row: Cause, cause: _Place, effect: _Place) -> bool:
    if row.locus == "module":
        return cause.overlaps(effect)
    if row.locus == "fwd":
        return cause.reaches(effect)
    if row.locus == "bwd":
        return effect.reaches(cause)
    return True


def _slack(run: Run) -> float:
    """One evaluation interval, but at most a tenth of the run and at least a window of measurement."""
    steps = run.info.steps
    interval = steps / max(run.info.evaluations, 1)
    return max(SHORTEST_SLACK, 2 * run.coverage.every, min(interval, steps / 10))


def _place(run: Run, finding: Finding) -> _Place:
    concerned = set(finding.parameters)
    modules = {p.module for p in run.parameters if p.index in concerned}
    if finding.module:
        below = {m.index for m in run.modules if _within(m.path, finding.module)}
        modules |= below
        if not concerned:
            concerned = {p.index for p in run.parameters if p.module in below}
    here = [m for m in run.modules if m.index in modules]
    paths = tuple(m.path for m in here) or ((finding.module,) if finding.module else ())
    return _Place(frozenset(concerned), paths, tuple(m.order for m in here if m.order >= 0))


def _within(path: str, outer: str) -> bool:
    return path == outer or path.startswith(outer + ".")


def _reach(edges: dict[int, set[int]], start: int) -> set[int]:
    seen: set[int] = set()
    todo = [start]
    while todo:
        for b in edges[todo.pop()] - seen:
            seen.add(b)
            todo.append(b)
    return seen


def _break_cycles(nodes: list[DiagnosedFinding], edges: dict[int, set[int]]) -> dict[int, set[int]]:
    """Within a cycle keep only the edges that follow the order of onset, then of evidence."""
    reach = {i: _reach(edges, i) for i in edges}

    def before(i: int) -> tuple[int, int, int, int]:
        n = nodes[i]
        return (n.finding.onset_step, EVIDENCE_ORDER.index(n.info.evidence), -SEVERITIES.index(n.severity), i)

    return {a: {b for b in out if a not in reach[b] or before(a) < before(b)} for a, out in edges.items()}


def _fold(nodes: list[DiagnosedFinding], edges: dict[int, set[int]]) -> dict[int, list[int]]:
    """What stands by itself, each with what is folded under it."""
    fired = _fired(nodes)
    caused = {b for out in edges.values() for b in out}
    leads = [i for i in edges if i not in caused]
    while True:
        reach = {i: _reach(edges, i) for i in leads}
        ranking = sorted(
            leads,
            key=lambda i: (
                _is_symptom(nodes[i], fired),
                -SEVERITIES.index(nodes[i].severity),
                *_order(nodes[i], len(reach[i])),
            ),
        )
        folded: dict[int, list[int]] = {i: [] for i in leads}
        bare: list[int] = []
        for b in (b for b in edges if b not in folded):
            lead = next((i for i in ranking if b in reach[i] and _may_fold(nodes[i], nodes[b])), None)
            if lead is None:
                bare.append(b)
            else:
                folded[lead].append(b)
        if not bare:
            return folded
        leads.append(next(b for b in bare if not any(b in _reach(edges, other) for other in bare)))


def _may_fold(lead: DiagnosedFinding, effect: DiagnosedFinding) -> bool:
    """No exact error is hidden under a heuristic cause, unless it is a symptom by nature."""
    if lead.info.evidence != "H" or effect.info.evidence != "X" or effect.severity in ("info", "warn"):
        return True
    return effect.code in MAY_FOLD_UNDER_HEURISTIC and not (effect.code == "C02" and missing_path(effect.finding))
