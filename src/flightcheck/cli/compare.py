"""``flightcheck compare``: in what runs differ, how they went, and what was found in them."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from string import ascii_uppercase as _LETTERS
from typing import TYPE_CHECKING, Final

from flightcheck.cli.runs import add_selection, selected
from flightcheck.cli.show import REPORT_SUFFIXES
from flightcheck.errors import UsageError

if TYPE_CHECKING:
    from flightcheck.recording.run import Run
    from flightcheck.tracking.compare import Comparison, Difference, Recorded

_MOST_RUNS: Final = 100
_FEW: Final = 6
"""Runs that can be told side by side. Of more, repetitions in the history are not looked for either."""
PAGE_NAME: Final = "comparison.html"
_MOST_LINES: Final = 12
_MOST_OF_A_KIND: Final = 8
_MOST_REPETITIONS: Final = 32
_KINDS: Final = {
    "data": "data", "code": "code", "package": "package", "value": "in effect", "option": "option",
    "arithmetic": "computed with", "seed": "seed", "unlikely": "hardly matters",
}  # fmt: skip


def main(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Run the command."""
    add = parser.add_argument
    add("runs", nargs="*", metavar="RUN", help="two runs or more: folders, ids, or beginnings of ids; "
        "the others are held against the first")  # fmt: skip
    add("--json", action="store_true", help="the comparison as JSON")
    add("--html", nargs="?", const="", metavar="FILE", help="the comparison as one HTML file with the curves "
        f"of all runs, in {PAGE_NAME}, in FILE or (-) to stdout, instead")  # fmt: skip
    add("--all", "-a", action="store_true", help="every difference and every line")
    add_selection(parser)
    args = parser.parse_args(arguments)
    if args.html not in (None, "", "-") and Path(args.html).suffix not in REPORT_SUFFIXES["html"]:
        args.runs.insert(0, args.html)  # `compare --html A B`
        args.html = ""
    if args.json and args.html == "-":
        raise UsageError("--json and --html cannot both go to stdout; give --html a file")
    names = [*args.runs, *(path for path in _chosen(args) if Path(path).name not in args.runs)]
    if not 2 <= len(names) <= _MOST_RUNS:
        raise UsageError(
            f"between 2 and {_MOST_RUNS} runs can be compared, not {len(names)}; 'flightcheck runs' lists them, "
            "--where chooses among them"
        )

    from flightcheck.tracking.compare import compare, comparison_json

    compared = _opened(names, args.runs_dir)
    comparison = compare(compared, _repetitions(compared, args.runs_dir) if len(compared) <= _FEW else {})
    if args.json:
        print(json.dumps(comparison_json(comparison), indent=1, allow_nan=False))
    elif args.html is None:
        _print(comparison, compared, everything=args.all)
    if args.html is not None:
        from flightcheck.cli.output import write_html
        from flightcheck.report.page.comparison import comparison_page

        text = comparison_page(comparison_json(comparison), [(c.name, c.run) for c in compared])
        written = write_html(text, Path(args.html or PAGE_NAME), chosen=bool(args.html))
        if written is not None:
            print(f"Page: {written}", file=sys.stderr if args.json else sys.stdout)
    return 0


def _chosen(args: argparse.Namespace) -> list[str]:
    """Runs that meet the conditions, the first of them the oldest unless an order was asked for."""
    if not args.where:
        return []
    found = selected(args) if args.sort else selected(args)[::-1]
    return [str(args.runs_dir / r["id"]) for r in found]


