"""Measure the report page: how heavy is it, and how long does headless Chromium take to draw it on two cores?

    python -m benchmarks.page [--times 5] [--no-write]

Needs Chromium and Playwright. A run puts its table into docs/page.md; times are those of a browser that starts anew.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.page.runs import made
from flightcheck.checks.registry import run_checks
from flightcheck.diagnosis.engine import diagnose
from flightcheck.report.page.document import page

PAGE = Path(__file__).parents[2] / "docs" / "page.md"
BEGIN, END = "<!-- measured by benchmarks.page -->", "<!-- end -->"
CORES = 2
DRAWN_WITHIN, WEIGHS_AT_MOST = 2.0, 1e6
"""Seconds for a thousand layers at a thousand steps; bytes of a usual page."""
CASES: tuple[tuple[str, int, int, float], ...] = (
    ("a usual run", 20, 300, 0.3),
    ("a large model", 150, 1000, 0.3),
    ("1,000 × 1,000, smooth", 1000, 1000, 0.0),
    ("1,000 × 1,000, all as noisy as gradients", 1000, 1000, 0.3),
)


@dataclass(frozen=True)
class Measured:
    """One page."""

    name: str
    layers: int
    steps: int
    bytes: int
    written: float
    """Seconds to make the page, in Python; the checks are not in it."""
    busy: list[float]
    """Per try: processor seconds of the page's thread for all of it; other programs do not count here."""
    drawn: list[float]
    """Per try: seconds from the first chart to the last."""
    shown: list[float]
    """Per try: seconds from the start of loading until everything is on the screen."""


def measure(case: tuple[str, int, int, float], times: int, browser: Any) -> Measured:
    """Write the page of a made run and open it `times` times, each in a tab of its own."""
    name, layers, steps, noise = case
    run = made(layers, steps, noise)
    diagnosis = diagnose(run, run_checks(run))
    start = time.perf_counter()
    text = page(run, diagnosis)
    written = time.perf_counter() - start
    busy, drawn, shown = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "page.html"
        file.write_text(text, encoding="utf-8")
        for _ in range(times):
            tab = browser.new_page(viewport={"width": 1200, "height": 900})
            clock = tab.context.new_cdp_session(tab)
            clock.send("Performance.enable", {"timeDomain": "threadTicks"})
            tab.goto(file.as_uri())
            tab.wait_for_selector("html[data-drawn]", state="attached")
            on_screen = (
                "new Promise(r => requestAnimationFrame(() => requestAnimationFrame(() => r(performance.now()))))"
            )
            shown.append(tab.evaluate(on_screen) / 1000)
            drawn.append(int(tab.evaluate("document.documentElement.dataset.drawn")) / 1000)
            told = {m["name"]: m["value"] for m in clock.send("Performance.getMetrics")["metrics"]}
            busy.append(told["TaskDuration"])
            tab.close()
    return Measured(name, layers, steps, len(text.encode()), written, busy, drawn, shown)


def table(rows: list[Measured]) -> str:
    """The results as Markdown."""
    told = [
        "| run | layers × sampled steps | page | written in | processor time | drawn in | on the screen after |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for r in rows:
        drawn = f"{statistics.median(r.drawn):.2f} s ({max(r.drawn):.2f})"
        shown = f"{statistics.median(r.shown):.2f} s ({max(r.shown):.2f})"
        busy = f"{statistics.median(r.busy):.2f} s ({max(r.busy):.2f})"
        size = f"{r.bytes / 1e6:.2f} MB"
        told.append(
            f"| {r.name} | {r.layers:,} × {r.steps:,} | {size} | {r.written:.1f} s | {busy} | {drawn} | {shown} |"
        )
    return "\n".join(told)


def missed(rows: list[Measured]) -> list[str]:
    """What is not as promised, in words."""
    told = [
        f"{r.name}: drawn in {statistics.median(r.drawn):.2f} s, wanted under {DRAWN_WITHIN:.0f} s"
        for r in rows
        if statistics.median(r.drawn) >= DRAWN_WITHIN
    ]
    usual = rows[0]
    if usual.bytes >= WEIGHS_AT_MOST:
        told.append(f"{usual.name}: {usual.bytes / 1e6:.2f} MB, wanted under {WEIGHS_AT_MOST / 1e6:.0f} MB")
    return told


def main() -> int:
    """Measure all cases; 1 if a promise is not held."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--times", type=int, default=5, help="how often each page is opened")
    parser.add_argument("--no-write", action="store_true", help="leave docs/page.md as it is")
    args = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        parser.error("no Chromium is installed (Debian: apt-get install chromium)")
    if hasattr(os, "sched_setaffinity"):  # the browser inherits it
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    from playwright.sync_api import sync_playwright

    rows = []
    with sync_playwright() as playwright:
        for case in CASES:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            rows.append(measure(case, args.times, browser))
            browser.close()
            print(table(rows[-1:]).splitlines()[-1], flush=True)
    if not args.no_write:
        text = PAGE.read_text(encoding="utf-8")
        before, after = text.partition(BEGIN)[0], text.partition(END)[2]
        PAGE.write_text(f"{before}{BEGIN}\n{table(rows)}\n{END}{after}", encoding="utf-8")
    for told in missed(rows):
        print(told)
    return 1 if missed(rows) else 0


if __name__ == "__main__":
    raise SystemExit(main())
