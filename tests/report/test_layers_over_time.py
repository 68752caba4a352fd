"""The heat maps without a browser: which rows in which order, and what was not measured."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np

from flightcheck.diagnosis import diagnose
from flightcheck.recording.records import ModuleInfo
from flightcheck.recording.signals import ACTIVATION_DEAD, ACTIVATION_RMS, GRAD_NORM
from flightcheck.report.page.document import page
from flightcheck.report.page.series import from_input_to_output, maps
from tests.report.made import HEALTHY
from tests.report.paged import Reader, training


def drawn(text: str) -> dict[str, dict[str, Any]]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found
    return {m["name"]: m for m in json.loads(found[1])["maps"]}


def test_a_container_stands_before_what_it_holds() -> None:
    def module(index: int, path: str, order: int) -> ModuleInfo:
        return ModuleInfo(index, path, "T", "other", 0, order=order)

    # A module is counted when its call is over; `out` is never called, its weights are used by `attn`.
    found = [
        module(0, "Net", 4), module(1, "Net.patch", 0), module(2, "Net.block", 3), module(3, "Net.block.attn", 1),
        module(4, "Net.block.attn.out", -1), module(5, "Net.block.norm", 2), module(6, "Net.spare", -1),
    ]  # fmt: skip
    assert [m.path for m in from_input_to_output(found[::-1])] == [
        "Net", "Net.patch", "Net.block", "Net.block.attn", "Net.block.attn.out", "Net.block.norm", "Net.spare",
    ]  # fmt: skip


def test_after_the_last_measurement_nothing_is_known() -> None:
    run = training(steps=60)
    steps, rows = run.frames[ACTIVATION_RMS.name]
    run.frames[ACTIVATION_RMS.name] = (steps[:21:2], rows[:21:2])
    told = drawn(page(run, diagnose(run, HEALTHY)))
    assert told["activation"]["until"] == 22
    assert told["gradient"]["until"] == 60


def test_a_module_tells_at_which_step_its_last_number_was_seen() -> None:
    run = training(steps=60)
    steps, rows = run.frames[GRAD_NORM.name]
    there = np.array(rows)
    there[31:, 0] = -1.0
    run.frames[GRAD_NORM.name] = (steps, list(there))
    text = Reader(page(run, diagnose(run, HEALTHY))).text
    assert re.search(r"Gradient norm0\.741 at step 30, none since", text)
    assert re.search(r"Gradient norm0\.336 at step 59U", text)


def test_a_chart_of_nothing_is_a_sentence() -> None:
    run = training(layers=2, steps=10)
    steps, rows = run.frames[ACTIVATION_DEAD.name]
    run.frames[ACTIVATION_DEAD.name] = (steps, [np.where(r > 0, 0.0, r) for r in np.array(rows)])
    assert next(m for m in maps(run) if m.quantity.name == "dead").empty
    text = page(run, diagnose(run, HEALTHY))
    assert "Dead units: none, in any of 2 layers at 10 measured steps." in Reader(text).text
    assert "dead" not in drawn(text)
    assert 'data-name="dead"' not in text
