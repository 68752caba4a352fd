"""What a page weighs, fixed; and the benchmark's own measuring, on a small page."""

from __future__ import annotations

import shutil

import pytest

from benchmarks.page.__main__ import Measured, measure, missed, table
from benchmarks.page.runs import made
from flightcheck.diagnosis import diagnose
from flightcheck.report.page.document import page
from flightcheck.report.page.series import maps

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def test_a_thousand_layers_at_a_thousand_steps_weigh_what_they_must() -> None:
    """Of smooth numbers a byte for every four cells or less; the whole page stays under 2 MB."""
    run = made(1000, 1000, noise=0.0)
    assert [m.values.shape for m in maps(run)] == [(1000, 1000)] * 5
    assert len(page(run, diagnose(run, [])).encode()) < 2_000_000


def test_a_usual_page_stays_under_a_megabyte() -> None:
    run = made(60, 300, noise=0.3)
    assert len(page(run, diagnose(run, [])).encode()) < 1_000_000


def test_a_broken_promise_is_told() -> None:
    slow = Measured("a usual run", 2, 3, 2_000_000, 0.1, [1.0], [2.5], [3.0])
    assert missed([slow]) == [
        "a usual run: drawn in 2.50 s, wanted under 2 s", "a usual run: 2.00 MB, wanted under 1 MB",
    ]  # fmt: skip


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (Debian: apt-get install chromium)")
def test_it_measures_a_page_in_a_browser() -> None:
    api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed (requirements.txt names it)")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        found = measure(("small", 12, 30, 0.3), 2, browser)
        browser.close()
    assert found.bytes > 300_000
    assert len(found.busy) == len(found.drawn) == 2
    assert all(0 < d < s for d, s in zip(found.drawn, found.shown))
    assert all(b > 0 for b in found.busy)
    assert "| small | 12 × 30 | 0." in table([found])
