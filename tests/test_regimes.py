"""Two optimizers: players against each other are told from two parts of one model."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from tests.lab.made import patched


def _two() -> tuple[nn.Module, nn.Module, torch.optim.Optimizer, torch.optim.Optimizer]:
    torch.manual_seed(0)
    one, other = nn.Linear(4, 6), nn.Linear(6, 1)
    return one, other, *(torch.optim.Adam(m.parameters(), 1e-3) for m in (one, other))  # type: ignore[return-value]


def encoder_and_decoder() -> None:
    encoder, decoder, first, second = _two()
    for _ in range(8):
        x = torch.randn(8, 4)
        first.zero_grad()
        second.zero_grad()
        F.mse_loss(decoder(encoder(x).tanh()), x[:, :1]).backward()
        first.step()
        second.step()


def players() -> None:
    maker, judge, makes, judges = _two()
    for _ in range(8):
        real, made = torch.randn(8, 6), maker(torch.randn(8, 4))
        judges.zero_grad()
        (F.softplus(-judge(real)) + F.softplus(judge(made.detach()))).mean().backward()
        judges.step()
        makes.zero_grad()
        F.softplus(-judge(made)).mean().backward()
        makes.step()


def test_one_loss_of_both_is_an_ordinary_training(tmp_path: Path) -> None:
    assert "gan" not in patched(tmp_path, "", encoder_and_decoder).run.plan.regimes


def test_losses_of_their_own_are_a_game(tmp_path: Path) -> None:
    assert "gan" in patched(tmp_path, "", players).run.plan.regimes
