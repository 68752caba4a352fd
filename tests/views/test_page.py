"""The page of views and its pictures: right against the data, nothing of the user's runs, complete without a script."""

from __future__ import annotations

import base64
import re
import struct
import sys
import zlib
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

import flightcheck
from flightcheck.report.view.document import SCRIPTS
from flightcheck.report.view.pictures import Scale, laid_out, png
from flightcheck.views.activations import NOTHING
from tests.views.made import KINDS, case

ASSETS = Path(flightcheck.__file__).parent / "report" / "page" / "assets"


def levels_in(address: str) -> NDArray[np.uint8]:
    """The places in the palette that a picture holds."""
    data = base64.b64decode(address.partition(",")[2])
    width, height = struct.unpack(">II", data[16:24])
    start = data.index(b"IDAT")
    (length,) = struct.unpack(">I", data[start - 4 : start])
    rows = np.frombuffer(zlib.decompress(data[start + 4 : start + 4 + length]), np.uint8).reshape(height, width + 1)
    assert (rows[:, 0] == 0).all()
    return rows[:, 1:]


def test_a_picture_holds_the_values() -> None:
    values = np.random.default_rng(0).normal(size=(9, 13)).astype(np.float32)
    scale = Scale(float(np.abs(values).max()), True)
    found = (levels_in(png(values, scale)).astype(float) - 2) / 253 * 2 - 1
    np.testing.assert_allclose(found * scale.limit, values, atol=scale.limit / 253)


def test_what_is_not_finite_and_what_is_nothing_have_places_of_their_own() -> None:
    values = np.array([[0.0, 1.0, np.nan, np.inf, NOTHING]], np.float32)
    assert levels_in(png(values, Scale(1.0, False))).tolist() == [[2, 255, 1, 1, 0]]


def test_one_extreme_value_does_not_blank_the_others() -> None:
    values = np.append(np.linspace(-1, 1, 1000), 1e9)
    assert Scale.of(values).limit == pytest.approx(1.0, abs=0.01)
    assert Scale.of(np.full(3, np.nan)) == Scale(1.0, False)


def test_cells_are_laid_out_with_nothing_between_them() -> None:
    sheet = laid_out(np.arange(12.0).reshape(3, 2, 2), columns=2)
    n = NOTHING
    assert sheet.tolist() == [[0, 1, n, 4, 5], [2, 3, n, 6, 7], [n] * 5, [8, 9, n, n, n], [10, 11, n, n, n]]


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_complete_without_a_script(kind: str) -> None:
    model, batch, _ = case(kind)
    text = flightcheck.view(model, batch).page()
    still = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    for path, _module in model.named_children():
        assert f">{path}<" in still
    sections = {"Layers", "Gradient flow", "What the answer rests on", "Examples that excite units most", "Embedding"}
    sections |= {"Filters", "Feature maps"} if kind == "cnn" else {"Attention"} if kind == "transformer" else set()
    assert sections <= set(re.findall(r"<h2[^>]*>([^<]+)</h2>", still))
    assert still.count("data:image/png;base64,") >= 3


def test_the_page_says_how_to_get_captum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "captum", None)
    model, batch, _ = case("mlp")
    text = flightcheck.view(model, batch).page()
    assert "need Captum: <code>pip install captum</code>." in text


class Strict(HTMLParser):
    """Collects elements and attributes that would run or load something."""

    def __init__(self) -> None:
        super().__init__()
        self.bad: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            loads = name in ("src", "href", "srcset", "data") and not (value or "").startswith(("data:", "#"))
            if name.startswith("on") or loads or tag in ("iframe", "object", "base"):
                self.bad.append(f"{tag} {name}={value}")


def test_hostile_names_are_text() -> None:
    evil = "<script>window.hit = 1</script>\"'><img src=x onerror=hit()>"
    kind = type(evil, (nn.Linear,), {"extra_repr": lambda self: evil * 50})
    outer = nn.Sequential(kind(4, 4), nn.ReLU(), kind(4, 2))
    made = flightcheck.view(outer, torch.randn(3, 4))
    text = flightcheck.viewing.View(made.views, evil).page()
    assert evil not in text
    assert text.count("<script") == len(SCRIPTS) + 1
    strict = Strict()
    strict.feed(re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL))
    assert strict.bad == []


def test_a_notebook_shows_it_in_a_frame_of_its_own() -> None:
    model, batch, _ = case("mlp")
    shown = flightcheck.view(model, batch)._repr_html_()
    assert re.match(
        r'<iframe srcdoc="&lt;!doctype html&gt;.*" sandbox="allow-scripts" title="Views of Sequential"',
        shown,
        re.DOTALL,
    )
    assert shown.count("<") == 2, "all of the page is escaped"
    assert repr(flightcheck.view(model, batch)).startswith("View(Sequential, 4 layers, snapshots after [0] steps")


def test_the_table_in_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    model, batch, _ = case("cnn")
    flightcheck.view(model, batch).print_layers()
    out = capsys.readouterr().out
    assert re.search(r"first +Conv2d +N×8×8×8 +608 +38,400 +5×5", out)
    assert "7 layers, 1,828 parameters, 56,864 MACs an example" in out


@pytest.mark.parametrize("name", ["film.js", "view.css"])
def test_assets_load_nothing_and_stay_readable(name: str) -> None:
    text = (ASSETS / name).read_text(encoding="utf-8")
    assert not re.search(
        r"</script|</style|<!--|\bfetch\(|XMLHttpRequest|WebSocket|eval\(|innerHTML|@import|url\((?!#)", text
    )
    assert max(map(len, text.splitlines())) <= 140
    assert len(text.splitlines()) < 400
