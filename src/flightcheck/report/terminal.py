"""The report for people: root causes with their line, what they explain, and one line of summary."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from flightcheck.checks.base import SECTIONS, Status, effective_severity
from flightcheck.diagnosis.engine import DiagnosedFinding, Diagnosis, explains_crash
from flightcheck.recording.records import Location
from flightcheck.recording.run import Run
from flightcheck.report.console import SIGN
from flightcheck.report.cost import cost_in_words
from flightcheck.report.course import loss_sentence, own_numbers_sentence, quiet_words
from flightcheck.report.experiments import left_out, tried_in_words
from flightcheck.report.json import relative

__all__ = [
    "nothing_trained",
    "nothing_trained_sentence",
    "observed",
    "plain",
    "print_report",
]

SHOW_ALL: Final = "flightcheck show --all"
STATUS: Final[dict[Status, tuple[str, str]]] = {
    "fail": ("✗", "red"),
    "pass": ("✓", "green"),
    "inconclusive": ("?", "yellow"),
    "skipped": ("-", "dim"),
    "error": ("!", "magenta"),
}
_OUTCOME: Final = {"confirmed": "green", "refuted": "red", "inconclusive": "yellow", "untested": "dim"}
_COLOR: Final = re.compile(r"\x1b\[[0-9;]*m")
"""Colors of a terminal: PyTorch writes them into the texts of its own errors."""
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def nothing_trained(run: Run) -> bool:
    """The script neither stepped an optimizer nor ran a backward."""
    return run.info.steps == 0 and run.info.backwards == 0


def print_report(
    run: Run, diagnosis: Diagnosis, console: Console, *, everything: bool = False, quiet: bool = False
) -> None:
    """Print the report.

    Args:
        run: the watched run.
        diagnosis: its diagnosis.
        console: made by `console_for`.
        everything: also advice, folded findings in full, and each verdict with its reason.
        quiet: only what has the severity warn or above; nothing if there is none.
    """
    loud = [f for f in diagnosis.findings if f.severity != "info"]
    for line in _ending(run, diagnosis):
        if not quiet or loud:
            _print_hanging("", "", line, console)
    if nothing_trained(run):
        for f in diagnosis.findings if run.info.ended == "exception" else ():  # what stopped it before it trained
            if f.severity != "info" and f.explained_by is None:
                _print_finding(f, run, diagnosis, console, first=True)
        if not quiet:
            _print_hanging("", "", Text(f"flightcheck: {nothing_trained_sentence(run)}"), console)
        return
    shown = [f for f in diagnosis.findings if everything or (f.severity != "info" and f.explained_by is None)]
    told: set[str] = set()
    for f in shown:
        _print_finding(f, run, diagnosis, console, first=f.code not in told)
        told.add(f.code)
    if quiet:
        return
    hint = "" if everything else f" ({SHOW_ALL})"
    if everything:
        _print_verdicts(diagnosis, console)
    if loud:
        _print_hanging("", "", Text(_summary(run, diagnosis, hint), "dim"), console)
    else:
        console.print(_all_quiet(run, diagnosis, hint), soft_wrap=True)
        if course := " ".join(filter(None, (loss_sentence(run), own_numbers_sentence(run)))):
            _print_hanging("  ", "", Text(plain(course), "dim"), console)
    for late in left_out(run):
        _print_hanging("", "", Text(plain(late), "dim"), console)
    if everything or loud:
        for blind in run.coverage.blind:
            _print_hanging("", "", Text(f"Not observed: {plain(blind)}", "dim"), console)
        if run.coverage.without_kernel:
            why = f"Measured without the compiled kernel, so less often: {plain(run.coverage.without_kernel)}"
            _print_hanging("", "", Text(why, "dim"), console)


def nothing_trained_sentence(run: Run) -> str:
    """One sentence for a script in which no training was seen."""
    return (
        "no training was seen: the script called neither backward() nor an optimizer's step() "
        f"in the {run.info.seconds:.0f} s that it ran." + "".join(f" Not observed: {b}." for b in run.coverage.blind)
    )


def plain(text: str) -> str:
    """A user's string without control characters: it may hold anything, a terminal would obey it."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", _COLOR.sub("", text.replace("\r\n", "\n")))


