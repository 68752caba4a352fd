"""Which argument of a loss its target is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import flightcheck

Loss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


@pytest.mark.parametrize(
    "loss",
    [
        F.cosine_embedding_loss,
        nn.CosineEmbeddingLoss(),
        lambda a, b, y: F.cosine_embedding_loss(input1=a, input2=b, target=y),
        lambda a, b, y: F.margin_ranking_loss(a[:, 0], b[:, 0], y),
    ],
    ids=["function", "module", "named", "ranking"],
)
@pytest.mark.parametrize("signs", [False, True])
def test_the_target_of_a_pair_is_the_third_argument(tmp_path: Path, loss: Loss, signs: bool) -> None:
    torch.manual_seed(0)
    model = nn.Linear(4, 3)
    target = torch.tensor([1.0, 0.0] * 4)
    with flightcheck.watch(runs_dir=tmp_path, report=False) as seen:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for _ in range(4):
            optimizer.zero_grad()
            loss(model(torch.randn(8, 4)), model(torch.randn(8, 4)), 2 * target - 1 if signs else target).backward()
            optimizer.step()
    assert seen.run is not None
    assert seen.diagnosis is not None
    assert {(c.target_min, c.target_max) for c in seen.run.loss_calls} == {(-1.0 if signs else 0.0, 1.0)}
    assert [f.code for f in seen.diagnosis.findings if f.code == "L08"] == ([] if signs else ["L08"])
