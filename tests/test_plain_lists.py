"""Layers in a plain list are told at the line that assigns the list, however deep in it they are."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

import flightcheck


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