def letters(amount: int) -> Iterator[str]:
    """A, B, … Z, AA, AB …: the names of as many runs."""
    for i in range(amount):
        yield (_LETTERS[i // 26 - 1] if i >= 26 else "") + _LETTERS[i % 26]


def _opened(names: list[str], runs_dir: Path) -> list[Recorded]:
    from flightcheck.checks.registry import run_checks
    from flightcheck.cli.show import find_run
    from flightcheck.diagnosis.engine import diagnose
    from flightcheck.recording.run import Run
    from flightcheck.tracking.compare import Recorded

    compared = []
    for letter, name in zip(letters(len(names)), names):
        run = Run.open(find_run(name, runs_dir))
        compared.append(Recorded(letter, run, diagnose(run, run_checks(run))))
    return compared


def _repetitions(compared: list[Recorded], runs_dir: Path) -> dict[str, list[Run]]:
    """Per run, others of the history that differ from it in nothing but seeds."""
    from flightcheck.errors import RunFileError
    from flightcheck.recording.run import Run
    from flightcheck.tracking.history import all_runs
    from flightcheck.tracking.values import configuration

    try:
        summaries = all_runs(runs_dir)
    except RunFileError:
        return {}
    named = {c.run.info.id for c in compared}
    found: dict[str, list[Run]] = {}
    for c in compared:
        wanted = configuration(c.run)
        alike = [s["id"] for s in summaries if s.get("configuration") == wanted and s["id"] not in named]
        for name in alike[:_MOST_REPETITIONS]:
            try:
                found.setdefault(c.name, []).append(Run.open(runs_dir / name))
            except RunFileError:
                continue
    return found


# -- for people -----------------------------------------------------------------------------------------------------


def _print(comparison: Comparison, compared: list[Recorded], everything: bool) -> None:
    from rich.text import Text

    from flightcheck.report.console import console_for
    from flightcheck.report.terminal import plain

    console = console_for(sys.stdout)

    def say(text: str, style: str = "") -> None:
        console.print(Text(plain(text), style), soft_wrap=True)

    for c in compared:
        info = c.run.info
        say(f"{c.name}  {info.id}  {info.command}  ({info.steps} steps, {info.ended})")
    console.print()
    say(
        "What differs, what could matter first:" if comparison.differences else comparison.nothing_differs(),
        "bold",
    )
    for line, style in _differences(comparison, everything):
        say(line, style)
    if comparison.same:
        say(f"The same: {', '.join(comparison.same)}.", "dim")
    for text in comparison.unknown:
        say(f"Not known: {text}.", "dim")
    console.print()
    say("How they went:", "bold")
    for line in _courses(comparison):
        say(line)
    for p in comparison.partings:
        say(f"  {p.in_words()}")
    for line, style in _verdicts(comparison):
        say(line, style)
    console.print()
    say("Findings that only some of them have:" if comparison.findings else "The same findings in all of them.", "bold")
    for f in comparison.findings:
        where = f"  {f.location}" if f.location else ""
        say(
            f"  {' '.join(f.runs)}  {f.code} {f.name}{where}",
            "red" if f.severity in ("error", "critical") else "yellow",
        )
        say(f"     {f.message}")


def _differences(comparison: Comparison, everything: bool) -> Iterator[tuple[str, str]]:
    by_kind: dict[str, list[Difference]] = {}
    for d in comparison.differences:
        by_kind.setdefault(d.kind, []).append(d)
    for kind, several in by_kind.items():
        shown = several if everything else several[:_MOST_OF_A_KIND]
        style = "dim" if kind == "unlikely" else ""
        for d in shown:
            told = d.sentence or _side_by_side(d.values)
            yield f"  {_KINDS[kind]:<14} {d.name}{'  ' if d.name and told else ''}{told}", style
            lines = d.lines if everything else [] if kind == "unlikely" else d.lines[:_MOST_LINES]
            for line in lines:
                number, sign, *_ = line.split(" ", 2)
                color = style or ("green" if sign == "+" else "red")
                yield f"  {number:>16} {line.removeprefix(number).strip()}", color
            if len(lines) < len(d.lines) and kind != "unlikely":
                yield f"  {'':16} … and {len(d.lines) - len(lines)} lines more (--all)", "dim"
        if len(shown) < len(several):
            yield f"  {_KINDS[kind]:<14} … and {len(several) - len(shown)} more (--all)", "dim"


def _side_by_side(values: Sequence[str]) -> str:
    """Few values as they are; of many each once, with the runs that have it."""
    if len(values) <= _FEW:
        return (" → " if len(values) == 2 else " | ").join(values)
    having: dict[str, list[str]] = {}
    for letter, value in zip(letters(len(values)), values):
        having.setdefault(value, []).append(letter)
    return " | ".join(f"{value} ({' '.join(names)})" for value, names in having.items())


def _courses(comparison: Comparison) -> Iterator[str]:
    heads = {
        "first_loss": "first loss", "final_loss": "final loss", "evaluation_loss": "evaluation loss",
        "best_evaluation_loss": "best",
    }  # fmt: skip
    shown = [n for n in heads if any(getattr(c, n) is not None for c in comparison.courses)]
    if shown:
        yield "     " + "".join(f"{heads[n]:>17}" for n in shown)
    for c in comparison.courses:
        cells = (getattr(c, n) for n in shown)
        yield f"  {c.name}  " + "".join(f"{'—' if v is None else format(v, '.5g'):>17}" for v in cells)


def _verdicts(comparison: Comparison) -> Iterator[tuple[str, str]]:
    for pair, verdict in comparison.verdicts:
        for finding in verdict.findings if verdict.info.code != "T06" else ():  # told above, as a difference
            yield f"  {verdict.info.code} {verdict.info.name} ({pair}): {finding.message}", "yellow"
        if verdict.status in ("inconclusive", "error"):
            yield f"  {verdict.info.code} {verdict.info.name} ({pair}): {verdict.status}: {verdict.reason}", "dim"
