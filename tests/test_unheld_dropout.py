"""Dropout in a module that the model does not hold stays on when the model is evaluated."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import flightcheck
from flightcheck.testing import verdict_of


class Thinned(nn.Module):
    """Dropout as a module of the script's own."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.dropout(x, 0.4, training=self.training)  # OWN


class Net(nn.Module):
    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.inp, self.out = nn.Linear(3, 8), nn.Linear(8, 1)
        self.held = nn.Dropout(0.4)
        self.listed = [nn.AlphaDropout(0.4)]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.inp(x).relu()
        if self.way == "anew":
            x = nn.Dropout(0.4)(x)  # ANEW
        elif self.way == "own":
            x = Thinned()(x)
        elif self.way == "listed":
            x = self.listed[0](x)  # LISTED
        elif self.way == "asked":
            x = F.dropout(x, 0.4, training=True)
        else:
            x = self.held(x)
        y: torch.Tensor = self.out(x)
        return y


@pytest.mark.parametrize(
    ("way", "line"),
    [("anew", "ANEW"), ("own", "OWN"), ("listed", "LISTED"), ("held", ""), ("asked", ""), ("put off", "")],
)
def test_dropout_that_eval_does_not_reach(tmp_path: Path, way: str, line: str) -> None:
    torch.manual_seed(0)
    with flightcheck.watch(runs_dir=tmp_path, report=False) as watched:
        net = Net("listed" if way == "put off" else way)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
        for step in range(12):
            x = torch.randn(16, 3)
            net.train()
            optimizer.zero_grad()
            F.mse_loss(net(x), x.sum(1, keepdim=True)).backward()
            optimizer.step()
            if step % 4 == 3:
                net.eval()
                net.listed[0].train(way != "put off")
                with torch.no_grad():
                    F.mse_loss(net(x), x.sum(1, keepdim=True)).item()
    assert watched.run is not None
    found = verdict_of("C30", watched.run).findings
    assert [f.location.code.partition("  # ")[2] for f in found if f.location] == ([line] if line else [])


class Neighbourhood(nn.Module):
    """A graph network: nodes take the mean of their neighbours, by a sparse matrix."""

    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(3, 1)

    def forward(self, x: torch.Tensor, adjacency: torch.Tensor) -> torch.Tensor:
        x = F.dropout(x, 0.5)  # ALWAYS ON
        return torch.sparse.mm(adjacency, self.out(x))


@pytest.mark.parametrize("layout", ["coo", "csr"])
def test_evaluations_of_a_graph_with_a_sparse_matrix_are_looked_at(tmp_path: Path, layout: str) -> None:
    torch.manual_seed(0)
    adjacency = torch.eye(16).to_sparse() if layout == "coo" else torch.eye(16).to_sparse_csr()
    x = torch.randn(16, 3)
    with flightcheck.watch(runs_dir=tmp_path, report=False) as watched:
        net = Neighbourhood()
        optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
        for step in range(12):
            net.train()
            optimizer.zero_grad()
            F.mse_loss(net(x, adjacency)[:8], x[:8, :1]).backward()
            optimizer.step()
            if step % 4 == 3:
                net.eval()
                with torch.no_grad():
                    F.mse_loss(net(x, adjacency)[8:], x[8:, :1]).item()
    assert watched.run is not None
    found = verdict_of("C30", watched.run).findings
    assert [f.location.code.partition("  # ")[2] for f in found if f.location] == ["ALWAYS ON"]
