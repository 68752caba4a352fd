"""Over which axis scores are normalized, beside the axis that the product with them adds up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import flightcheck
from flightcheck.testing import verdict_of

BATCH, POINTS, WIDTH, GROUPS = 8, 6, 5, 3


class Layers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.assign = nn.Linear(WIDTH, GROUPS)


class Queries(Layers):
    """The fault: over the queries."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for _ in range(2):
            weights = torch.softmax(self.q(x) @ self.k(x).transpose(1, 2), dim=1)
            x = x + weights @ self.v(x)
        return x


class Keys(Layers):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.softmax(self.q(x) @ self.k(x).transpose(1, 2), dim=2) @ self.v(x)


class Means(Layers):
    """Points choose among groups, and groups are means of their points."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        points = self.v(x)
        centers = points[:, :GROUPS]
        for _ in range(3):
            chosen = torch.softmax(points @ centers.transpose(1, 2), dim=-1)
            centers = chosen.transpose(1, 2) @ points / chosen.sum(1).unsqueeze(-1)
        return chosen @ centers


class Routed(Layers):
    """Points divide themselves among groups, beginning with equal parts."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        votes, scores = self.v(x), torch.zeros(len(x), GROUPS, POINTS)
        for _ in range(3):
            parts = torch.softmax(scores, dim=1) @ votes
            scores = scores + parts @ votes.transpose(1, 2)
        return torch.softmax(scores, dim=1).transpose(1, 2) @ parts


class Pooled(Layers):
    """Nodes are assigned to clusters by a layer behind a product with what is learned of the edges."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        edges = torch.sigmoid(self.q(x) @ self.k(x).transpose(1, 2))
        chosen = torch.softmax(edges @ self.assign(x), dim=-1)
        return chosen @ (chosen.transpose(1, 2) @ self.v(x))


@pytest.mark.parametrize(
    ("make", "told"), [(Queries, True), (Keys, False), (Means, False), (Routed, False), (Pooled, False)]
)
def test_which_products_are_no_weighted_means(tmp_path: Path, make: Callable[[], nn.Module], told: bool) -> None:
    torch.manual_seed(0)
    model = make()
    with flightcheck.watch(runs_dir=tmp_path, report=False) as seen:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for _ in range(6):
            x = torch.randn(BATCH, POINTS, WIDTH)
            optimizer.zero_grad()
            F.mse_loss(model(x), x).backward()
            optimizer.step()
    assert bool(verdict_of("C40", seen.run).findings) == told
