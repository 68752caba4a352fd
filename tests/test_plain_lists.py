"""Layers in a plain list are told at the line that assigns the list, however deep in it they are."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import flightcheck
from flightcheck.testing import verdict_of


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4)
        self.inner = nn.Sequential(nn.Linear(4, 4), nn.ReLU())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = x + self.inner(self.norm(x))
        return y


class Tower(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inp = nn.Linear(4, 4)
        self.blocks = [Block() for _ in range(2)]  # HERE
        self.out = nn.Linear(4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.inp(x)
        for block in self.blocks:
            x = block(x)
        y: torch.Tensor = self.out(x)
        return y


class Tables(nn.Module):
    def __init__(self, drawn: bool) -> None:
        super().__init__()
        self.tables = {name: nn.Embedding(5, 4, padding_idx=0) for name in "ab"}
        for table in self.tables.values():
            if drawn:
                nn.init.normal_(table.weight, std=0.3)
                table.weight.data[0].zero_()
            else:
                table.weight.data.copy_(torch.eye(5)[:, :4])
        self.out = nn.Linear(8, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.out(torch.cat([t(x[:, i]) for i, t in enumerate(self.tables.values())], 1))
        return y


@pytest.mark.parametrize("drawn", [True, False])
def test_tables_in_a_plain_dict_are_forgotten_if_they_were_drawn(tmp_path: Path, drawn: bool) -> None:
    torch.manual_seed(0)
    with flightcheck.watch(runs_dir=tmp_path, report=False) as watched:
        net = Tables(drawn)
        optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
        for _ in range(8):
            x = torch.randint(5, (16, 2))
            optimizer.zero_grad()
            nn.functional.mse_loss(net(x), x[:, :1].float()).backward()
            optimizer.step()
    assert watched.run is not None
    (found,) = verdict_of("P08", watched.run).findings
    assert (found.severity, found.module) == (None if drawn else "info", "Tables.tables")


def test_blocks_in_a_plain_list(tmp_path: Path) -> None:
    torch.manual_seed(0)
    with flightcheck.watch(runs_dir=tmp_path, report=False) as watched:
        net = Tower()
        optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
        for _ in range(20):
            x = torch.randn(16, 4)
            optimizer.zero_grad()
            nn.functional.mse_loss(net(x), x.sum(1, keepdim=True)).backward()
            optimizer.step()
    assert watched.diagnosis is not None
    (found,) = [f for f in watched.diagnosis.roots if f.code == "P08"]
    here = next(n for n, line in enumerate(Path(__file__).read_text().splitlines(), 1) if line.endswith("# HERE"))
    assert found.finding.location is not None
    assert found.finding.location.line == here
    assert "net.blocks[0].norm.weight" in found.finding.message.replace("Tower", "net")
