"""Patches of single inputs of a model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.lab.made import CLASSES, FEATURES, Loop, Patched, batches, data, patched


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


Inputs = list[torch.Tensor]


def evaluated(tmp_path: Path, given: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> tuple[Inputs, Patched]:
    """What a model is given in three evaluations between training steps, where evaluation inputs are `given`."""
    seen: Inputs = []
    model = nn.Sequential(nn.Flatten(), nn.Linear(x[0].numel(), CLASSES))
    model.register_forward_pre_hook(lambda m, args: None if torch.is_grad_enabled() else seen.append(args[0].clone()))
    loop = Loop(model, pairs=[(part, torch.zeros(len(part), dtype=torch.long)) for part in x[:64].split(16)])

    def run() -> None:
        for _ in range(3):
            loop()
            with torch.no_grad():
                model(given(x[64:]))
                model(x[:16])

    return seen, patched(tmp_path, "inputs:as-training", run)


def samples(shape: tuple[int, ...]) -> torch.Tensor:
    return torch.rand(128, *shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("shape", [(6,), (3, 4, 4), (5, 6)])
def test_evaluations_are_brought_to_the_scale_of_the_training(tmp_path: Path, shape: tuple[int, ...]) -> None:
    x = samples(shape)
    seen, done = evaluated(tmp_path, lambda t: t * 255 - 3, x)
    assert done.trained.failure == ""
    assert (seen[-2] - x[64:]).abs().max() < 0.25, "as if the step had not been missing"
    assert torch.equal(seen[-1], x[:16]), "what is on the scale of the training stays"


def test_features_of_different_scale_are_brought_there_one_by_one(tmp_path: Path) -> None:
    raw = samples((6,)) * torch.tensor([1.0, 10.0, 100.0, 1.0, 5.0, 50.0]) + 7
    x = (raw - raw[:64].mean(0)) / raw[:64].std(0)
    seen, _ = evaluated(tmp_path, lambda t: raw[64:], x)
    assert (seen[-2] - x[64:]).abs().mean() < 0.2


def test_evaluations_on_the_same_scale_are_left_alone(tmp_path: Path) -> None:
    _, done = evaluated(tmp_path, lambda t: t, samples((6,)))
    assert "no place at which it could act" in done.trained.failure
