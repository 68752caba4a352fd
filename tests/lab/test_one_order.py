"""The diff of two orders that become one."""

from __future__ import annotations

from pathlib import Path

import pytest

from flightcheck.checks.base import Finding
from flightcheck.lab.diffs import diff_of
from flightcheck.lab.one_order import with_one_order
from flightcheck.patch import Patch
from flightcheck.recording.records import Location
from flightcheck.recording.rewriting import shuffled_beside
from flightcheck.testing import run_of

APART = """x, y = load()
x = x[np.random.permutation(len(x))] / 16.0
y = y[np.random.permutation(len(y))]
"""
INDICES = """def split(x, y, rng):
    i = rng.permutation(len(x))
    j = rng.permutation(len(y))
    return x[i], y[j]
"""
IN_PLACE = "rng.shuffle(x)\nrng.shuffle(y)\n"
TAKEN = "order = 1\n" + APART.replace("y[np", "order * y[np")
ELSEWHERE = "def a(x):\n    x = x[randperm(9)]\ndef b(y):\n    y = y[randperm(9)]\n"


def test_both_statements_are_exchanged_for_one_draw() -> None:
    assert with_one_order(APART, 2, 3).splitlines() == [
        "- x = x[np.random.permutation(len(x))] / 16.0",
        "- y = y[np.random.permutation(len(y))]",
        "+ order = np.random.permutation(len(x))",
        "+ x = x[order] / 16.0",
        "+ y = y[order]",
    ]
    assert "+ shuffled = np.random.permutation(len(x))" in with_one_order(TAKEN, 3, 4)


def test_of_two_indices_the_second_is_the_first() -> None:
    assert with_one_order(INDICES, 3, 2) == "- j = rng.permutation(len(y))\n+ j = i"


@pytest.mark.parametrize(
    ("source", "lines"), [(IN_PLACE, (1, 2)), (ELSEWHERE, (2, 4)), (APART, (1, 3)), ("x = (", (1, 1))]
)
def test_elsewhere_words_are_better(source: str, lines: tuple[int, int]) -> None:
    assert with_one_order(source, *lines) == ""


def test_no_diff_takes_one_of_two_orders_away() -> None:
    assert shuffled_beside(APART, 2) and shuffled_beside(APART, 3) and shuffled_beside(IN_PLACE, 2)
    assert shuffled_beside("x = rng.permutation(x)\ny = rng.permutation(y)\n", 2)
    assert not shuffled_beside("order = rng.permutation(len(x))\nx = x[order]\n", 2)
    assert not shuffled_beside("x = (", 1)


def test_arrays_are_no_indices() -> None:
    assert with_one_order("x = rng.permutation(x)\ny = rng.permutation(y)\n", 1, 2) == ""
    assert with_one_order("i = rng.permutation(n)\nj = rng.permutation(n)\n", 1, 2).endswith("+ j = i")


def test_the_diff_of_the_patch(tmp_path: Path) -> None:
    file = tmp_path / "train.py"
    file.write_text(APART)
    finding = Finding("", location=Location(str(file), 3, code=APART.splitlines()[2]))
    patches = [Patch.parse("source:order:train.py:2"), Patch.parse("source:same-order:train.py:3")]
    assert diff_of(patches, finding, run_of()) == with_one_order(APART, 2, 3)
