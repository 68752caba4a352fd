"""Patches of the script's text, at work."""

from __future__ import annotations

import builtins
import linecache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from flightcheck import launch
from flightcheck.adapters.torch.patching.sources import Helper
from flightcheck.checks.base import Finding
from flightcheck.lab.diffs import diff_of
from flightcheck.patch import Patch
from flightcheck.recording.records import Location
from flightcheck.report.experiments import patch_in_words
from flightcheck.testing import run_of
from tests.lab.made import Loop, patched

SCRIPT = """\
import numpy as np
x, y = np.arange(20), np.arange(20)
rng = np.random.default_rng(0)
x = rng.permutation(x)
y = rng.permutation(y)
"""


def run_patched(folder: Path, patches: str) -> tuple[dict[str, Any], dict[str, int]]:
    """The script's names at its end, and how often each patch acted."""
    script = folder / "train.py"
    script.write_text(SCRIPT)
    names: dict[str, Any] = {}

    def loop() -> None:
        exec(compile(launch.read(str(script)), str(script), "exec"), names)
        Loop()()

    done = patched(folder / "runs", patches, loop)
    assert not hasattr(builtins, "__flightcheck__")
    assert launch.read(str(script)) == SCRIPT.encode()
    return names, done.applied


def test_two_orders_become_one(tmp_path: Path) -> None:
    names, _ = run_patched(tmp_path, "")
    assert (names["x"] != names["y"]).any()
    names, acted = run_patched(tmp_path, "source:order:train.py:4 + source:same-order:train.py:5")
    assert (names["x"] == names["y"]).all()
    assert (names["x"] != np.arange(20)).any()
    assert list(acted.values()) == [1, 1]


def test_one_order_is_left_out(tmp_path: Path) -> None:
    names, acted = run_patched(tmp_path, "source:unordered:train.py:5")
    assert (names["y"] == np.arange(20)).all()
    assert acted == {"source:unordered:train.py:5": 1}


def test_a_rule_that_does_not_fit_did_not_act(tmp_path: Path) -> None:
    assert run_patched(tmp_path, "source:transform:train.py:5")[1] == {}
    assert run_patched(tmp_path, "source:unordered:other.py:5")[1] == {}


@pytest.mark.parametrize("kind", [list, np.array, torch.tensor])
def test_rows_come_in_one_random_order(kind: Any) -> None:
    helper, data = Helper(), kind(list(range(100)))
    parts = [helper.rows(data, i, i + 10) for i in range(0, 100, 10)]
    first = [int(v) for part in parts for v in part]
    assert sorted(first) == list(range(100)) != first
    assert type(parts[0]) is type(data)
    again = [int(v) for i in range(0, 100, 10) for v in helper.rows(data, i, i + 10)]
    assert again != first
    beside = [int(v) for v in helper.rows(np.arange(100), 90, 100)]
    assert beside == again[90:]
    with torch.no_grad():
        assert [int(v) for v in helper.rows(data, 3, 6)] == [3, 4, 5]


def test_what_a_reader_sees(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    finding = Finding("", location=Location(str(script), 5))
    patches = [Patch("source", "order:train.py:4"), Patch("source", "same-order:train.py:5")]
    assert diff_of(patches, finding, run_of()) == "", "whole arrays, whose order no name has"
    assert patch_in_words(" + ".join(map(str, patches)), run_of()) == "inputs and labels in the same random order"
    alone = [Patch("source", "unordered:train.py:5")]
    assert diff_of(alone, finding, run_of()) == "", "the order of x would still part the two"
    script.write_text(SCRIPT.replace("x = rng.permutation(x)", "x = x"))
    linecache.clearcache()
    assert diff_of(alone, finding, run_of()) == "- y = rng.permutation(y)"


def test_a_value_without_a_line_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="source: a value such as"):
        patched(tmp_path, "source:rows", Loop())


def test_a_count_goes_on_where_its_loop_begins_anew(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text("seen = []\nfor epoch in range(3):\n    for i in range(4):\n        seen += [i, i]\n")
    names: dict[str, Any] = {}

    def loop() -> None:
        exec(compile(launch.read(str(script)), str(script), "exec"), names)
        Loop()()

    carried = "source:carried@i:train.py:4"
    assert patched(tmp_path / "runs", carried, loop).applied == {carried: 1}
    assert names["seen"] == [i for i in range(12) for _ in range(2)]
    assert patch_in_words(carried, run_of()) == "the rate computed from the number of all steps"
    at = Location("train.py", 4, code="set_rate(i)")
    finding = Finding("", at)
    assert diff_of([Patch.parse(carried)], finding, run_of()).endswith("all steps so far in the place of i")


def test_a_training_goes_on_for_longer(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text("done = 0\nfor epoch in range(3):\n    done += 1\n")
    names: dict[str, Any] = {}

    def loop() -> None:
        exec(compile(launch.read(str(script)), str(script), "exec"), names)
        Loop()()

    assert patched(tmp_path / "runs", "source:longer@8:train.py:2", loop).applied == {"source:longer@8:train.py:2": 1}
    assert names["done"] == 24
    assert patch_in_words("source:longer@8:train.py:2", run_of()) == "more rounds of training"
