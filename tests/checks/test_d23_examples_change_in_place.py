"""D23 examples-change-in-place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

import flightcheck
from flightcheck.recording.provenance.written_examples import writes_into_examples
from flightcheck.recording.records import Location
from flightcheck.recording.stored_examples import StoredExamples
from flightcheck.testing import run_of, verdict_of
from tests.checks._datasets import LOADERS, train_set

LINE = Location("train.py", 21, "__getitem__", "x -= self.mean")
CHANGED = StoredExamples(0, "images", 48, 48, 30, 1.0, 0.1, LINE)


def test_changed_rows_are_told_at_the_line_that_writes() -> None:
    (finding,) = verdict_of("D23", run_of(*LOADERS, train_set(), CHANGED, steps=60)).findings
    assert finding.location == LINE
    assert finding.onset_step == 30


@pytest.mark.parametrize("other", [{"changed": 2}, {"location": None}, {"rows": 4, "changed": 4}, {"before": 0.0}])
def test_other_changes_pass(other: dict[str, Any]) -> None:
    assert verdict_of("D23", run_of(*LOADERS, train_set(), replace(CHANGED, **other), steps=60)).status == "pass"


def test_without_a_loader_it_is_skipped() -> None:
    assert verdict_of("D23", run_of(CHANGED, steps=60)).status == "skipped"


class Spectra(Dataset[Any]):
    def __init__(self, copies: bool) -> None:
        self.rows = np.random.default_rng(0).normal(3, 2, (64, 6)).astype(np.float32)
        self.copies = copies

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int) -> Any:
        row = self.rows[i]
        if self.copies:
            row = row.copy()
        row -= 3
        row /= 2
        return torch.from_numpy(row), torch.zeros(1)


@pytest.mark.parametrize("copies", [False, True])
def test_a_dataset_that_writes_into_itself(tmp_path: Path, copies: bool) -> None:
    model, data = nn.Linear(6, 1), Spectra(copies)
    with flightcheck.watch(runs_dir=tmp_path, report=False) as seen:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for _ in range(3):
            for x, y in DataLoader(data, 16):
                optimizer.zero_grad()
                nn.functional.mse_loss(model(x), y).backward()
                optimizer.step()
    assert len(verdict_of("D23", seen.run).findings) == (not copies)


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("x = self.x[i]\n        x -= 1\n        return x", 4),
        ("x = torch.from_numpy(self.x[i]).view(1, -1)\n        x.mul_(2)\n        return x", 4),
        ("x, y = self.x[i], self.y[i]\n        x[2:4] = 0\n        return x, y", 4),
        ("self.x[i] = self.x[i] / 255\n        return self.x[i]", 3),
        ("x = self.x[i] - 1\n        x /= 2\n        return x", None),
        ("x = self.x[i].clone()\n        x -= 1\n        return x", None),
        ("x = torch.tensor(self.x[i])\n        x[0] = 0\n        return x", None),
        ("self.calls += 1\n        return self.x[i]", None),
    ],
)
def test_lines_that_write_into_examples(tmp_path: Path, body: str, line: int | None) -> None:
    file = tmp_path / "data.py"
    file.write_text(f"class D:\n    def __getitem__(self, i):\n        {body}\n")
    found = writes_into_examples(str(file), "D")
    assert (found and found[1]) == line
