"""The zoo's programs and their truth, and what counts as right."""

from __future__ import annotations

import ast
import math
from pathlib import Path

import pytest

from benchmarks.zoo.__main__ import sample
from benchmarks.zoo.browser import browser_page
from benchmarks.zoo.outcome import Outcome
from benchmarks.zoo.page import page
from benchmarks.zoo.programs import HALVES, ZOO, Program, Symptom, changed_lines, programs
from flightcheck.checks.registry import all_checks

PROGRAMS = list(programs())
FAULTS = [p for p in PROGRAMS if p.kind == "faulty"]
CODES = set(all_checks())
WITHOUT_A_CHECK = {"C19", "D14"}
"""Codes of causes that no check names yet: their programs count as missed."""


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: f"{p.name}-{p.kind}")
def test_a_program(program: Program) -> None:
    ast.parse(program.text)
    assert set(program.causes) <= CODES | WITHOUT_A_CHECK
    lines = range(1, len(program.text.splitlines()) + 1)
    assert program.lines <= set(lines)
    comments = [line.split("#", 1)[1] for line in program.text.splitlines() if "# " in line]
    assert not any(word in c.lower() for c in comments for word in ("bug", "fault", "wrong", "missing", "fix"))


@pytest.mark.parametrize("program", FAULTS, ids=lambda p: p.name)
def test_a_fault_and_its_twin_differ_in_a_few_lines(program: Program) -> None:
    (twin,) = [p for p in PROGRAMS if p.name == program.name and p.kind == "repaired"]
    assert twin.text != program.text
    assert len(changed_lines(program.text, twin.text)) <= 8
    assert program.lines
    assert program.symptom == twin.symptom


def test_changed_lines() -> None:
    assert changed_lines("a\nb\nc", "a\nB\nc") == {2}
    assert changed_lines("a\nb\nc", "a\nc") == {2}
    assert changed_lines("a\nb\nc", "a\nb\nnew\nc") == {2, 3}
    assert changed_lines("a\nb", "new\na\nb") == {1}
    assert changed_lines("a\nb", "a\nb") == set()


def test_a_symptom() -> None:
    symptom = Symptom(r"acc (\S+)", "higher", 0.1)
    assert symptom.value("epoch 1 acc 0.4\nepoch 2 acc 0.6\n") == 0.6
    assert symptom.value("loss 3") is None
    assert symptom.value("acc 0.6,") is None
    assert symptom.shown(0.4, 0.6)
    assert not symptom.shown(0.55, 0.6)
    assert symptom.shown(math.nan, 0.6)
    assert symptom.shown(None, 0.6)
    assert not symptom.shown(0.4, None)
    assert Symptom("", "lower", 0.1).shown(0.6, 0.4)


def test_metadata_that_are_not_complete_are_told(tmp_path: Path) -> None:
    folder = tmp_path / "faults" / "x"
    folder.mkdir(parents=True)
    (folder / "fault.toml").write_text('half = "tune"\n')
    with pytest.raises(ValueError, match=r"fault\.toml has no class, task, style, causes, why, symptom"):
        list(programs(tmp_path))
    known = (ZOO / "faults" / "cells" / "fault.toml").read_text()
    (folder / "fault.toml").write_text(known.replace('half = "tune"', 'half = "third"'))
    with pytest.raises(ValueError, match="half 'third' is none of tune, test"):
        list(programs(tmp_path))


def found(code: str, line: int | None = 3, trial: str | None = None, severity: str = "error") -> dict[str, object]:
    return {"code": code, "line": line, "trial": trial, "severity": severity, "root": True}


def test_what_is_right() -> None:
    fault = Program("x", "faulty", "", "test", "table", "functions", "data", ("D03", "D15"), frozenset({3}))
    said = Outcome(fault, [found("D15", trial="confirmed"), found("P01")])
    assert said.right
    assert said.right_line
    assert said.confirmed
    other = Outcome(fault, [found("P01"), found("D03")])
    assert (other.right, other.right_anywhere, other.right_line, other.confirmed) == (False, True, False, False)
    assert not Outcome(fault, [found("D03", line=4)]).right_line
    assert not Outcome(fault).detected
    healthy = Program("y", "healthy", "", "test", "table", "functions")
    assert Outcome(healthy).right
    alarmed = Outcome(healthy, [found("C05", severity="warn")])
    assert not alarmed.right
    text = page([said, other, Outcome(healthy), alarmed], {"z": 3})
    assert (
        "| right cause first | none | 1 of 2 = 50 % (9–91 %) |" in text or "| right cause first | 1 of 2 = 50 %" in text
    )
    assert "| repaired or healthy, with a finding of severity warn | 1 of 2 = 50 %" in text
    assert "| D15 | 1 | 1 |" in text
    assert "Left out, because the symptom did not show often enough: z (3 of 5 seeds)." in text


def test_a_page_for_the_browser_shows_text_as_text() -> None:
    fault = Program(
        "x<b>", "faulty", "y = '<script>'\n", "test", "table", "functions", "data", ("D03",), frozenset({1})
    )
    twin = Program("x<b>", "repaired", "y = 1\n", "test", "table", "functions", "data")
    shown = browser_page([Outcome(fault, [found("D03", line=1, trial="confirmed")]), Outcome(twin)])
    assert "<script>" not in shown
    assert "-y = &#x27;&lt;script&gt;&#x27;" in shown
    assert "2 of 2 programs were judged rightly" in shown


def test_programs_that_were_not_checked_are_named() -> None:
    assert "Not checked for this page: a (faulty)." in page([], {}, ["a (faulty)"])


def test_a_sample_has_pairs_of_both_halves_and_is_the_same_again() -> None:
    drawn = sample(PROGRAMS, 4, 7)
    for half in HALVES:
        faulty, repaired, healthy = (
            {p.name for p in drawn if (p.kind, p.half) == (kind, half)} for kind in ("faulty", "repaired", "healthy")
        )
        assert faulty == repaired
        assert len(faulty) == len(healthy) == 4
    assert drawn == sample(PROGRAMS, 4, 7) == [p for p in PROGRAMS if p in drawn]
    assert drawn != sample(PROGRAMS, 4, 8)
    assert len(sample(PROGRAMS, 10_000, 1)) == len(PROGRAMS)
