"""Patches of single inputs of a model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from tests.lab.made import FEATURES, Loop, batches, data, patched


def test_gaps_are_filled_with_the_mean_of_their_feature(tmp_path: Path) -> None:
    x, y = data(6)
    x[1, 2], x[4, 0] = torch.nan, torch.inf
    loop, seen = Loop(pairs=[(x, y)] * 3), []
    loop.model.register_forward_pre_hook(lambda m, args: seen.append(args[0].clone()))
    patched(tmp_path, "inputs:finite", loop)
    others = torch.tensor([0, 2, 3, 4, 5])
    assert float(seen[0][1, 2]) == pytest.approx(float(x[others, 2].mean()))
    assert torch.isfinite(seen[0]).all()
    assert torch.isfinite(torch.tensor(loop.losses)).all()


def test_a_mask_of_minus_infinity_stays_one(tmp_path: Path) -> None:
    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.out = nn.Linear(FEATURES, 3)

        def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            masks.append(mask.clone())
            return self.out(x)

    masks: list[torch.Tensor] = []
    model = Masked()
    mask = torch.zeros(4, 4).masked_fill(torch.ones(4, 4).triu(1).bool(), -torch.inf)
    done = patched(tmp_path, "inputs:finite", lambda: [Loop(model, lambda out, y: out.sum()), model(data(6)[0], mask)])
    assert torch.equal(masks[0], mask)
    assert not done.applied


def test_inputs_times_a_factor(tmp_path: Path) -> None:
    wanted = Loop()
    wanted()
    loop = Loop(pairs=[(x / 255, y) for x, y in batches()])
    patched(tmp_path, "inputs:x255", loop)
    assert loop.losses == pytest.approx(wanted.losses, rel=1e-3)
