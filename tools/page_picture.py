"""Draws docs/page.png: the example is run under Flightcheck, and its page is opened in Chromium."""

from __future__ import annotations

import importlib
import shutil
import sys
import tempfile
from pathlib import Path

from report_picture import ROOT, watched_example

from flightcheck.checks.registry import run_checks
from flightcheck.diagnosis.engine import diagnose
from flightcheck.report.page.document import page

PICTURE = ROOT / "docs" / "page.png"
WIDTH, HEIGHT = 1100, 690


def main() -> None:
    """Run the example and keep what a browser shows of its page at first."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("no Chromium is installed (Debian: apt-get install chromium); the picture is left as it was")
    with tempfile.TemporaryDirectory() as folder:
        _, run = watched_example(folder)
        file = Path(folder) / "page.html"
        file.write_text(page(run, diagnose(run, run_checks(run))), encoding="utf-8")
        with importlib.import_module("playwright.sync_api").sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            tab = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
            tab.goto(file.as_uri())
            tab.wait_for_selector("html[data-drawn]", state="attached")
            tab.screenshot(path=PICTURE)
            browser.close()
    print(f"{PICTURE.name}: {PICTURE.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
