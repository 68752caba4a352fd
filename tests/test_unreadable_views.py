"""What PyTorch refuses to tell of a view is not asked for."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

import flightcheck


def test_orthogonal_weights_are_watched_without_an_error(tmp_path: Path) -> None:
    """``orthogonal_`` writes into a view of the weight that it makes without gradients."""
    with flightcheck.watch(runs_dir=tmp_path, report=False) as seen:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
        for layer in (model[0], model[2]):
            nn.init.orthogonal_(layer.weight)
            with torch.no_grad():
                rows = layer.weight.view_as(layer.weight)
                rows.mul_(0.5)
                rows.sum()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        for _ in range(12):
            optimizer.zero_grad()
            model(torch.randn(16, 4)).square().mean().backward()
            optimizer.step()
    assert seen.run is not None and seen.run.coverage.blind == []
    assert seen.run.info.steps == 12
