"""Measure: of faults that look alike, is the right one named first, and at the right line?

    python -m benchmarks.lookalikes [--fresh] [--jobs 1] [--only lstm,P20,family 2] [--render FOLDER]

Results are kept in build/benchmarks/lookalikes and used again unless --fresh. A run of all programs writes
docs/lookalikes.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.command import check
from benchmarks.lookalikes.rendering import ARCHITECTURES, FAMILIES, Program, programs
from benchmarks.results import Results
from benchmarks.statistics import share

PAGE = Path(__file__).parents[2] / "docs" / "lookalikes.md"
MUST_BE_SILENT = {"C25", "C27", "C28", "C30", "D04"}
"""Codes that would take overfitting for a fault. That it is overfitting (P34) may be said."""

INTRODUCTION = """# Faults that look alike

Five families of causes give the same curves: a loss that does not fall, or a good training loss beside a bad test loss.
Each member is put into the training of an MLP, a CNN, an LSTM and a transformer, by a change of a few lines that was
seen to do harm (benchmarks/lookalikes/README.md). `flightcheck check` gets the script and nothing else. Made by

```
make lookalikes
```

The first answer is the first root cause of severity warn or above, or the first finding where nothing is a root. The
right line is any of the lines of the fault. Overfitting is no fault: there, silence of C25, C27, C28, C30 and D04 is
right, and there is no line. Intervals are Wilson's, 95 %.
"""


@dataclass(frozen=True)
class Outcome:
    """What the tool said of a program."""

    program: Program
    first: dict[str, Any] | None
    others: tuple[str, ...]
    seconds: float

    @property
    def right(self) -> bool:
        if self.program.member == "healthy":
            return self.first is None
        if self.program.member == "overfitting":
            return not MUST_BE_SILENT & {*([self.first["code"]] if self.first else []), *self.others}
        return self.first is not None and self.first["code"] in self.program.causes

    @property
    def right_line(self) -> bool:
        return self.right and self.first is not None and self.first["line"] in self.program.lines


def outcome(program: Program, results: Results) -> Outcome:
    """Check a program, or take the result that is there."""
    name = f"{program.name}.py"
    found = results.get(f"{name}\n{program.text}", lambda: check(program.text, name=name))
    first, *others = found["findings"] or [None]
    return Outcome(program, first, tuple(f["code"] for f in others), found["seconds"])


def row(o: Outcome) -> str:
    """A line of the table."""
    program, first = o.program, o.first
    has_line = bool(program.lines)
    said = f"{first['code']}, line {first['line'] or '–'}" if first else "nothing"
    also = f" (also {', '.join(o.others)})" if o.others else ""
    truth = program.member if not has_line else f"{' or '.join(program.causes)}, line {_lines(program.lines)}"
    line = ("yes" if o.right_line else "no") if has_line else "–"
    return f"| {program.name} | {truth} | {said}{also} | {'yes' if o.right else 'no'} | {line} | {o.seconds:.0f} |"


def _lines(lines: Iterable[int]) -> str:
    """`3, 5–7`."""
    parts: list[list[int]] = []
    for n in lines:
        if parts and n == parts[-1][-1] + 1:
            parts[-1].append(n)
        else:
            parts.append([n])
    return ", ".join(f"{p[0]}–{p[-1]}" if len(p) > 1 else str(p[0]) for p in parts)


def summary(outcomes: list[Outcome]) -> list[str]:
    """Shares for each family and in all."""
    faulty = [o for o in outcomes if o.program.member != "healthy"]
    healthy = [o for o in outcomes if o.program.member == "healthy"]
    lines = ["| | right cause first | right line |", "| --- | --- | --- |"]

    def add(title: str, chosen: list[Outcome]) -> None:
        located = [o for o in chosen if o.program.lines]
        if chosen:
            lines.append(
                f"| {title} | {share(sum(o.right for o in chosen), len(chosen))} | "
                f"{share(sum(o.right_line for o in located), len(located))} |"
            )

    for family, members in FAMILIES.items():
        add(", ".join(members), [o for o in faulty if o.program.family == family])
    for architecture in ARCHITECTURES:
        add(f"all of {architecture}", [o for o in faulty if o.program.architecture == architecture])
    add("**all**", faulty)
    if healthy:
        quiet = share(sum(o.right for o in healthy), len(healthy))
        lines += ["", f"The trainings without a fault heard nothing: {quiet}."]
    return lines


def _chosen(only: str) -> Callable[[Program], bool]:
    words = {w.strip() for w in only.split(",") if w.strip()}
    return lambda p: not words or bool(words & {p.name, p.architecture, p.member, f"family {p.family}"})


def render(folder: Path, chosen: list[Program]) -> None:
    """Write the programs, and the truth about them, into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for program in chosen:
        (folder / f"{program.name}.py").write_text(program.text)
    truth = {
        p.name: {"member": p.member, "causes": p.causes, "lines": p.lines, "family": p.family, "note": p.note}
        for p in chosen
    }
    (folder / "truth.json").write_text(json.dumps(truth, indent=2) + "\n")


def main() -> None:
    """Print the table; write the page after a run of all programs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fresh", action="store_true", help="do not use results of earlier calls")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--only", default="", help="names, architectures, members or families, with commas between")
    parser.add_argument("--render", type=Path, help="write the programs into this folder, and run nothing")
    args = parser.parse_args()
    chosen = [p for p in programs() if _chosen(args.only)(p)]
    if args.render:
        render(args.render, chosen)
        return
    results = Results("lookalikes/checks", fresh=args.fresh)
    table = ["| program | truth | said first | right | line | seconds |", "| --- | --- | --- | --- | --- | --- |"]
    print("\n".join(table), flush=True)
    outcomes = []
    with ThreadPoolExecutor(args.jobs) as pool:
        for o in pool.map(lambda p: outcome(p, results), chosen):
            outcomes.append(o)
            table.append(row(o))
            print(table[-1], flush=True)
    shares = summary(outcomes)
    print("\n" + "\n".join(shares))
    if results.reused:
        print(f"\n{results.reused} of {len(chosen)} results are of an earlier call; --fresh makes them anew.")
    if not args.only:
        page = [INTRODUCTION, *shares, "", "## Each program", "", *_without_seconds(table)]
        PAGE.write_text("\n".join(page) + "\n")


def _without_seconds(table: list[str]) -> list[str]:
    """The page does not change with the speed of the machine."""
    return [line.rstrip("|").rsplit("|", 1)[0] + "|" for line in table]


if __name__ == "__main__":
    main()
