"""Measure: of ordinary faults in programs of many styles, is the right cause named first, and at the right line?

    python -m benchmarks.mutants [--sample 2] [--seed 0] [--only "step removed,L03"] [--programs bars,cells]
                                 [--lab-budget 0] [--fresh] [--write FOLDER]

A mutant is a healthy program of the zoo whose source was changed in one place. It counts only if the training that it
makes is measurably worse, without the tool, by what the program itself prints. --sample mutants of each mutator are
drawn at random. Results are kept in build/benchmarks/mutants and used again; --fresh checks anew.
"""

from __future__ import annotations

import argparse
import ast
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.command import check
from benchmarks.mutants.forks import tool
from benchmarks.mutants.mutators import MUTATORS, Mutator
from benchmarks.mutants.programs import Healthy, ending, harmed, healthy_programs
from benchmarks.mutants.source import Source
from benchmarks.results import Results
from benchmarks.statistics import share
from benchmarks.zoo.programs import changed_lines

TRIES = 2
"""Mutants that are drawn for each that is wanted, because many do no harm."""


@dataclass(frozen=True)
class Mutant:
    """A healthy program with one fault."""

    program: Healthy
    mutator: Mutator
    text: str
    lines: frozenset[int]

    @property
    def name(self) -> str:
        return f"{self.program.name}: {self.mutator.name}"


@dataclass(frozen=True)
class Outcome:
    """What the tool said of a mutant."""

    mutant: Mutant
    findings: tuple[dict[str, Any], ...]
    ended: str

    @property
    def first(self) -> dict[str, Any] | None:
        return self.findings[0] if self.findings else None

    @property
    def right(self) -> bool:
        return self.first is not None and self.first["code"] in self.mutant.mutator.causes

    @property
    def right_line(self) -> bool:
        return self.right and self.first is not None and self.first["line"] in self.mutant.lines


def drawn(mutator: Mutator, programs: list[Healthy], rng: random.Random) -> Iterator[Mutant]:
    """Mutants in random order, one of a program."""
    for program in rng.sample(programs, len(programs)):
        changes = [c for c in mutator.changes(Source(program.text)) if _is_program(c.text)]
        if changes:
            change = rng.choice(changes)
            lines = change.lines | changed_lines(change.text, program.text)
            yield Mutant(program, mutator, change.text, Source(change.text).whole_statements(frozenset(lines)))


def _is_program(text: str) -> bool:
    try:
        ast.parse(text)
    except SyntaxError:  # an edit inside of an f-string, say
        return False
    return True


def harmful(
    mutator: Mutator, programs: list[Healthy], *, wanted: int, seed: int, longest: float, results: Results
) -> tuple[list[Mutant], int]:
    """As many mutants as are wanted, if enough do harm, and how many were tried."""
    found: list[Mutant] = []
    tried = 0
    for mutant in drawn(mutator, programs, random.Random(f"{seed} {mutator.name}")):
        if len(found) == wanted or tried == wanted * TRIES:
            break
        healthy = ending(mutant.program.text, 0, results)
        if healthy.status or healthy.seconds > longest or healthy.number(mutant.program) is None:
            continue
        tried += 1
        if harmed(mutant.program, ending(mutant.text, 0, results), healthy):
            found.append(mutant)
    return found, tried


def outcome(mutant: Mutant, options: tuple[str, ...], results: Results) -> Outcome:
    """Check a mutant, or take the result that is there."""
    found = results.get(f"{options}\n{mutant.text}", lambda: check(mutant.text, options=options, run=tool))
    return Outcome(mutant, tuple(found["findings"]), found["ended"])


def told(o: Outcome) -> str:
    """A line for a mutant."""
    said = ", ".join(f"{f['code']}{'' if f['root'] else '*'}:{f['line'] or '–'}" for f in o.findings[:5]) or "nothing"
    lines = ",".join(map(str, sorted(o.mutant.lines)[:8]))
    mark = "right" if o.right_line else "right, OTHER LINE" if o.right else "WRONG" if o.findings else "MISSED"
    return f"{o.mutant.name} ({' '.join(o.mutant.mutator.causes)} at {lines}): {said}: {mark}"


def table(outcomes: list[Outcome], tried: dict[str, int]) -> str:
    """Shares for each mutator and in all."""
    lines = ["| fault | causes | harmful of tried | detected | right cause first | right line |", "| --- " * 6 + "|"]
    for name, m in MUTATORS.items():
        own = [o for o in outcomes if o.mutant.mutator is m]
        if name in tried:
            counts = (sum(bool(o.findings) for o in own), sum(o.right for o in own), sum(o.right_line for o in own))
            cells = " | ".join(map(str, counts))
            lines.append(f"| {name} | {' '.join(m.causes)} | {len(own)} of {tried[name]} | {cells} |")
    n = len(outcomes)
    for title, hits in (
        ("detected", sum(bool(o.findings) for o in outcomes)),
        ("right cause first", sum(o.right for o in outcomes)),
        ("right line", sum(o.right_line for o in outcomes)),
    ):
        lines.append(f"\n{title}: {share(hits, n)}")
    return "\n".join(lines)


def main() -> None:
    """Draw, check, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=2, help="harmful mutants of each mutator")
    parser.add_argument("--seed", type=int, default=0, help="which mutants are drawn")
    parser.add_argument("--only", default="", help="mutators or codes, with commas between")
    parser.add_argument("--programs", default="", help="names of programs, with commas between")
    parser.add_argument("--longest", type=float, default=15, help="seconds that a program may take by itself")
    parser.add_argument("--lab-budget", default="0", help="seconds for experiments on each mutant")
    parser.add_argument("--fresh", action="store_true", help="check anew")
    parser.add_argument("--write", type=Path, help="write the mutants that were not named rightly into this folder")
    args = parser.parse_args()
    only, names = ({w.strip() for w in text.split(",")} - {""} for text in (args.only, args.programs))
    chosen = [m for m in MUTATORS.values() if not only or only & {m.name, *m.causes}]
    programs = [p for p in healthy_programs() if not names or p.name in names]
    plain, checked = Results("mutants/plain"), Results("mutants/checks", args.fresh)
    outcomes: list[Outcome] = []
    tried: dict[str, int] = {}

    for m in chosen:
        found, n = harmful(m, programs, wanted=args.sample, seed=args.seed, longest=args.longest, results=plain)
        made = [outcome(x, ("--lab-budget", args.lab_budget), checked) for x in found]
        outcomes += made
        tried[m.name] = n
        print(f"# {m.name}: {len(made)} of {n} do harm", flush=True)
        for o in made:
            print(told(o), flush=True)
            if args.write and not o.right_line:
                folder = args.write / o.mutant.name.replace(": ", "-").replace(" ", "_")
                folder.mkdir(parents=True, exist_ok=True)
                (folder / "train.py").write_text(o.mutant.text)
    print("\n" + table(outcomes, tried))


if __name__ == "__main__":
    main()