def _print_finding(f: DiagnosedFinding, run: Run, diagnosis: Diagnosis, console: Console, *, first: bool) -> None:
    finding = f.finding
    sign, style = SIGN[f.severity]
    head = Text.assemble((sign, style), " ", (f.code, style), " ", (plain(f.info.name), "bold"))
    place = finding.location
    _print_head(head, _where(place) if place else plain(finding.module), console)
    if place is not None and place.code:
        _print_hanging(f"  {place.line} │ ", "dim", Text(plain(place.code)), console)
    _print_hanging("  ", "", Text(plain(finding.message)), console)
    fix = plain(finding.fix or f.info.fix)
    if fix:
        _print_hanging("  Fix:   ", "green", Text(fix), console)
    if f.tried is not None:
        _print_hanging("  Tried: ", _OUTCOME[f.tried.status], Text(plain(tried_in_words(f.tried, run))), console)
        if f.tried.status == "confirmed":
            for line in f.tried.diff.splitlines():
                _print_hanging("         ", "", Text(plain(line), "red" if line.startswith("-") else "green"), console)
    if f.explained_by is not None:
        _print_hanging("  ", "", Text(f"Explained by {f.explained_by}.", "dim"), console)
    folded = diagnosis.explains.get(f.code, []) if first and f.explained_by is None else []
    if folded:
        names = {x.code: x.info.name for x in diagnosis.findings}
        more = "1 more finding" if len(folded) == 1 else f"{len(folded)} more findings"
        listed = ", ".join(f"{code} {names[code]}" for code in folded)
        _print_hanging("  ", "", Text(f"Explains {more}: {listed}", "dim"), console)
    console.print()


def _print_head(head: Text, where: str, console: Console) -> None:
    gap = console.width - head.cell_len - cell_len(where)
    if not where or gap >= 2:
        head.append(" " * max(gap, 0) if where else "")
        head.append(where, "cyan")
        console.print(head, soft_wrap=True)
    else:
        console.print(head)
        console.print(Text.assemble("  ", (where, "cyan")), soft_wrap=True)


def _print_hanging(label: str, style: str, text: Text, console: Console) -> None:
    """Wrap the text at the width, each line indented by the width of the label."""
    indent = cell_len(label)
    for i, line in enumerate(text.wrap(console, max(console.width - indent, 20))):
        line.rstrip()
        console.print(Text.assemble((label if i == 0 else " " * indent, style), line), soft_wrap=True)


def _where(location: Location) -> str:
    return plain(" ".join(relative(location.file).splitlines()) + f":{location.line}")


def _ending(run: Run, diagnosis: Diagnosis) -> Iterator[Text]:
    """How the script ended, where that is news; and what of the run file is lost."""
    info = run.info
    after = f"after {_count(info.steps, 'step')}"
    if info.ended == "exception":
        at = f" at {_where(info.error_location)}" if info.error_location else ""
        error = plain(" ".join(info.error.split()))
        error = error if len(error) <= 200 else error[:199] + "…"
        cause = explains_crash(run, diagnosis)
        why = f" (explained by {cause.code} {cause.info.name})" if cause else ""
        yield Text(f"The script ended with {error or 'an exception'}{at} {after}{why}.")
    elif info.ended == "interrupted":
        yield Text(f"The script was interrupted {after}; this is what was seen until then.")
    elif info.ended == "running":
        yield Text(f"The script has not ended, or was killed, {after}; this is what was recorded until then.")
    elif info.ended == "exit" and info.exit_code:
        yield Text(f"The script exited with status {info.exit_code} {after}.")
    if run.damage:
        lost = "; ".join(plain(d) for d in run.damage[:3]) + ("; …" if len(run.damage) > 3 else "")
        yield Text(f"The run file is damaged, what could be read is used (unreadable: {lost}).")


