"""Measure: is a learning rate that does harm named, and a good one left alone?

    python -m benchmarks.learning_rates [--seeds 10] [--only transformer_lm] [--jobs 1] [--fresh]

Results are kept in build/benchmarks/learning_rates and used again unless --fresh. A run of all families over at least
ten seeds writes docs/learning-rates.md.
"""

from __future__ import annotations

import argparse
import math
import re
import statistics
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks.command import check
from benchmarks.results import Results
from benchmarks.statistics import share

FAMILIES = {
    "mlp_classification": 0.05,
    "mlp_regression": 5e-3,
    "cnn_batchnorm": 0.1,
    "lstm_sequences": 1e-2,
    "transformer_lm": 3e-3,
    "autoencoder": 5e-3,
}
"""Scripts in the folder families, each with its good rate."""

MULTIPLES = {"good": 1.0, "×30": 30.0, "/100": 0.01}
MARGIN = 0.1
"""Harm: a final loss above that of the good rate's worst seed by this share of what the good rate gains (first loss
minus median final loss), or none that is finite."""
RATE_CODES = {"P01", "P02", "P06"}
PAGE = Path(__file__).parents[2] / "docs" / "learning-rates.md"
_RESULT = re.compile(r"first (\S+) final (\S+) steps 300")

INTRODUCTION = f"""# Learning rates that do harm

Six healthy trainings, each at its good learning rate, at thirty times it and at a hundredth of it, over {{seeds}}
seeds. `flightcheck check` gets the script and nothing else. Made by

```
make learning-rates
```

Harm is measured apart from the diagnosis: the mean training loss of the last 30 of 300 steps is not finite, or above
that of the good rate's worst seed by more than {100 * MARGIN:.0f} % of what the good rate gains. Not every run at ×30
or /100 is harmed, and only of harmed runs a finding is asked: P01 at ×30, P02 or P06 at /100, as the first answer. At
the good rate nothing of severity warn or above is right. Intervals are Wilson's, 95 %; runs of one family are alike,
so the intervals are rather too narrow.
"""


@dataclass(frozen=True)
class Run:
    """One training under the tool."""

    family: str
    multiple: str
    seed: int
    first_loss: float
    final_loss: float
    findings: tuple[tuple[str, bool], ...]
    """Code, and whether it is a root; of severity warn or above, the first answer first."""

    @property
    def said(self) -> str:
        return self.findings[0][0] if self.findings else "nothing"


def observe(family: str, multiple: str, seed: int, results: Results) -> Run:
    """Check one training, or take the result that is there."""
    text = (Path(__file__).parent / "families" / f"{family}.py").read_text()
    arguments = ("--lr", f"{FAMILIES[family] * MULTIPLES[multiple]:g}", "--seed", str(seed))
    # One step more than the script has: it ends by itself and prints its losses.
    found = results.get(
        f"{' '.join(arguments)}\n{text}", lambda: check(text, arguments, options=("--steps", "301", "--time", "300"))
    )
    losses = _RESULT.search(found["stdout"])
    if losses is None:
        raise RuntimeError(f"{family} {multiple} seed {seed} did not end: {found['ended']}, {found['stdout'][-300:]}")
    findings = tuple((f["code"], f["root"]) for f in found["findings"])
    return Run(family, multiple, seed, float(losses[1]), float(losses[2]), findings)


def limit_of_harm(good: list[Run]) -> float:
    """The final loss from which on a run of the same family is harmed."""
    gained = statistics.median(r.first_loss for r in good) - statistics.median(r.final_loss for r in good)
    return max(r.final_loss for r in good) + MARGIN * gained


def is_harmed(run: Run, limit: float) -> bool:
    """Whether the training suffered, whatever was said of it."""
    return not math.isfinite(run.final_loss) or run.final_loss > limit


def right(run: Run) -> bool:
    """Whether the first answer names the rate in the right direction."""
    return run.said in {"good": ("nothing",), "×30": ("P01",), "/100": ("P02", "P06")}[run.multiple]


