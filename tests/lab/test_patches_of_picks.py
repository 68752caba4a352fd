"""The patch of rows that are picked by numbers of their own."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
import torch

from flightcheck.checks.base import Finding
from flightcheck.lab.diffs import diff_of
from flightcheck.patch import Patch
from flightcheck.recording.records import Location
from flightcheck.testing import run_of
from tests.lab.made import Loop, patched

X, Y = torch.arange(40.0)[:, None].expand(40, 2).contiguous(), torch.arange(40)
PICKED: list[tuple[list[float], list[int]]] = []


def pick(rows: torch.Tensor, start: int) -> None:
    a = X[rows]
    b = Y[start : start + 5]
    PICKED.append((a[:, 0].tolist(), b.tolist()))


LINE = inspect.getsourcelines(pick)[1] + 1


def run_picking(folder: Path, patches: str) -> dict[str, int]:
    PICKED.clear()

    def loop() -> None:
        rows = torch.randperm(40, generator=torch.Generator().manual_seed(1))
        for start in range(0, 40, 5):
            pick(rows[start : start + 5], start)
        with torch.no_grad():
            pick(rows[:5], 0)
        Loop()()

    return patched(folder, patches, loop).applied


def test_both_are_picked_by_the_first(tmp_path: Path) -> None:
    run_picking(tmp_path, "")
    assert all(a != b for a, b in PICKED)
    patch = f"picks:{Path(__file__).name}:{LINE},{LINE + 1}"
    assert run_picking(tmp_path, patch) == {patch: 8}
    assert all(a == b for a, b in PICKED[:-1])
    assert PICKED[-1][0] != PICKED[-1][1], "an evaluation stays as it is"


def test_other_lines_stay(tmp_path: Path) -> None:
    assert run_picking(tmp_path, f"picks:{Path(__file__).name}:{LINE + 90},{LINE + 91}") == {}
    with pytest.raises(ValueError, match="picks: a value such as"):
        patched(tmp_path, "picks:train.py", Loop())


def test_what_a_reader_sees() -> None:
    finding = Finding("", location=Location("train.py", 3, code="y[i : i + 5]"))
    patches = [Patch("picks", "train.py:2,3")]
    assert diff_of(patches, finding, run_of()) == "- y[i : i + 5]\n+ # the same rows of both: x[rows], y[rows]"
