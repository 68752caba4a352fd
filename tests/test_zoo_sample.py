"""A fixed part of the zoo, one program of each class of faults and some healthy ones: no figure may drop.

zoo/sample.toml holds what was right of each when it was written. A program that gets better is no failure; write its
new figures down.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from benchmarks.command import Done, check
from benchmarks.zoo.outcome import Outcome
from benchmarks.zoo.programs import CLASSES, ZOO, Program, programs
from tests.harmless.processes import Server

SAMPLE: dict[str, dict[str, Any]] = tomllib.loads((ZOO / "sample.toml").read_text(encoding="utf-8"))
PROGRAMS = {(p.name, p.kind): p for p in programs()}


def test_the_sample_has_all_classes_and_enough_that_is_right() -> None:
    faults = [PROGRAMS[name, "faulty"] for name, told in SAMPLE.items() if told["kind"] == "faulty"]
    assert {p.class_ for p in faults} == set(CLASSES)
    assert sum(told["kind"] != "faulty" for told in SAMPLE.values()) >= 5


@pytest.mark.training
@pytest.mark.parametrize("name", SAMPLE)
def test_no_figure_drops(server: Server, name: str) -> None:
    def forked(command: list[str], folder: Path) -> Done:
        done = server.run(folder, *command[1:])
        return Done(done.code, done.out, done.err)

    told = SAMPLE[name]
    program: Program = PROGRAMS[name, told["kind"]]
    found = check(program.text, run=forked)
    outcome = Outcome(program, found["findings"], found["seconds"])
    said = [(f["code"], f["line"], f["trial"]) for f in outcome.findings]
    assert outcome.right or not told["right"], said
    if program.kind == "faulty":
        assert outcome.right_line or not told["line"], said
        assert outcome.confirmed or not told["confirmed"], said
