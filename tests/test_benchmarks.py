"""The programs of the benchmarks: what they hold, not what the tool says of them."""

from __future__ import annotations

import ast
import re

import pytest

from benchmarks.learning_rates.__main__ import FAMILIES as RATES
from benchmarks.learning_rates.__main__ import MARGIN, Run, is_harmed, limit_of_harm, right
from benchmarks.lookalikes.rendering import ARCHITECTURES, FAMILIES, FOLDER, Program, programs
from benchmarks.statistics import share, wilson

PROGRAMS = programs()


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: f"{p.name}-{p.member}")
def test_a_program_and_its_truth(program: Program) -> None:
    ast.parse(program.text)
    ast.parse(program.twin)
    lines = program.text.splitlines()
    assert all(lines[n - 1].strip() for n in program.lines)
    assert bool(program.lines) == bool(program.causes) == (program.member not in ("healthy", "overfitting"))
    assert (program.text == program.twin) == (program.member == "healthy")
    assert "#:" not in program.text and "#!" not in program.text


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.name)
def test_nothing_gives_the_fault_away(program: Program) -> None:
    assert not re.search(r"\b[SLCPDT]\d\d\b|\bfault|\bbug|wrong|mistake|broken", program.text, re.IGNORECASE)
    assert "benchmark" not in program.text


def test_every_member_is_in_every_architecture() -> None:
    wanted = {(a, m) for a in ARCHITECTURES for members in FAMILIES.values() for m in members}
    assert {(p.architecture, p.member) for p in PROGRAMS if p.member != "healthy"} == wanted


def test_another_seed_changes_every_program() -> None:
    assert all(a.text != b.text and a.lines == b.lines for a, b in zip(PROGRAMS, programs(seed=1), strict=True))


def test_scripts_write_no_files() -> None:
    scripts = [*FOLDER.glob("templates/*.py"), *FOLDER.parent.glob("learning_rates/families/*.py")]
    assert {s.stem for s in scripts} == {*ARCHITECTURES, *RATES}
    assert not [s.name for s in scripts if re.search(r"open\(|\.save|write|mkdir", s.read_text())]


def test_harm_of_a_rate() -> None:
    good = [Run("mlp", "good", s, 2.0, 0.1 + 0.1 * s, ()) for s in range(3)]
    limit = limit_of_harm(good)
    assert limit == pytest.approx(0.3 + MARGIN * 1.8)
    high = Run("mlp", "×30", 0, 2.0, float("nan"), (("P01", True), ("C05", False)))
    assert is_harmed(high, limit) and right(high)
    assert not is_harmed(Run("mlp", "/100", 0, 2.0, 0.4, ()), limit)
    assert right(good[0]) and not right(Run("mlp", "/100", 0, 2.0, 1.9, (("S07", True),)))


def test_intervals() -> None:
    assert wilson(0, 10) == pytest.approx((0.0, 0.278), abs=1e-3)
    assert wilson(8, 10) == pytest.approx((0.490, 0.943), abs=1e-3)
    assert share(7, 8) == "7 of 8 = 88 % (53–98 %)"
    assert share(0, 0) == "none"
