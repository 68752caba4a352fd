"""In a real browser: the script's own numbers, and the network of a model with residual blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from flightcheck.diagnosis import diagnose
from flightcheck.recording.data_flow import DataFlow
from flightcheck.recording.metrics import MetricInfo
from flightcheck.recording.records import ModuleInfo
from tests.report.made import HEALTHY
from tests.report.paged import training
from tests.report.test_page_browser import CHROMIUM, browser, opened

__all__ = ["browser", "opened"]
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (Debian: apt-get install chromium)")


def test_the_scripts_own_numbers_have_ticks_that_differ(opened: Any) -> None:
    run = training(steps=60)
    run.records["MetricInfo"] = [MetricInfo(0, "train_mse", "printed", 3), MetricInfo(1, "acc", "printed", 3)]
    for info, values in zip(run.metrics, ([1.0215, 1.0141, 1.0123], [0.1, 0.6, 0.9])):
        run.frames[info.signal] = (np.array([0, 20, 40]), [np.float32([v]) for v in values])
    tab = opened((run, diagnose(run, HEALTHY)))
    charts = tab.tab.locator("[data-chart=own] svg[role=img]")
    assert charts.count() == 2
    ticks = tab.ask("""() => [...document.querySelectorAll("[data-chart=own] svg[role=img]")].map(s =>
        [...s.querySelectorAll("text")].map(t => t.textContent).filter(t => /^[01]\\.\\d+$/.test(t)))""")
    assert all(len(set(t)) == len(t) >= 2 for t in ticks), ticks
    assert tab.ask("document.querySelectorAll('[data-chart=own] circle').length") == 6


def test_blocks_that_repeat_are_closed_and_a_residual_stream_is_one_chain(opened: Any) -> None:
    run = training(layers=1)
    names = ["Net.input", *(f"Net.blocks.{b}.{part}" for b in range(3) for part in ("norm", "mlp")), "Net.head"]
    blocks = ["Net.blocks", *(f"Net.blocks.{b}" for b in range(3))]
    made = [ModuleInfo(0, "Net", "Net", "container", 0, leaf=False, order=99)]
    made += [ModuleInfo(1 + i, n, "Layer", "other", 0, order=i) for i, n in enumerate(names)]
    made += [ModuleInfo(20 + i, n, "Block", "container", 0, leaf=False, order=20 + i) for i, n in enumerate(blocks)]
    # Each sum of the stream reaches all that comes later; within a block there is one way.
    stream = [1, 3, 5, 7]
    edges = [[a, b] for a in stream for b in (2, 4, 6, 8) if b > a] + [[2, 3], [4, 5], [6, 7]]
    run.records["ModuleInfo"] = made
    run.records["DataFlow"] = [DataFlow(edges)]
    tab = opened((run, diagnose(run, HEALTHY)))
    assert tab.tab.locator(".node").count() == 5
    assert tab.tab.locator(".edge").count() == 4
    tab.tab.locator(".node[aria-expanded=false]").first.click()
    assert (tab.tab.locator(".node").count(), tab.tab.locator(".edge").count()) == (6, 5)
    assert tab.ask("document.querySelector('#graph').scrollWidth <= document.querySelector('#graph').clientWidth")
