"""Measure: on the scripts of the peer suite, is the cause first, at its line, with a fix that was tried, and how soon?

    python -m benchmarks.peer_suite [--lab-budget 120] [--only f05_vanishing]

One after another, on a machine that does nothing else: seconds are part of the answer. A run of all scripts writes
docs/peer-suite.md.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from typing import Any

from benchmarks.command import check
from benchmarks.peer_suite.expected import EXPECTED, HEALTHY, SUITE
from benchmarks.statistics import share

PAGE = Path(__file__).parents[2] / "docs" / "peer-suite.md"
INTRODUCTION = """# The peer suite

Thirteen faulty and four healthy scripts on which other tools were measured, under `flightcheck check` with experiments.
Made by

```
make peer-suite
```

"confirmed" says that the fix of the first finding was tried and works. Seconds are those of one call on two cores.
"""


def row(name: str, found: dict[str, Any]) -> str:
    """A line of the table."""
    first = (found["findings"] or [None])[0]
    codes, _ = EXPECTED.get(name, (set(), ""))
    said = f"{first['code']}, line {first['line'] or '–'}" if first else "nothing"
    marks = ["yes" if right(name, found) else "no", "yes" if right_line(name, found) else "no" if codes else "–"]
    trial = first["trial"] if first else "–"
    truth = " or ".join(sorted(codes)) or "healthy"
    return f"| {name} | {truth} | {said} | {marks[0]} | {marks[1]} | {trial} | {found['seconds']:.0f} |"


def right(name: str, found: dict[str, Any]) -> bool:
    """The first finding names the cause; of a healthy script, nothing is said."""
    if name in HEALTHY:
        return not found["findings"]
    return bool(found["findings"]) and found["findings"][0]["code"] in EXPECTED[name][0]


def right_line(name: str, found: dict[str, Any]) -> bool:
    """The first finding names the cause at the line of the fault."""
    if name in HEALTHY or not right(name, found) or not found["findings"][0]["line"]:
        return False
    line = (SUITE / f"{name}.py").read_text().splitlines()[found["findings"][0]["line"] - 1]
    return EXPECTED[name][1] in line


def summary(results: dict[str, dict[str, Any]]) -> list[str]:
    """Shares and the median time."""
    faulty = {n: r for n, r in results.items() if n in EXPECTED}
    healthy = {n: r for n, r in results.items() if n in HEALTHY}
    confirmed = sum(bool(r["findings"]) and r["findings"][0]["trial"] == "confirmed" for r in faulty.values())
    lines = [
        f"- right cause first: {share(sum(right(n, r) for n, r in faulty.items()), len(faulty))}",
        f"- right line: {share(sum(right_line(n, r) for n, r in faulty.items()), len(faulty))}",
        f"- confirmed fix: {share(confirmed, len(faulty))}",
        f"- healthy scripts that hear nothing: {share(sum(right(n, r) for n, r in healthy.items()), len(healthy))}",
    ]
    seconds = [r["seconds"] for r in results.values()]
    return [*lines, f"- median time: {statistics.median(seconds):.0f} s ({min(seconds):.0f}–{max(seconds):.0f} s)"]


def main() -> None:
    """Print the table; write the page after a run of all scripts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lab-budget", default="120", help="seconds for experiments")
    parser.add_argument("--only", default="", help="names, with commas between")
    args = parser.parse_args()
    only = {n.strip() for n in args.only.split(",") if n.strip()}
    table = [
        "| script | truth | said first | right | line | fix | seconds |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    print("\n".join(table), flush=True)
    results = {}
    for name in [n for n in (*EXPECTED, *HEALTHY) if not only or n in only]:
        text = (SUITE / f"{name}.py").read_text()
        results[name] = check(text, options=("--lab-budget", args.lab_budget), name=f"{name}.py")
        table.append(row(name, results[name]))
        print(table[-1], flush=True)
    lines = summary(results)
    print("\n" + "\n".join(lines))
    if not only:
        PAGE.write_text("\n".join([INTRODUCTION, *lines, "", *table]) + "\n")


if __name__ == "__main__":
    main()
