"""The page of views in a real browser: pictures against the data, the slider, no request, no error."""

from __future__ import annotations

import html
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import nn

from flightcheck.report.view.pictures import Scale, laid_out
from flightcheck.viewing import Film, View, view
from tests.report.test_page_browser import CHROMIUM, browser
from tests.views.made import KINDS, case

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

__all__ = ["browser"]
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (Debian: apt-get install chromium)")
PIXELS = """async ([source, width, height]) => {
    const image = new Image(); image.src = source; await image.decode();
    const canvas = document.createElement("canvas"); canvas.width = width; canvas.height = height;
    const context = canvas.getContext("2d"); context.drawImage(image, 0, 0);
    return [...context.getImageData(0, 0, width, height).data];
}"""


def filmed(kind: str) -> View:
    """A training of six steps."""
    model, batch, targets = case(kind)
    optimizer = torch.optim.Adam(model.parameters(), 0.05)
    film = Film(model, batch, targets if targets.dim() == 1 else None, example=2)
    for step in range(7):
        if step in (0, 2, 6):
            film.take(step)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(batch).flatten(0, -2), targets.flatten()).backward()  # type: ignore[no-untyped-call]
        if step < 6:
            optimizer.step()
    return film.view()


class Opened:
    """A page in a tab of its own, and all that the browser said of it."""

    def __init__(self, browser: Browser, file: Path, **context: Any) -> None:
        self.context = browser.new_context(viewport={"width": 1200, "height": 900}, **context)
        self.tab: Page = self.context.new_page()
        self.said: list[str] = []
        self.requests: list[str] = []
        self.tab.on("console", lambda message: self.said.append(message.text))
        self.tab.on("pageerror", lambda error: self.said.append(str(error)))
        self.tab.on("request", lambda request: self.requests.append(request.url))
        self.tab.goto(file.as_uri())

    def ask(self, expression: str, argument: Any = None) -> Any:
        return self.tab.evaluate(expression, argument)

    def picture(self, name: str) -> None:
        """Kept where the environment names a folder for pictures."""
        folder = os.environ.get("FLIGHTCHECK_PICTURES")
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.tab.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Iterator[Any]:
    tabs: list[Opened] = []

    def open_page(text: str, **context: Any) -> Opened:
        file = tmp_path / f"page{len(tabs)}.html"
        file.write_text(text, encoding="utf-8")
        tabs.append(Opened(browser, file, **context))
        return tabs[-1]

    yield open_page
    for tab in tabs:
        tab.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", KINDS)
def test_no_error_no_request_and_every_picture_is_there(opened: Any, kind: str, scheme: str) -> None:
    shown = filmed(kind)
    tab = opened(shown.page(), color_scheme=scheme)
    tab.tab.wait_for_selector("html[data-drawn]", state="attached")
    assert tab.said == []
    assert {u.split(":")[0] for u in tab.requests} <= {"file", "data"}
    assert tab.ask("[...document.images].filter(i => !i.complete || !i.naturalWidth).length") == 0
    assert tab.ask("document.images.length") >= len(shown.views.last.activations)
    layers = shown.views.structure.leaves()
    assert tab.ask("document.querySelectorAll('#graph .node').length") == len(layers)
    drawn, known = tab.ask("document.querySelectorAll('#graph .edge').length"), shown.views.structure.edges
    assert len({b for _, b in known}) <= drawn <= len(known)
    tab.picture(f"views-{kind}-{scheme}")


def test_pictures_in_the_graph_are_the_activations(opened: Any) -> None:
    shown = filmed("cnn")
    tab = opened(shown.page())
    views = shown.views
    frames = [s.activations["one"] for s in views.snapshots]
    film = tab.ask("flightcheckFilm.data.layers.find(x => x.path === 'one').answers")
    scale = Scale.of(frames)
    sheet = np.concatenate([laid_out(f) for f in frames])
    assert (film["width"], film["height"] * 3) == sheet.shape[::-1]
    seen = np.array(tab.ask(PIXELS, [film["src"], *sheet.shape[::-1]])).reshape(*sheet.shape, 4)
    wanted = scale.palette()[scale.levels(sheet)]
    there = scale.levels(sheet) > 0
    assert (seen[there][:, :3] == wanted[there]).all()
    assert (seen[~there][:, 3] == 0).all(), "between the channels nothing is drawn"


