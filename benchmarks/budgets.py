"""Does ``flightcheck run`` see less at its default budget than where it may look at everything in every step?

    python -m benchmarks.budgets [--step 3] [--jobs 2]

Every so many faults of the zoo, in the order of their names, and all scripts of the peer suite, each watched to its end
with both budgets; no experiments. A finding that comes with one budget only is named. Writes docs/budgets.md.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks.command import check
from benchmarks.peer_suite.expected import EXPECTED, HEALTHY, SUITE
from benchmarks.results import Results
from benchmarks.statistics import share
from benchmarks.zoo.programs import programs

PAGE: Final = Path(__file__).parents[1] / "docs" / "budgets.md"
DEFAULT, EVERYTHING = "0.02", "1"


class Script(NamedTuple):
    """One program, and the codes that name its cause; none of a healthy one."""

    name: str
    text: str
    causes: frozenset[str]


class Seen(NamedTuple):
    """Codes of severity warn or above with each budget, root causes first."""

    script: Script
    default: list[str]
    everything: list[str]

    @property
    def lost(self) -> set[str]:
        """Found only where everything is looked at."""
        return set(self.everything) - set(self.default)

    @property
    def won(self) -> set[str]:
        """Found only at the default budget."""
        return set(self.default) - set(self.everything)


def right(script: Script, codes: list[str]) -> bool:
    """The cause is named first; of a healthy script, nothing is said."""
    return codes[0] in script.causes if codes and script.causes else not codes and not script.causes


def chosen(step: int) -> list[Script]:
    """Scripts of the peer suite, and every so many faults of the zoo."""
    suite = [Script(n, (SUITE / f"{n}.py").read_text(), frozenset(EXPECTED.get(n, ((), ""))[0])) for n in EXPECTED]
    suite += [Script(n, (SUITE / f"{n}.py").read_text(), frozenset()) for n in HEALTHY]
    faults = [p for p in programs() if p.kind == "faulty" and p.causes]
    return suite + [Script(p.name, p.text, frozenset(p.causes)) for p in faults[::step]]


def watched(script: Script, results: Results) -> Seen:
    """Watch it twice."""

    def codes(budget: str) -> list[str]:
        def make() -> Any:
            return check(script.text, options=("--budget", budget), mode="run")

        found = results.get(f"{budget}\n{script.text}", make)
        return [f["code"] for f in found["findings"]]

    return Seen(script, codes(DEFAULT), codes(EVERYTHING))


def page(seen: list[Seen], step: int) -> str:
    """The page."""
    faulty = [s for s in seen if s.script.causes]
    lines = [
        "# What the default budget sees",
        "",
        f"Made by `python -m benchmarks.budgets --step {step}`: the peer suite and every {step}th fault of the zoo",
        "under `flightcheck run`, to the end of the script, without experiments, once with the default budget of 2 %",
        "and once with a budget of 100 %. Findings of severity warn or above.",
        "",
        "| | default budget | everything, in every step |",
        "| --- | --- | --- |",
        f"| anything found | {share(sum(bool(s.default) for s in faulty), len(faulty))} "
        f"| {share(sum(bool(s.everything) for s in faulty), len(faulty))} |",
        f"| right cause first | {share(sum(right(s.script, s.default) for s in faulty), len(faulty))} "
        f"| {share(sum(right(s.script, s.everything) for s in faulty), len(faulty))} |",
        "",
        f"Healthy scripts: {sum(not s.default for s in seen if not s.script.causes)} of "
        f"{len(seen) - len(faulty)} hear nothing at the default budget.",
        "",
        "Where the two differ:",
        "",
        "| program | causes | default budget | everything |",
        "| --- | --- | --- | --- |",
        *(
            f"| {s.script.name} | {', '.join(sorted(s.script.causes))} | {', '.join(s.default) or 'nothing'} "
            f"| {', '.join(s.everything) or 'nothing'} |"
            for s in seen
            if s.lost or s.won or s.default[:1] != s.everything[:1]
        ),
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Watch all; write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--step", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    scripts = chosen(args.step)
    results = Results("budgets")
    seen: list[Seen] = []
    with ThreadPoolExecutor(args.jobs) as pool:
        for one in pool.map(lambda s: watched(s, results), scripts):
            seen.append(one)
            print(f"[{len(seen)}/{len(scripts)}] {one.script.name}: {one.default} | {one.everything}", flush=True)
    PAGE.write_text(page(seen, args.step))


if __name__ == "__main__":
    main()