def _summary(run: Run, diagnosis: Diagnosis, hint: str) -> str:
    return " · ".join((_checks(diagnosis, hint), _seen(run), *_coverage(run), *_cost(run), *_tried(run)))


def _all_quiet(run: Run, diagnosis: Diagnosis, hint: str) -> Text:
    blind = len(run.coverage.blind)
    rest = (_checks(diagnosis, hint), *([_count(blind, "blind spot")] if blind else ()), *_cost(run), *_tried(run))
    if any(v.status in ("pass", "fail") for v in diagnosis.verdicts):
        good, result = quiet_words(run)
        sign = ("✓", "green") if good else ("?", "yellow")
    else:  # silence without a single answer is not health
        sign, result = ("?", "yellow"), "nothing could be decided"
    return Text.assemble(sign, f" flightcheck: {result} in {_seen(run)} · {' · '.join(rest)}")


def _checks(diagnosis: Diagnosis, hint: str) -> str:
    def number(status: Status) -> int:
        return sum(v.status == status for v in diagnosis.verdicts)

    advice = sum(f.severity == "info" for f in diagnosis.findings)
    text = f"{_count(number('pass'), 'check')} passed, {number('inconclusive')} inconclusive"
    if number("error"):
        text += f", {number('error')} broke"
    if advice:
        text += f", {_count(advice, 'note')}"
    return text + hint if number("inconclusive") or number("error") or advice else text


def _seen(run: Run) -> str:
    unit = _count(run.info.steps, "step") if run.info.steps else _count(run.info.backwards, "backward")
    return f"{unit} and {_count(run.info.evaluations, 'evaluation')}"


def _coverage(run: Run) -> Iterator[str]:
    if run.coverage.modules:
        yield observed(run)


def observed(run: Run) -> str:
    """How many modules were looked at, and how often once the dense looks of the beginning were over."""
    c = run.coverage
    seen = f"observed {c.modules_seen} of {_count(c.modules, 'module')}"
    often = {name: _often(c.cadence[name]) for name in ("gradients", "weights", "activations") if name in c.cadence}
    if len(set(often.values())) < 2:
        return f"{seen}, {next(iter(often.values()), _often(c.every))}"
    return f"{seen}, " + ", ".join(f"{name} {how}" for name, how in often.items())


def _often(distance: float) -> str:
    return "every step" if distance < 1.5 else f"every {_ordinal(round(distance))} step"


def _cost(run: Run) -> Iterator[str]:
    if cost := cost_in_words(run.info):
        yield f"cost {cost}"


def _tried(run: Run) -> Iterator[str]:
    done = [e for e in run.experiments if e.status != "untested"]
    if done:
        yield f"{_count(len(done), 'experiment')} in {sum(e.seconds for e in run.experiments):.0f} s"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _ordinal(number: int) -> str:
    if number % 100 in (11, 12, 13):
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"


def _print_verdicts(diagnosis: Diagnosis, console: Console) -> None:
    order: Callable[[str], int] = list(SECTIONS).index
    section = ""
    for v in sorted(diagnosis.verdicts, key=lambda v: (order(v.info.code[0]), v.info.code)):
        if v.info.section != section:
            section = v.info.section
            console.print(Text(section, "bold"))
        sign, style = STATUS[v.status]
        word = {"fail": "failed", "pass": "passed", "error": "broke"}.get(v.status, v.status)
        if v.findings and all(effective_severity(v.info, f) == "info" for f in v.findings):
            (sign, style), word = SIGN["info"], "noted"
        reason = f": {plain(v.reason)}" if v.reason else ""
        _print_hanging(f"  {sign} {v.info.code} ", style, Text(f"{v.info.name} {word}{reason}"), console)
    console.print()
