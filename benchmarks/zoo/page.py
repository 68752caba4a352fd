"""The figures of the zoo as a page: shares with their intervals, by half, class and check, and each program."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from benchmarks.statistics import share
from benchmarks.zoo.outcome import Outcome
from benchmarks.zoo.programs import HALVES
from benchmarks.zoo.published import PUBLISHED
from flightcheck.checks.registry import all_checks

INTRODUCTION = """# How often is the diagnosis right?

Trainings with a fault, each beside its repaired twin, and healthy trainings that a naive rule would flag (folder zoo).
`flightcheck check` gets the script, named train.py, and nothing else. Made by

```
make zoo
```

A fault is one only if its training ends worse than that of its twin on at least 4 of 5 seeds, measured without the tool.
The first answer is the first root cause of severity warn or above. A line is right if the repair changes it, or if the
fault's description names it. Intervals are Wilson's, 95 %; programs that one of us wrote are more alike than programs of
strangers, so the intervals are rather too narrow. The half "tune" was looked at while the checks were made; the half
"test" was not. But a program of "test" that was missed, and then looked at, moves to "tune", so what is left in "test" is the
easier part of each exam: **how often the tool is right on programs of strangers is what the first look at each exam showed,
before that, and stands in zoo/README.md** (from 15 to 96 %, of the last nine exams together 66 %, of the causes).
"""

QUESTIONS: dict[str, Callable[[Outcome], bool]] = {
    "detected": lambda o: o.detected,
    "right cause first": lambda o: o.right,
    "right cause anywhere": lambda o: o.right_anywhere,
    "right line": lambda o: o.right_line,
    "confirmed fix": lambda o: o.confirmed,
}
SEVERITIES = ("critical", "error", "warn")


def page(outcomes: Sequence[Outcome], dropped: dict[str, int], missing: Sequence[str] = ()) -> str:
    """The whole page.

    Args:
        outcomes: of all programs.
        dropped: faults whose symptom did not show often enough, with the seeds in which it did.
        missing: names of programs that were not checked.
    """
    faulty = [o for o in outcomes if o.program.kind == "faulty"]
    silent = [o for o in outcomes if o.program.kind != "faulty"]
    lines = [INTRODUCTION, *_by_half(faulty, silent), "", *_by_class(faulty), "", *_by_check(faulty), ""]
    seconds = [o.seconds for o in outcomes]
    if seconds:
        lines += [f"A check took {statistics.median(seconds):.0f} s (median; at most {max(seconds):.0f} s).", ""]
    if dropped:
        told = ", ".join(f"{name} ({n} of 5 seeds)" for name, n in sorted(dropped.items()))
        lines += [f"Left out, because the symptom did not show often enough: {told}.", ""]
    if missing:
        lines += [f"Not checked for this page: {', '.join(missing)}.", ""]
    lines += [*_flagged(silent), *_never_right(faulty), PUBLISHED]
    lines += ["## Each program", "", *_each(faulty, silent)]
    return "\n".join(lines) + "\n"


def _by_half(faulty: Sequence[Outcome], silent: Sequence[Outcome]) -> list[str]:
    halves = [h for h in HALVES if any(o.program.half == h for o in (*faulty, *silent))]
    lines = [f"| | {' | '.join(halves)} |", f"| --- |{' --- |' * len(halves)}"]

    def row(title: str, of: Sequence[Outcome], test: Callable[[Outcome], bool]) -> None:
        cells = ([o for o in of if o.program.half == h] for h in halves)
        lines.append(f"| {title} | {' | '.join(share(sum(map(test, c)), len(c)) for c in cells)} |")

    for title, test in QUESTIONS.items():
        row(title, faulty, test)
    for severity in SEVERITIES:
        row(
            f"repaired or healthy, with a finding of severity {severity}",
            silent,
            lambda o, s=severity: any(f["severity"] == s for f in o.findings),  # type: ignore[misc]
        )
    return lines


def _by_class(faulty: Sequence[Outcome]) -> list[str]:
    lines = ["| class of faults | right cause first | right line | confirmed fix |", "| --- | --- | --- | --- |"]
    for name in dict.fromkeys(o.program.class_ for o in sorted(faulty, key=lambda o: o.program.class_)):
        own = [o for o in faulty if o.program.class_ == name]
        told = (
            share(sum(map(QUESTIONS[q], own)), len(own)) for q in ("right cause first", "right line", "confirmed fix")
        )
        lines.append(f"| {name} | {' | '.join(told)} |")
    return lines


def _by_check(faulty: Sequence[Outcome]) -> list[str]:
    """For each check: how often it was the answer, and how often that was right."""
    said = Counter(o.first["code"] for o in faulty if o.first)
    right = Counter(o.first["code"] for o in faulty if o.first and o.right)
    lines = ["| check | said first | of these right |", "| --- | --- | --- |"]
    return [*lines, *(f"| {code} | {n} | {right[code]} |" for code, n in sorted(said.items()))]


def _flagged(silent: Sequence[Outcome]) -> list[str]:
    """Repaired and healthy programs of which something was said."""
    flagged = [o for o in silent if o.findings]
    if not flagged:
        return []
    told = (f"{o.program.name} ({', '.join(f['code'] + ' ' + f['severity'] for f in o.findings)})" for o in flagged)
    return [f"Repaired or healthy programs with a finding: {', '.join(told)}.", ""]


def _never_right(faulty: Sequence[Outcome]) -> list[str]:
    """Checks that can be loud and were never rightly so here: among the findings of a fault that they name."""
    right = {f["code"] for o in faulty for f in o.findings if f["code"] in o.program.causes}
    loud = {c.info.code for c in all_checks().values() if not (c.info.preview or c.info.compares or c.info.severity == "info")}
    missing = sorted(loud - right)
    return [f"Checks that can be loud and never were rightly so here: {', '.join(missing)}.", ""] if missing else []


def _each(faulty: Iterable[Outcome], silent: Iterable[Outcome]) -> list[str]:
    lines = [
        "| program | half | truth | said first | right | line | fix | seconds |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for o in (*faulty, *silent):
        truth = " or ".join(o.program.causes) or o.program.kind
        said = f"{o.first['code']}, line {o.first['line'] or '–'}" if o.first else "nothing"
        line = ("yes" if o.right_line else "no") if o.program.kind == "faulty" else "–"
        fix = o.first["trial"] or "–" if o.first else "–"
        lines.append(
            f"| {o.program.name} | {o.program.half} | {truth} | {said} | {'yes' if o.right else 'no'} | {line} | "
            f"{fix} | {o.seconds:.0f} |"
        )
    return lines