def test_the_slider_moves_all_pictures_to_their_step(opened: Any) -> None:
    shown = filmed("cnn")
    tab = opened(shown.page())
    windows = (
        "[...document.querySelectorAll('#graph svg.film')].map(f => f.viewBox.baseVal.y / f.viewBox.baseVal.height)"
    )
    assert set(tab.ask(windows)) == {2}
    assert tab.ask("document.getElementById('at').textContent") == "step 6"
    before = tab.ask("[...document.querySelectorAll('#points circle')].map(c => c.getAttribute('cx'))")
    tab.tab.locator("#step").press("Home")
    assert set(tab.ask(windows)) == {0}
    assert tab.ask("document.getElementById('at').textContent") == "step 0"
    assert tab.ask("[...document.querySelectorAll('#points circle')].map(c => c.getAttribute('cx'))") != before
    scores = shown.views.snapshots[0].scores
    assert scores is not None
    assert tab.ask("document.getElementById('answer').textContent").startswith(f"best score: {int(scores.argmax())} ")
    tab.tab.locator("#play").click()
    tab.tab.wait_for_timeout(2600)
    assert tab.ask("[flightcheckFilm.at, document.getElementById('play').textContent]") == [2, "Play"]


def test_a_layer_is_chosen_by_mouse_and_by_keyboard(opened: Any) -> None:
    tab = opened(filmed("cnn").page())
    tab.tab.locator("#graph .node[aria-label^='two'] .kind").click()
    assert tab.ask("document.querySelector('#layer h3').textContent") == "two"
    assert "584" in tab.ask("document.querySelector('#layer dl').textContent")
    tab.tab.locator("#graph .node[aria-label^='head']").focus()
    tab.tab.keyboard.press("Enter")
    assert tab.ask("document.querySelector('#layer h3').textContent") == "head"
    assert tab.ask("document.activeElement.getAttribute('aria-label')").startswith("head")


def test_containers_close_and_open(opened: Any) -> None:
    tab = opened(filmed("transformer").page())
    nodes = "document.querySelectorAll('#graph .node').length"
    many = tab.ask(nodes)
    tab.tab.locator("#graph .group text", has_text="0 · TransformerEncoderLayer").click()
    assert tab.ask(nodes) < many
    tab.tab.locator("#graph .node[aria-expanded='false'] .kind").click()
    assert tab.ask(nodes) == many


def test_the_arrows_are_the_data_s(opened: Any) -> None:
    """The residual way of the network is an arrow of its own: from the pool past both convolutions."""
    shown = filmed("cnn")
    tab = opened(shown.page())
    drawn = tab.ask("flightcheckFilm.data.edges.map(e => e.map(i => flightcheckFilm.data.layers[i].path))")
    assert ["pool", "drop"] in drawn
    assert [tuple(e) for e in drawn] == shown.views.structure.edges


@pytest.mark.parametrize("scripts", [True, False])
def test_hostile_strings_do_nothing_and_are_shown(opened: Any, scripts: bool) -> None:
    evil = "<script>window.hit = 1</script><img src=x onerror='window.hit = 1'>"
    kind = type(evil, (nn.Linear,), {"extra_repr": lambda self: evil})
    model = nn.Sequential(kind(4, 4), nn.ReLU(), kind(4, 2))
    shown = View(view(model, torch.randn(3, 4)).views, evil)
    tab = opened(shown.page(), java_script_enabled=scripts)
    assert tab.said == []
    assert evil in tab.tab.locator(".banner").inner_text()
    if scripts:
        assert tab.ask("window.hit") is None
        assert tab.tab.locator("img:not([src^='data:'])").count() == 0


def test_a_notebook_s_frame_shows_the_page(opened: Any) -> None:
    shown = filmed("mlp")
    notebook = f"<!doctype html><title>{html.escape('a notebook')}</title><body>{shown._repr_html_()}"
    tab = opened(notebook)
    frame = tab.tab.frame_locator("iframe")
    frame.locator("#graph .node").first.wait_for()
    assert frame.locator("#graph .node").count() == 4
    assert tab.said == []
