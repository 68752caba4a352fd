"""The page in a real browser: charts against the data, no request, no error, and strings that attack stay text."""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from flightcheck.diagnosis import Diagnosis, diagnose
from flightcheck.recording.run import Run
from flightcheck.report.page.comparison import comparison_page
from flightcheck.report.page.document import page
from flightcheck.report.page.series import maps
from tests.report.compared import compared, hostile_page, page_of, trained
from tests.report.made import HEALTHY
from tests.report.paged import HOSTILE, broken, hostile, training

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (Debian: apt-get install chromium)")
DRAWN = "document.documentElement.dataset.drawn"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed (requirements.txt names it)")
    with api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


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
        if context.get("java_script_enabled", True):
            self.tab.wait_for_selector("html[data-drawn]", state="attached")  # polling a function needs eval

    def ask(self, expression: str) -> Any:
        return self.tab.evaluate(expression)

    def picture(self, name: str) -> None:
        """Kept where the environment names a folder for pictures."""
        folder = os.environ.get("FLIGHTCHECK_PICTURES")
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.tab.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Iterator[Any]:
    tabs: list[Opened] = []

    def open_page(case: tuple[Run, Diagnosis] | str, **context: Any) -> Opened:
        file = tmp_path / f"page{len(tabs)}.html"
        file.write_text(case if isinstance(case, str) else page(*case), encoding="utf-8")
        tabs.append(Opened(browser, file, **context))
        return tabs[-1]

    yield open_page
    for tab in tabs:
        tab.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_error_and_no_request(opened: Any, scheme: str) -> None:
    tab = opened(broken(), color_scheme=scheme)
    assert tab.said == []
    assert [u.split(":")[0] for u in tab.requests] == ["file"]
    assert tab.ask("[...document.querySelectorAll('[data-chart]')].filter(f => f.hidden).length") == 0
    tab.picture(f"broken-{scheme}")


def test_the_browser_would_refuse_a_request_and_a_foreign_script(opened: Any) -> None:
    tab = opened(broken())
    refused = """async () => {
        const script = document.createElement("script");
        script.textContent = "window.hit = 1";
        document.body.append(script);
        try { await fetch("http://127.0.0.1:9/"); return "answered"; } catch { return String(window.hit); }
    }"""
    assert tab.tab.evaluate(refused) == "undefined"
    assert any("Content Security Policy" in said for said in tab.said)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(opened: Any, scheme: str) -> None:
    """Contrast of at least 4.5 to 1 for everything that is read (WCAG 2.2, AA)."""
    tab = opened(broken(), color_scheme=scheme)
    tab.ask("document.querySelectorAll('details').forEach(d => d.open = true)")
    worst = tab.ask("""() => {
        const c = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
        const rgb = (css) => { c.clearRect(0, 0, 1, 1); c.fillStyle = css; c.fillRect(0, 0, 1, 1); return [...c.getImageData(0, 0, 1, 1).data]; };
        const light = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
            .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
        const ground = (e) => { for (; e; e = e.parentElement) { const g = rgb(getComputedStyle(e).backgroundColor); if (g[3] > 0) return g; } };
        let low = [99, ""];
        for (const e of document.querySelectorAll("body *:not(svg *)")) {
            if (![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()) || !e.getClientRects().length) continue;
            if (["SCRIPT", "STYLE"].includes(e.tagName)) continue;
            const [a, b] = [light(rgb(getComputedStyle(e).color)), light(ground(e))].sort((x, y) => y - x);
            const contrast = (a + 0.05) / (b + 0.05);
            if (contrast < low[0]) low = [contrast, e.className + ": " + e.textContent.slice(0, 40)];
        }
        return low;
    }""")
    assert worst[0] >= 4.5, worst


def test_the_loss_is_drawn_as_it_was(opened: Any) -> None:
    run, diagnosis = broken()
    tab = opened((run, diagnosis))
    points = tab.ask("""() => {
        const path = document.querySelector('[data-chart=loss] g.each path');
        return path.getAttribute("d").slice(1).split("L").map(p => p.split(",").map(Number));
    }""")
    x, y = np.array(points).T
    loss = np.array(run.frames["loss"][1]).ravel()
    assert len(x) == len(loss)
    assert np.corrcoef(x, np.arange(len(loss)))[0, 1] == pytest.approx(1, abs=1e-6)
    assert np.corrcoef(y, loss)[0, 1] == pytest.approx(-1, abs=1e-6)  # a screen's y grows downwards


