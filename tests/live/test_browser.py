"""The live page in a real browser: it shows what is recorded as it comes, keeps what is being read, and ends cleanly."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from flightcheck.live.starting import Following
from flightcheck.recording.records import Plan, RunInfo
from flightcheck.recording.run import Run
from flightcheck.recording.signals import SIGNALS
from flightcheck.recording.store import RunWriter
from tests.cli.made import PROBABILITIES, SITE
from tests.report.paged import HOSTILE, training

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (Debian: apt-get install chromium)")
WAIT = 30_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed (requirements.txt names it)")
    with api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


class Training:
    """A recorded training that is written again, step by step, and followed."""

    def __init__(self, folder: Path, run: Run) -> None:
        self.run = run
        self.writer = RunWriter(folder)
        self.info = RunInfo("live", "train.py", "train.py", "2026-11-27T07:00:00+00:00")
        self.writer.put(self.info)
        self.writer.flush(force=True)
        self.following = Following(folder, page=True, select=[], ignore=[])
        answer = self.following.answer(30)
        assert answer is not None
        self.url: str = answer["url"]
        self.step = 0
        self.closed = False

    def go(self, to: int) -> None:
        """Write the steps up to one."""
        if self.step == 0:
            for kind in ("ModuleInfo", "ParameterInfo", "RootInfo", "OptimizerInfo", "Coverage"):
                for i, record in enumerate(self.run.records[kind]):
                    self.writer.put(record, i)
            self.writer.put(Plan())
        for signal in SIGNALS:
            steps, rows = self.run.frames.get(signal.name, (np.empty(0), []))
            for step, row in zip(steps, rows):
                if self.step <= step < to:
                    self.writer.frame(signal, int(step), row)
        self.step = to
        self.writer.flush(force=True)

    def fault(self) -> None:
        """Record what is wrong with it: probabilities go into cross-entropy."""
        self.writer.put(SITE)
        for step in range(8):
            self.writer.append(replace(PROBABILITIES, step=step))
        self.writer.flush(force=True)

    def over(self) -> None:
        """The training ends."""
        self.writer.put(replace(self.info, steps=self.step, ended="finished", seconds=3.0))
        self.writer.close()
        self.closed = True


@pytest.fixture
def followed(tmp_path: Path) -> Iterator[Callable[..., Training]]:
    made: list[Training] = []

    def start(run: Run | None = None) -> Training:
        made.append(Training(tmp_path / str(len(made)), run or training()))
        return made[-1]

    yield start
    for one in made:
        if not one.closed:
            one.over()
            one.following.end(20)


class Opened:
    """The live page in a tab, and what the browser said of it."""

    def __init__(self, browser: Browser, url: str) -> None:
        self.context = browser.new_context(viewport={"width": 1200, "height": 900})
        self.tab: Page = self.context.new_page()
        self.said: list[str] = []
        self.requests: list[str] = []
        self.tab.on("console", lambda message: self.said.append(message.text))
        self.tab.on("pageerror", lambda error: self.said.append(str(error)))
        self.tab.on("request", lambda request: self.requests.append(request.url))
        self.tab.goto(url)

    def at(self, steps: int) -> None:
        """Wait until the charts show so many steps."""
        self.tab.wait_for_selector(f'html[data-steps="{steps}"]', state="attached", timeout=WAIT)

    def points(self) -> int:
        found: int = self.tab.evaluate("""() => {
            const path = document.querySelector('[data-chart=loss] g.each path');
            return path.getAttribute("d").split("L").length;
        }""")
        return found

    def picture(self, name: str) -> None:
        folder = os.environ.get("FLIGHTCHECK_PICTURES")
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.tab.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


@pytest.fixture
def opened(browser: Browser) -> Iterator[Callable[[Training], Opened]]:
    tabs: list[Opened] = []

    def open_page(training: Training) -> Opened:
        tabs.append(Opened(browser, training.url))
        return tabs[-1]

    yield open_page
    for tab in tabs:
        tab.context.close()


def test_it_shows_what_comes_and_ends_as_the_report(followed: Any, opened: Any) -> None:
    one = followed()
    page = opened(one)
    page.tab.wait_for_selector("text=Waiting for the first steps", timeout=WAIT)
    one.go(20)
    page.at(20)
    assert page.points() == 20
    assert page.tab.text_content("#live").startswith("step 20 · loss ")
    one.go(50)
    page.at(50)
    assert page.points() == 50
    assert page.tab.locator("[data-chart=map] canvas").count() == 5
    assert page.tab.text_content("h1").endswith("so far")
    page.picture("live-running")
    one.go(60)
    one.over()
    ended = one.following
    page_end = time.monotonic()
    # The browser asks for the last state while the other side waits for it.
    one.following.over()
    page.tab.wait_for_selector('#live[data-state="over"]', timeout=WAIT)
    page.at(60)
    assert page.points() == 60
    assert "so far" not in page.tab.text_content("h1")
    assert "until step" not in page.tab.text_content("main")
    assert ended.end(20)
    assert time.monotonic() - page_end < 20
    assert page.said == []
    assert {u.rsplit("/", 1)[0] + "/" for u in page.requests} == {one.url}


def test_a_finding_appears_and_is_said_aloud(followed: Any, opened: Any) -> None:
    one = followed()
    one.go(20)
    page = opened(one)
    page.at(20)
    assert page.tab.locator("main .card").count() == 0
    one.fault()
    one.go(30)
    page.at(30)
    one.go(31)
    page.tab.wait_for_selector("text=One root cause so far", timeout=WAIT)
    assert "double softmax" in page.tab.text_content("main .card").lower()
    assert page.tab.text_content("#live-news") == "One root cause so far"
    assert "double-softmax" in page.tab.text_content("#live").lower()
    assert page.said == []


def test_what_is_being_read_stays(followed: Any, opened: Any) -> None:
    one = followed()
    one.go(20)
    page = opened(one)
    page.at(20)
    page.tab.locator("summary", has_text="Loss and learning rate as numbers").click()
    canvas = page.tab.locator("[data-name=gradient] canvas")
    canvas.focus()
    page.tab.keyboard.press("ArrowRight")
    told = page.tab.text_content("[data-name=gradient] .reading")
    assert "step 1 " in told
    page.tab.evaluate("window.scrollTo(0, 700)")
    one.go(40)
    page.at(40)
    assert page.tab.locator("details[open] summary", has_text="Loss and learning rate as numbers").count() == 1
    assert page.tab.text_content("[data-name=gradient] .reading") == told
    assert page.tab.evaluate("document.activeElement.tagName") == "CANVAS"
    assert abs(page.tab.evaluate("window.scrollY") - 700) < 200
    page.tab.evaluate("document.activeElement.blur()")
    one.go(50)
    page.at(50)
    page.tab.locator("[data-name=gradient] canvas").focus()
    page.tab.keyboard.press("ArrowRight")
    assert page.said == []


def test_the_chosen_module_stays_chosen(followed: Any, opened: Any) -> None:
    one = followed()
    one.go(20)
    page = opened(one)
    page.at(20)
    page.tab.locator(".graph .node[data-module='2']").click()
    page.tab.mouse.move(0, 0)
    page.tab.evaluate("document.activeElement.blur()")
    one.go(40)
    page.at(40)
    assert page.tab.locator(".graph .node.chosen").get_attribute("data-module") == "2"
    assert page.said == []


def test_closing_the_browser_ends_nothing_else(followed: Any, opened: Any) -> None:
    one = followed()
    one.go(20)
    page = opened(one)
    page.at(20)
    page.context.close()
    one.go(40)
    again = opened(one)
    again.at(40)
    assert again.points() == 40


def test_the_browser_refuses_what_comes_from_elsewhere(followed: Any, opened: Any) -> None:
    one = followed()
    one.go(5)
    page = opened(one)
    page.at(5)
    answer = page.tab.evaluate("""async () => {
        const script = document.createElement("script");
        script.textContent = "window.hit = 1";
        document.body.append(script);
        try { await fetch("http://127.0.0.1:9/"); return "answered"; } catch { return String(window.hit); }
    }""")
    assert answer == "undefined"
    assert any("Content Security Policy" in said for said in page.said)


def test_hostile_names_that_come_later_are_text(followed: Any, opened: Any) -> None:
    run = training(layers=len(HOSTILE))
    for i, text in enumerate(HOSTILE, 1):
        run.records["ModuleInfo"][i] = replace(run.records["ModuleInfo"][i], path=f"Net.{text}", type=text)
    one = followed(run)
    page = opened(one)
    page.tab.wait_for_selector("text=Waiting for the first steps", timeout=WAIT)
    one.go(10)
    page.at(10)
    assert page.tab.evaluate("window.hit") is None
    assert HOSTILE[0] in page.tab.text_content("main")
    assert page.tab.locator("main img, main script").count() == 0
    assert page.said == []


def test_a_training_that_is_killed_is_told(followed: Any, opened: Any) -> None:
    one = followed()
    one.go(10)
    page = opened(one)
    page.at(10)
    one.following.close()  # as the death of the process does
    page.tab.wait_for_selector('#live[data-state="over"]', timeout=WAIT)
    assert "The script has not ended, or was killed" in page.tab.text_content("main")
