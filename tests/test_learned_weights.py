"""Trained weights of losses, in real trainings; and the trial that holds them by their logarithms."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import flightcheck
from flightcheck.recording.learned_weights import LearnedWeights
from flightcheck.testing import verdict_of
from tests.lab.made import patched

HERE = Path(__file__).name
Total = Callable[[list[Tensor], nn.Parameter], Tensor]


def stacked(losses: list[Tensor], s: nn.Parameter) -> Tensor:
    return (torch.exp(-s) * torch.stack(losses)).sum()


def one_by_one(losses: list[Tensor], s: nn.Parameter) -> Tensor:
    return losses[0] / (1 + s[0]).square() + losses[1].div(F.softplus(s[1]))


def plain(losses: list[Tensor], s: nn.Parameter) -> Tensor:
    weights = 1 + s
    return sum(weights[i] * loss for i, loss in enumerate(losses)) / 2  # type: ignore[return-value]


def held(losses: list[Tensor], s: nn.Parameter) -> Tensor:
    return (torch.exp(-s) * torch.stack(losses) + s).sum()


def held_apart(losses: list[Tensor], s: nn.Parameter) -> Tensor:
    return torch.exp(-s[0]) * losses[0] + torch.exp(-s[1]) * losses[1] + 0.5 * s.sum()


def held_by_a_norm(losses: list[Tensor], s: nn.Parameter) -> Tensor:
    return (torch.exp(-s) * torch.stack(losses)).sum() + 5 * torch.linalg.vector_norm(s + 1).square()


def held_by_another_loss(losses: list[Tensor], s: nn.Parameter) -> Tensor:
    """Of its own backward pass, in the same step."""
    torch.logsumexp(s, 0).backward()
    return (torch.exp(-s) * torch.stack(losses)).sum()


def shared(losses: list[Tensor], s: nn.Parameter) -> Tensor:
    """The weights add up to one: when one falls, the other rises."""
    return (torch.softmax(s, 0) * torch.stack(losses)).sum()


def ascending(losses: list[Tensor], s: nn.Parameter) -> Tensor:
    """Multipliers that are trained by ascent."""
    return losses[0] - F.softplus(s[0]) * (0.1 - losses[1].detach()) + s[1] * 0


def scaled_outputs(losses: list[Tensor], s: nn.Parameter) -> Tensor:
    return ((1 + s[0]) * torch.cat([loss.expand(4) for loss in losses]).tanh()).sum() + s[1] * 0


def turned(losses: list[Tensor], s: nn.Parameter) -> Tensor:
    return (torch.exp(s) * torch.stack(losses) + 0.5 * s).sum()


def turned_apart(losses: list[Tensor], s: nn.Parameter) -> Tensor:
    return losses[0] / s[0].exp() + losses[1] / s[1].exp() - s.sum()


def held_above_one(losses: list[Tensor], s: nn.Parameter) -> Tensor:
    """Both weights fall, since both losses are large, and the term that holds them rises."""
    return (torch.exp(-s) * torch.stack(losses) * 9 + s).sum()


def anchored(losses: list[Tensor], s: nn.Parameter) -> Tensor:
    """Weights that fall from 1 to about a half, and are held there."""
    return ((1 + s) * torch.stack(losses)).sum() + 20 * (s + 0.5).square().sum()


def beside_a_constant(losses: list[Tensor], s: nn.Parameter) -> Tensor:
    """A term without gradients falls as the losses do."""
    return held_above_one(losses, s) + 50 * losses[0].detach()


def train(total: Total, steps: int = 8) -> None:
    torch.manual_seed(0)
    model, s = nn.Linear(5, 2), nn.Parameter(torch.zeros(2))
    optimizer = torch.optim.SGD([*model.parameters(), s], lr=0.05)
    for _ in range(steps):
        x = torch.randn(16, 5)
        out = model(x)
        losses = [F.mse_loss(out[:, 0], 3 * x[:, 0]), F.l1_loss(out[:, 1], x.sum(1))]
        optimizer.zero_grad()
        total(losses, s).backward()
        optimizer.step()


def recorded(total: Total, folder: Path) -> flightcheck.Run:
    with flightcheck.watch(runs_dir=folder, report=False) as watched:
        train(total)
    assert watched.run is not None
    assert not watched.run.coverage.blind
    return watched.run


@pytest.mark.parametrize("total", [stacked, one_by_one, plain, turned, turned_apart])
def test_weights_that_nothing_holds(total: Total, tmp_path: Path) -> None:
    run = recorded(total, tmp_path)
    assert run.recorded(LearnedWeights)
    findings = verdict_of("L30", run).findings
    assert findings
    assert all(f.location is not None and f.location.function in (total.__name__, "<genexpr>") for f in findings)


@pytest.mark.parametrize(
    "total",
    [
        held,
        held_apart,
        held_by_a_norm,
        held_by_another_loss,
        held_above_one,
        anchored,
        beside_a_constant,
        shared,
        ascending,
        scaled_outputs,
    ],
)
def test_weights_that_are_held(total: Total, tmp_path: Path) -> None:
    assert not verdict_of("L30", recorded(total, tmp_path)).findings


@pytest.mark.parametrize(("total", "number", "sign"), [(stacked, 0, -1), (one_by_one, 1, 1)])
def test_the_trial_holds_them(total: Total, number: int, sign: int, tmp_path: Path) -> None:
    patch = f"weights-held:{number}@{HERE}:{total.__code__.co_firstlineno + 1}"
    differences: list[float] = []

    def looking(losses: list[Tensor], s: nn.Parameter) -> Tensor:
        changed = total(losses, s)
        if total is stacked:
            logarithms = -s.sum()
            before = (torch.exp(-s) * torch.stack(losses)).sum()
        else:
            logarithms = (1 + s[0]).square().log() + F.softplus(s[1]).log()
            before = losses[0] / (1 + s[0]).square() + losses[1] / F.softplus(s[1])
        differences.append((changed - before - sign * logarithms).abs().item())
        return changed

    assert patched(tmp_path, patch, lambda: train(looking, steps=3)).applied[patch] >= 3
    assert max(differences) < 1e-5


def test_the_trial_turns_them(tmp_path: Path) -> None:
    patch = f"weights-turned:0@{HERE}:{turned.__code__.co_firstlineno + 1}"
    differences: list[float] = []

    def looking(losses: list[Tensor], s: nn.Parameter) -> Tensor:
        changed = turned(losses, s)
        differences.append((changed - (torch.exp(-s) * torch.stack(losses) + 0.5 * s).sum()).abs().item())
        return changed

    assert patched(tmp_path, patch, lambda: train(looking, steps=3)).applied[patch] >= 3
    assert max(differences) < 1e-5