def test_findings_are_marked_at_their_step(opened: Any) -> None:
    tab = opened(broken())
    marks = tab.ask("""() => [...document.querySelectorAll('[data-name=gradient] g.finding')].map(g =>
        [g.textContent, Number(g.getAttribute("transform").match(/[\\d.]+/)[0])])""")
    width = tab.ask("document.querySelector('[data-name=gradient] canvas').clientWidth")
    left = tab.ask("flightcheck.LEFT")
    told = {label: round((at - left) / width * 60) for label, at in marks}
    assert told == {"L03": 0, "C07": 20, "P33": 30, "P13": 40}


@pytest.mark.parametrize("name", ["gradient", "ratio", "activation", "dead", "saturated"])
def test_cells_hold_the_numbers_that_were_recorded(opened: Any, name: str) -> None:
    run, diagnosis = broken()
    tab = opened((run, diagnosis))
    expected = next(m for m in maps(run) if m.quantity.name == name)
    told = tab.ask(f"""() => {{
        const map = flightcheck.data.maps.find(m => m.name === "{name}");
        return [...flightcheck.decoded.get("{name}")].map(code => flightcheck.inWords(code, map.kind));
    }}""")
    values = expected.values.T.ravel()
    assert len(told) == len(values)
    for said, value in zip(told, values):
        number = float(said.removesuffix(" %")) / (100 if said.endswith("%") else 1)
        assert number == pytest.approx(value, rel=0.06, abs=0.001 if said.endswith("%") else 0)


def test_colours_follow_the_numbers(opened: Any) -> None:
    tab = opened(broken())
    rows = tab.ask("""() => {
        const canvas = document.querySelector("[data-name=dead] canvas");
        const [w, h] = [canvas.width, canvas.height];
        const pixels = canvas.getContext("2d").getImageData(0, 0, w, h).data;
        return [0, 1, 2, 3].map(r => [...pixels.slice(4 * (Math.floor((r + 0.5) * h / 4) * w + (w >> 1))).slice(0, 4)]);
    }""")
    green = [row[1] for row in rows]  # from the ground's grey to red
    assert green == sorted(green, reverse=True)
    assert len(set(green)) == 4
    assert all(row[3] == 255 for row in rows)


def test_cells_are_read_by_pointer_and_keys(opened: Any) -> None:
    tab = opened(broken())
    canvas = tab.tab.locator("[data-name=gradient] canvas")
    reading = tab.tab.locator("[data-name=gradient] .reading")
    canvas.focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowRight"):
        tab.tab.keyboard.press(key)
    assert reading.inner_text() == "Net.layer2 · step 2 · 0.589"  # exp(-0.52) = 0.595, known to 1.2 %
    assert reading.get_attribute("aria-live") == "polite"
    box = canvas.bounding_box()
    assert box
    canvas.hover(position={"x": box["width"] - 2, "y": box["height"] - 2})
    assert reading.inner_text().startswith("Net.layer4 · step 59 · ")


def test_spreads_are_drawn_as_ridges(opened: Any) -> None:
    tab = opened(broken())
    panel = tab.tab.locator("[data-chart=ridges] svg")
    assert panel.count() == 2  # outputs were not recorded here
    assert panel.first.locator(".ridge").count() == 10
    assert panel.first.get_attribute("aria-label") == "Weight of Net.layer4 at 10 steps; the table holds numbers."
    spans = tab.ask("""() => [...document.querySelectorAll('[data-chart=ridges] svg:first-child .ridge path:first-child')].map(p => {
        const points = p.getAttribute("d").slice(1).split("L").map(s => s.split(",").map(Number));
        const base = points[0][1];
        const high = points.filter(([, y]) => base - y > 15).map(([x]) => x);
        return [Math.min(...high), Math.max(...high)];
    })""")
    widths = [b - a for a, b in spans]
    assert widths == sorted(widths)
    assert widths[-1] / widths[0] == pytest.approx(10, rel=0.2)  # as the values widen
    assert {round((a + b) / 2) for a, b in spans} == {round(sum(spans[0]) / 2)}
    told = panel.last.locator("title").all_text_contents()
    assert "50 % exactly 0" in told[0]
    assert "100 % not finite" in told[9]
    assert panel.first.locator("g.finding text").all_text_contents() == ["L03", "C07 +2"]  # the latter after the last
    tab.tab.locator("[data-chart=ridges] select").select_option("0")
    assert (panel.first.get_attribute("aria-label") or "").startswith("Weight of Net.layer1 ")