def report(runs: list[Run]) -> list[str]:
    """Shares in all, then for each family."""
    limits = {f: limit_of_harm([r for r in runs if r.family == f and r.multiple == "good"]) for f in _families(runs)}
    good = [r for r in runs if r.multiple == "good"]
    others = [r for r in runs if r.multiple != "good"]
    unharmed = [r for r in others if not is_harmed(r, limits[r.family])]
    high, low = (
        [r for r in others if r.multiple == multiple and is_harmed(r, limits[r.family])] for multiple in ("×30", "/100")
    )
    rows = {
        "good rate: P01, P02 or P06 said": (good, _names_rate),
        "good rate: any finding of warn or above": (good, lambda r: bool(r.findings)),
        "harmed at ×30: P01 first": (high, right),
        "harmed at /100: P02 or P06 first": (low, right),
        "not harmed at ×30 or /100: P01, P02 or P06 said": (unharmed, _names_rate),
    }
    return [
        "| question | share |",
        "| --- | --- |",
        *(f"| {title} | {share(sum(map(test, chosen)), len(chosen))} |" for title, (chosen, test) in rows.items()),
        "",
        "| family | rate | final loss, median (worst) | harmed from | harmed | right among them | said first |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *(_row(family, m, runs, limit) for family, limit in limits.items() for m in MULTIPLES),
    ]


def _row(family: str, multiple: str, runs: list[Run], limit: float) -> str:
    own = [r for r in runs if r.family == family and r.multiple == multiple]
    hurt = [r for r in own if is_harmed(r, limit)]
    finals = [r.final_loss for r in own]
    harm = f"{len(hurt)} of {len(own)} | {sum(map(right, hurt))} of {len(hurt)}" if multiple != "good" else "– | –"
    rate = FAMILIES[family] * MULTIPLES[multiple]
    losses = f"{statistics.median(finals):.3g} ({max(finals, key=_order):.3g})"
    return f"| {family} | {rate:g} ({multiple}) | {losses} | {limit:.3g} | {harm} | {_counts(r.said for r in own)} |"


def _names_rate(run: Run) -> bool:
    return any(code in RATE_CODES for code, _ in run.findings)


def _order(loss: float) -> float:
    return loss if math.isfinite(loss) else math.inf


def _families(runs: list[Run]) -> list[str]:
    return list(dict.fromkeys(r.family for r in runs))


def _counts(said: Iterable[str]) -> str:
    words = sorted(said)
    return ", ".join(f"{w} {words.count(w)}" for w in sorted(set(words), key=lambda w: -words.count(w)))


def main() -> None:
    """Print the tables; write the page after a run of everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--only", default="", help="families, with commas between")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--fresh", action="store_true", help="do not use results of earlier calls")
    args = parser.parse_args()
    only = set(args.only.split(",")) - {""}
    if only - set(FAMILIES):
        parser.error(f"no family {', '.join(sorted(only - set(FAMILIES)))}; there are {', '.join(FAMILIES)}")
    results = Results("learning_rates", fresh=args.fresh)
    wanted = [(f, m, s) for f in FAMILIES if not only or f in only for m in MULTIPLES for s in range(args.seeds)]
    runs = []
    with ThreadPoolExecutor(args.jobs) as pool:
        for run in pool.map(lambda w: observe(w[0], w[1], w[2], results), wanted):
            runs.append(run)
            print(f"{run.family} {run.multiple} seed {run.seed}: final {run.final_loss:.4g}, {run.said}", flush=True)
    tables = report(runs)
    print("\n" + "\n".join(tables))
    if results.reused:
        print(f"\n{results.reused} of {len(runs)} results are of an earlier call; --fresh makes them anew.")
    if not only and args.seeds >= 10:
        PAGE.write_text("\n".join([INTRODUCTION.format(seeds=args.seeds), *tables]) + "\n")


if __name__ == "__main__":
    main()
