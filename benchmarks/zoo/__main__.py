"""Measure: how often is the diagnosis of a program of the zoo right?

    python -m benchmarks.zoo [--fresh] [--jobs 2] [--only cells,bars] [--half test] [--sample 30 --seed 1] [--verify-only]

Results are kept in build/benchmarks/zoo and used again unless --fresh; those of another version of the tool are used
again, too. Faults are verified first, without the tool. A run of all programs, or of a sample of
them (all take a day of two cores), writes docs/accuracy.md and, for a browser, docs/accuracy.html.
"""

from __future__ import annotations

import argparse
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.results import Results
from benchmarks.zoo.browser import browser_page
from benchmarks.zoo.outcome import Outcome, outcome
from benchmarks.zoo.page import page
from benchmarks.zoo.programs import HALVES, Program, programs
from benchmarks.zoo.verification import ENOUGH, SEEDS, seeds_with_symptom

PAGE = Path(__file__).parents[2] / "docs" / "accuracy.md"
KEPT = """This page was made of results at hand (`python -m benchmarks.zoo --kept`), which may be of neighbouring versions; faults
were not verified anew.

"""
SAMPLED = """This page was made of a sample, drawn anew for it: {n} faults of each half with their twins, and as many healthy
programs of each half (where there are so many), {of} programs of {all}
(`python -m benchmarks.zoo --sample {n} --seed {seed}`). "Never here" below is of the sample, too.

"""
BROWSER_PAGE = PAGE.with_suffix(".html")


def verified(chosen: list[Program], results: Results, jobs: int) -> dict[str, int]:
    """For each fault, the seeds with its symptom."""
    twins = {p.name: p for p in chosen if p.kind == "repaired"}
    faults = [p for p in chosen if p.kind == "faulty"]
    with ThreadPoolExecutor(jobs) as pool:
        counts = pool.map(lambda p: seeds_with_symptom(p, twins[p.name], results), faults)
        seeds = {}
        for p, n in zip(faults, counts, strict=True):
            seeds[p.name] = n
            print(f"{p.name}: symptom in {n} of {SEEDS} seeds{'' if n >= ENOUGH else ', dropped'}", flush=True)
    return seeds


def sample(every: list[Program], n: int, seed: int) -> list[Program]:
    """`n` faults of each half with their twins, and `n` healthy programs of each half, in the order of `every`."""
    drawn: set[tuple[str, bool]] = set()
    for half in HALVES:
        for healthy in (False, True):
            names = sorted({p.name for p in every if p.half == half and (p.kind == "healthy") == healthy})
            chosen = random.Random(f"{seed} {half} {healthy}").sample(names, min(n, len(names)))
            drawn |= {(name, healthy) for name in chosen}
    return [p for p in every if (p.name, p.kind == "healthy") in drawn]


def main() -> None:
    """Verify, check, print; write the page after a run of all programs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fresh", action="store_true", help="check all programs anew (faults are not verified anew)")
    parser.add_argument("--jobs", type=int, default=2, help="programs at once")
    parser.add_argument("--only", default="", help="names, with commas between")
    parser.add_argument("--half", choices=HALVES, help="programs of one half")
    parser.add_argument("--sample", type=int, default=0, help="so many faults and healthy programs of each half")
    parser.add_argument("--seed", type=int, default=1, help="of the sample")
    parser.add_argument("--kept", action="store_true", help="verify and check nothing: the page of the results at hand")
    parser.add_argument("--verify-only", action="store_true", help="do not check, only verify faults")
    args = parser.parse_args()
    only = {n.strip() for n in args.only.split(",") if n.strip()}
    every = list(programs())
    chosen = [p for p in every if (not only or p.name in only) and args.half in (None, p.half)]
    if args.sample:
        chosen = sample(chosen, args.sample, args.seed)
    seeds = {} if args.kept else verified(chosen, Results("zoo_verification"), args.jobs)
    dropped = {name: n for name, n in seeds.items() if n < ENOUGH}
    if args.verify_only:
        return
    results = Results("zoo", args.fresh)
    kept = [p for p in chosen if p.name not in dropped and (not args.kept or results.has(p.text))]
    missing = [f"{p.name} ({p.kind})" for p in chosen if p.name not in dropped and p not in kept]
    outcomes: list[Outcome] = []
    with ThreadPoolExecutor(args.jobs) as pool:
        for done in pool.map(lambda p: outcome(p, results), kept):
            outcomes.append(done)
            said = (
                f"{done.first['code']}, line {done.first['line']}, {done.first['trial']}" if done.first else "nothing"
            )
            mark = "right" if done.right else "WRONG"
            print(f"[{len(outcomes)}/{len(kept)}] {done.program.name} {done.program.kind}: {said}: {mark}", flush=True)
    text = page(outcomes, dropped, missing)
    if args.kept:
        text = text.replace("| |", KEPT + "| |", 1)
    if args.sample:
        told = SAMPLED.format(n=args.sample, seed=args.seed, of=len(chosen), all=len(every))
        text = text.replace("| |", told + "| |", 1)
    print("\n" + text[text.index("| |") : text.index("## Each")])
    if not only and args.half is None:
        PAGE.write_text(text)
        BROWSER_PAGE.write_text(browser_page(outcomes))


if __name__ == "__main__":
    main()