def test_modules_are_drawn_with_their_health_and_chosen(opened: Any) -> None:
    tab = opened(broken())
    nodes = tab.ask("[...document.querySelectorAll('.node')].map(n => n.getAttribute('aria-label'))")
    assert nodes == [
        "Net.layer1, Linear: nothing found",
        "Net.layer2, Linear: warning, P13",  # its line constructs this layer
        "Net.layer3, Linear: nothing found",
        "Net.layer4, Linear: faulty, L03",
    ]
    assert len(tab.ask("[...document.querySelectorAll('.edge')].map(e => 1)")) == 3
    assert "L03 double softmax" in tab.tab.locator("#module").inner_text()  # the worst is chosen at first
    tab.tab.locator(".node").first.click()
    assert tab.tab.locator("#module").inner_text().startswith("✓ Net.layer1")
    tab.tab.keyboard.press("Tab")
    tab.tab.keyboard.press("Enter")
    assert tab.tab.locator("#module").inner_text().startswith("! Net.layer2")
    tab.tab.locator(".group text").click()  # closes the container
    assert tab.tab.locator(".node").count() == 1
    assert tab.tab.locator(".node").get_attribute("aria-label") == "Net, Net: faulty, P13, L03"
    tab.tab.keyboard.press("Enter")
    assert tab.tab.locator(".node").count() == 4
    tab.tab.locator(".node").last.click()
    tab.tab.locator("#module a").first.click()
    assert tab.ask("location.hash") == "#finding-L03-0"


def test_it_is_read_without_javascript(opened: Any) -> None:
    tab = opened(broken(), java_script_enabled=False)
    told = tab.tab.locator("body").inner_text()
    for words in ("Double softmax", "Return the logits", "0.821 → 0.519", "Gradient norm as numbers", "1 of 8 batches"):
        assert words in told
    assert not tab.tab.locator("[data-chart]:visible").count()
    tab.tab.get_by_text("Gradient norm as numbers").click()
    assert tab.tab.get_by_text("Gradient norm by layer, 60 sampled steps").is_visible()
    tab.picture("without-javascript")


@functools.cache
def attacks() -> tuple[Run, Diagnosis]:
    return hostile()


def test_hostile_strings_do_nothing_and_are_shown(opened: Any) -> None:
    tab = opened(attacks())
    for node in tab.tab.locator(".node").all()[:4]:
        node.click()
    tab.tab.locator("[data-name=gradient] canvas").focus()
    tab.tab.keyboard.press("ArrowDown")
    assert tab.said == []
    assert len(tab.requests) == 1
    assert tab.ask("[typeof window.hit, document.images.length, document.scripts.length]") == ["undefined", 0, 8]
    told = tab.ask("document.body.textContent")
    for text in (*HOSTILE[:3], HOSTILE[4], HOSTILE[7]):
        assert text in told
    assert tab.ask("document.documentElement.scrollWidth <= innerWidth")  # 10,000 letters widen nothing
    tab.picture("hostile")


def test_a_narrow_screen_scrolls_in_one_direction(opened: Any) -> None:
    tab = opened(broken())
    tab.tab.set_viewport_size({"width": 390, "height": 800})
    tab.tab.wait_for_timeout(400)
    assert tab.said == []
    assert tab.ask("document.documentElement.scrollWidth") <= 390
    tab.picture("narrow")


