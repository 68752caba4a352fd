"""The page of a comparison: what is read without a script, and what is drawn."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest

from flightcheck.recording.run import Run
from flightcheck.report.page.comparison import comparison_page
from flightcheck.report.page.series import Curve
from flightcheck.report.page.side_by_side import (
    MOST_POINTS,
    Axis,
    axes,
    deciding,
    in_blocks,
    overlays,
    ranks,
    width_of_blocks,
)
from flightcheck.testing import run_of
from tests.report.compared import compared, hostile_page, page_of, trained
from tests.report.paged import HOSTILE, Reader


def words(page: str) -> str:
    return " ".join(" ".join(Reader(page).words).split())


def test_what_differs_stands_before_how_they_went() -> None:
    text = words(page_of(3))
    assert text.index("What differs") < text.index("optimizer") < text.index("How they went") < text.index("Findings")
    assert "run-0" in text and "train.py --rate 0.001" in text
    assert "A and B: other losses from step 0 on" in text
    assert "L03 double-softmax" in text


def test_every_drawn_number_is_in_a_table_too() -> None:
    page = page_of(8)
    text = words(page)
    for axis in axes(compared(*map(trained, range(8)))[0]):
        assert axis.name in text
        assert all((c if isinstance(c, str) else f"{c:.3g}") in text for c in axis.cells if c is not None)
    hidden = [a for _, a in Reader(page).tags if "data-chart" in a]
    assert hidden and all("hidden" in a for a in hidden), "without a script no empty frame is seen"


def test_of_many_runs_a_value_is_told_once_with_the_runs_that_have_it() -> None:
    text = words(page_of(8))
    assert "Adam A C E G SGD B D F H" in text


def test_changed_lines_are_taken_out_and_put_in() -> None:
    found, runs = compared(trained(0), trained(1))
    changed = {"kind": "code", "name": "train.py", "values": [], "lines": ["7 - lr = 1", "7 + lr = 2"], "sentence": ""}
    page = comparison_page(found | {"differences": [changed]}, runs)
    assert '<del class="line"><bdi>- lr = 1</bdi></del><ins class="line"><bdi>+ lr = 2</bdi></ins>' in page


def test_it_asks_for_nothing() -> None:
    reader = Reader(page_of(3))
    assert all(target.startswith("#") for target in reader.targets)
    assert not [t for t, a in reader.tags if "src" in a or t in ("iframe", "object", "embed", "form")]
    policy = next(a["content"] for t, a in reader.tags if a.get("http-equiv"))
    assert policy is not None and policy.startswith("default-src 'none'")


def test_hostile_strings_are_text() -> None:
    page = hostile_page()
    reader = Reader(page)
    assert not [t for t, a in reader.tags if "onerror" in a or t == "img"]
    assert len(re.findall(r"<script", page)) == 5, "the data and four scripts of ours"
    assert HOSTILE[0] in " ".join(reader.words)


def test_runs_of_nothing_have_a_page() -> None:
    text = words(comparison_page(*compared(run_of(), run_of())))
    assert "Nothing that was recorded differs." in text
    assert "A and B have no recorded step in common." in text


def test_the_curves_of_all_runs() -> None:
    charts = {o.title: o for o in overlays(compared(*map(trained, range(3)))[1])}
    assert list(charts) == ["Training loss", "Evaluation loss", "The script's acc"], (
        "the learning rates are all the same"
    )
    assert charts["Evaluation loss"].lines["B"].steps == [500, 1000]
    assert charts["Training loss"].means
    assert 100 < len(charts["Training loss"].lines["C"].steps) <= MOST_POINTS
    assert "The script's epoch" not in charts, "a counter is no measure"


def test_a_long_curve_keeps_its_mean_and_shows_where_it_broke() -> None:
    values = np.sin(np.arange(10_000.0))
    whole = Curve("loss", list(range(10_000)), values.tolist())
    width = width_of_blocks([whole])
    assert width == 67
    short = in_blocks(whole, width)
    assert len(short.steps) == MOST_POINTS
    assert np.mean(short.values) == pytest.approx(values.mean(), abs=0.01)
    values[7_000] = math.nan
    broken = in_blocks(Curve("loss", list(range(10_000)), values.tolist()), width)
    (where,) = np.flatnonzero(np.isnan(broken.values))
    assert broken.steps[where] == pytest.approx(7_000, abs=34)


def test_runs_of_unlike_length_have_the_same_blocks() -> None:
    def noisy(steps: int) -> Run:
        run = trained(0)
        values = np.random.default_rng(0).normal(1, 0.3, steps)
        run.frames["loss"] = (np.arange(steps), [np.float32([v]) for v in values])
        run.records["RunInfo"] = [replace(run.info, steps=steps, ended="stopped" if steps < 500 else "finished")]
        run.__dict__.pop("info", None)
        return run

    found, runs = compared(noisy(600), noisy(140))
    lines = overlays(runs)[0].lines
    assert lines["A"].steps[: len(lines["B"].steps)] == lines["B"].steps
    assert (
        "Nothing that was recorded differs, save how long they went: A finished after 600 steps, "
        "B was stopped after 140 steps."
    ) in words(comparison_page(found, runs))


def test_axes_are_what_differs_then_how_it_went() -> None:
    found = axes(compared(*map(trained, range(5)))[0])
    names = [a.name for a in found]
    assert names == ["optimizer", "weight_decay", "--rate", "final loss", "evaluation loss"], "the best one is the last"
    assert not next(a for a in found if a.name == "optimizer").numeric
    by = deciding(found)
    assert by is not None and by.outcome
    assert Axis("lr", [1e-4, 1e-1, None]).log and not Axis("lr", [0.0, 1.0]).log
    assert ranks([3.0, None, 1.0, 3.0]) == [1.0, None, 0.0, 1.0]


def test_the_data_of_the_charts_is_json_without_what_json_lacks() -> None:
    page = page_of(7)
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page)
    data = json.loads(text)
    assert data["runs"] == list("ABCDEFG")
    assert all(len(a["cells"]) == 7 for a in data["axes"])
    assert data["ranks"] is not None
