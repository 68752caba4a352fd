"""One line that computes the loss of two kinds of models, one after the other: a trainer that is used twice."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

import flightcheck
from flightcheck.testing import verdict_of


class Plain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x).squeeze(1)


class Positive(Plain):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.body(x)).squeeze(1)


def test_what_is_wrong_with_the_second_model_alone_is_told(tmp_path: Path) -> None:
    torch.manual_seed(0)
    x = torch.randn(64, 4)
    y = x[:, 0] - x[:, 1]
    with flightcheck.watch(runs_dir=tmp_path, report=False) as watched:
        for model in (Plain(), Plain(), Positive()):
            optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
            for _ in range(20):
                optimizer.zero_grad()
                nn.functional.mse_loss(model(x), y).backward()
                optimizer.step()
    assert watched.run is not None
    assert [s.train_calls for s in watched.run.loss_sites] == [40, 20]
    (finding,) = verdict_of("C16", watched.run).findings
    assert finding.evidence["activation"] == "relu"