def test_it_prints_light_and_unfolded(opened: Any) -> None:
    tab = opened(broken(), color_scheme="dark")
    tab.tab.emulate_media(media="print")
    assert tab.ask("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert len(tab.tab.pdf()) > 10_000
    tab.ask("window.dispatchEvent(new Event('beforeprint'))")
    assert tab.ask("document.querySelectorAll('main details:not([open])').length") == 0


def test_a_thousand_layers_at_a_thousand_steps(opened: Any) -> None:
    run = training(layers=1000, steps=1000)
    case = run, diagnose(run, HEALTHY)
    tab = opened(case)
    assert tab.said == []
    took = int(tab.ask(DRAWN))
    print(f"drawn in {took} ms; page of {len(page(*case)) / 1e6:.1f} MB")
    assert tab.ask("flightcheck.decoded.get('gradient').length") == 1_000_000
    assert took < 2000 * float(os.environ.get("FLIGHTCHECK_SLOW", "3"))  # 2 s where nothing else runs
    assert tab.tab.locator(".node").count() == 40  # each of 25 neighbours
    tab.tab.locator(".node").nth(2).click()
    assert tab.tab.locator(".node").count() == 39 + 25
    assert "Net.layer51, Linear: nothing found" in tab.ask(
        "[...document.querySelectorAll('.node')].map(n => n.getAttribute('aria-label'))"
    )


def test_a_usual_page_is_small() -> None:
    run = training(layers=60, steps=300)
    text = page(run, diagnose(run, HEALTHY))
    assert len(text.encode()) < 1_000_000


# -- several runs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_runs_upon_each_other(opened: Any, scheme: str) -> None:
    tab = opened(page_of(12), color_scheme=scheme)
    assert tab.said == []
    assert [u.split(":")[0] for u in tab.requests] == ["file"]
    assert tab.ask("[...document.querySelectorAll('[data-chart]')].filter(f => f.hidden).length") == 0
    lines = "document.querySelectorAll('[data-chart={}] path[stroke-width], [data-chart={}] g[stroke-width] > path')"
    assert tab.ask(f"{lines.format('parallel', 'parallel')}.length") >= 12
    tab.picture(f"compared-{scheme}")


def test_a_run_that_is_pointed_at_stands_out(opened: Any) -> None:
    tab = opened(page_of(8))
    faint = "[...document.querySelectorAll('[data-chart] g')].filter(g => g.style.strokeOpacity).length"
    assert tab.ask(faint) == 0
    tab.tab.hover("#glance ~ div tbody tr:nth-child(3)")
    charts = tab.ask("document.querySelectorAll('[data-chart]').length")
    assert tab.ask(faint) == 7 * charts, "all others fade, in every chart"
    assert tab.ask("[...document.querySelectorAll('tr.pointed')].map(r => r.dataset.of)") == ["C", "C"]
    tab.tab.hover("h1")
    assert tab.ask(faint) == 0


def test_a_line_goes_on_where_a_run_has_no_such_value(opened: Any) -> None:
    found, runs = compared(*map(trained, range(4)))
    option = {"kind": "option", "name": "--wide", "values": ["8", "—", "—", "9"], "lines": [], "sentence": ""}
    tab = opened(comparison_page(found | {"differences": [*found["differences"], option]}, runs))
    paths = tab.ask("[...document.querySelectorAll('[data-chart=parallel] path[d*=C]')].map(p => p.getAttribute('d'))")
    whole = [path for path in paths if path.count("M") == 1]
    assert len(whole) >= 4 and not [path for path in paths if path.count("M") > 1]


def test_hostile_runs_do_nothing(opened: Any) -> None:
    tab = opened(hostile_page())
    assert tab.ask("window.hit") is None
    assert tab.said == []
    assert tab.ask("[...document.querySelectorAll('[data-chart]')].filter(f => f.hidden).length") == 0


def test_a_comparison_without_scripts(opened: Any) -> None:
    tab = opened(page_of(8), java_script_enabled=False)
    assert tab.tab.locator("[data-chart]:visible").count() == 0
    assert tab.tab.locator("#glance ~ div tbody tr").count() == 8
