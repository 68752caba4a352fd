"""A position encoding that was cut by the batch, and is cut by time."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from flightcheck.checks.base import Finding
from flightcheck.lab.diffs import diff_of
from flightcheck.patch import Patch
from flightcheck.recording.records import Location
from flightcheck.testing import run_of
from tests.lab.made import CLASSES, Loop, patched

SUM = next(
    i for i, line in enumerate(Path(__file__).read_text(encoding="utf-8").splitlines(), 1) if line.endswith("# sum")
)


class Encoded(nn.Module):
    def __init__(self, rows: int = 30) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.register_buffer("pe", torch.randn(rows, 1, 4))
        self.last = nn.Linear(4, CLASSES)
        self.sums: list[torch.Tensor] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x + self.pe[: x.size(0)]  # sum
        self.sums.append((y - x).detach())
        return self.last(y.mean(1))


def encodings(tmp_path: Path, patches: str, rows: int = 30) -> tuple[torch.Tensor, dict[str, int], Encoded]:
    model = Encoded(rows)
    done = patched(tmp_path, patches, Loop(model, pairs=[(torch.randn(6, 9, 4), torch.arange(6) % CLASSES)] * 2))
    return model.sums[-1], done.applied, model


def test_each_position_gets_its_own(tmp_path: Path) -> None:
    before, _, model = encodings(tmp_path, "")
    assert torch.allclose(before[:, 0], model.pe[:6, 0], atol=1e-6)
    after, acted, model = encodings(tmp_path, f"place:{Path(__file__).name}:{SUM}")
    assert torch.allclose(after[3], model.pe[:9, 0], atol=1e-6)
    assert acted == {f"place:{Path(__file__).name}:{SUM}": 2}


def test_where_it_cannot_act(tmp_path: Path) -> None:
    assert encodings(tmp_path, f"place:{Path(__file__).name}:{SUM}", rows=7)[1] == {}, "the table is too short"
    assert encodings(tmp_path, f"place:{Path(__file__).name}:{SUM - 1}")[1] == {}
    with pytest.raises(ValueError, match="a value such as"):
        encodings(tmp_path, "place:somewhere")


def test_what_a_reader_sees() -> None:
    code = "x = x + self.pe[: x.size(0)]"
    finding = Finding("", location=Location("train.py", 3, code=code))
    told = diff_of([Patch("place", "train.py:3")], finding, run_of())
    assert told == f"- {code}\n+ x = x + self.pe[: x.size(1)].transpose(0, 1)"
