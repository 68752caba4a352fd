"""Look-ups of embeddings: which rows are read, and which line computed the numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import flightcheck
from flightcheck.recording.embedding_rows import EmbeddingRows
from flightcheck.testing import verdict_of

ROWS = 12


class Net(nn.Module):
    def __init__(self, same: bool, functional: bool) -> None:
        super().__init__()
        self.word, self.place, self.out = nn.Embedding(40, 8), nn.Embedding(ROWS, 8), nn.Linear(8, 1)
        self.same, self.functional = same, functional

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        numbers = torch.arange(ROWS)
        numbers = torch.zeros_like(numbers) if self.same else numbers
        numbers = numbers.expand_as(x)
        place = nn.functional.embedding(numbers, self.place.weight) if self.functional else self.place(numbers)
        h = self.word(x) + place
        return self.out(h.mean(1))


@pytest.mark.parametrize("functional", [True, False])
@pytest.mark.parametrize("same", [True, False])
def test_places_that_are_one_are_told(tmp_path: Path, same: bool, functional: bool) -> None:
    torch.manual_seed(0)
    with flightcheck.watch(runs_dir=tmp_path, report=False) as seen:
        net = Net(same, functional)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
        for _ in range(8):
            optimizer.zero_grad()
            net(torch.randint(0, 40, (16, ROWS))).pow(2).mean().backward()
            optimizer.step()
    assert seen.run is not None
    assert not [b for b in seen.run.coverage.blind if "of Flightcheck itself" in b]
    tables = {r.rows: r for r in seen.run.recorded(EmbeddingRows)}
    assert tables[ROWS].read == ([0] if same else list(range(8)))
    assert len(tables[40].read) == 8
    findings = verdict_of("C43", seen.run).findings
    assert bool(findings) == same
    if same and not functional:
        assert findings[0].location is not None
        assert "zeros_like" in findings[0].location.code or "expand_as" in findings[0].location.code


def test_frozen_and_small_tables_are_left_out(tmp_path: Path) -> None:
    with flightcheck.watch(runs_dir=tmp_path, report=False) as seen:
        frozen, small, out = nn.Embedding(40, 4), nn.Embedding(4, 4), nn.Linear(4, 1)
        frozen.weight.requires_grad_(False)
        optimizer = torch.optim.SGD([*small.parameters(), *out.parameters()], lr=0.01)
        for _ in range(6):
            optimizer.zero_grad()
            ids = torch.zeros(64, dtype=torch.long)
            out(frozen(ids) + small(ids)).mean().backward()
            optimizer.step()
    assert seen.run is not None
    assert seen.run.recorded(EmbeddingRows) == []
