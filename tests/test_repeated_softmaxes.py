"""Probabilities that are taken for logits on the way to a loss, in real trainings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Categorical, OneHotCategorical

import flightcheck
from flightcheck.recording.loss_records import RepeatedSoftmax
from flightcheck.recording.run import Run

CLASSES = 4
ONES = torch.eye(CLASSES)
Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class Soft(nn.Module):
    """Logits to probabilities, and through a second softmax as an attention might."""

    def __init__(self) -> None:
        super().__init__()
        self.out, self.soft = nn.Linear(6, CLASSES), nn.Softmax(dim=-1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logits = self.out(x)
        weighed = (logits.softmax(-1).softmax(-1) * logits).sum(-1)
        return self.soft(logits), weighed


def run_of_training(loss: Loss, tmp_path: Path, model: nn.Module | None = None) -> Run:
    torch.manual_seed(0)
    model = model or nn.Sequential(nn.Linear(6, CLASSES), nn.Softmax(dim=-1))
    with flightcheck.watch(runs_dir=tmp_path, report=False) as watched:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for _ in range(10):
            optimizer.zero_grad()
            out = model(torch.randn(8, 6))
            loss(out if isinstance(out, torch.Tensor) else out[1][:, None] * out[0], torch.arange(8) % 4).backward()
            optimizer.step()
    assert watched.run is not None
    return watched.run


def chosen(logs: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return -logs.gather(-1, y[:, None]).mean()


TAKEN_FOR_LOGITS: dict[str, Loss] = {
    "Categorical": lambda p, y: -Categorical(logits=p).log_prob(y).mean(),
    "OneHotCategorical": lambda p, y: -OneHotCategorical(logits=p).log_prob(ONES[y]).mean(),
    "log_softmax": lambda p, y: chosen(F.log_softmax(p.view(8, 1, 4), dim=2)[:, 0], y),
    "logsumexp": lambda p, y: chosen(p - p.logsumexp(dim=1, keepdim=True), y),
    "softmax": lambda p, y: chosen(p.softmax(-1).log(), y),
    "gumbel_softmax": lambda p, y: ((F.gumbel_softmax(p) - ONES[y]) ** 2).mean(),
}
RIGHT: dict[str, Loss] = {
    "probabilities": lambda p, y: -Categorical(probs=p).log_prob(y).mean(),
    "their logarithm": lambda p, y: -Categorical(logits=p.log()).log_prob(y).mean(),
    "another axis": lambda p, y: chosen(F.log_softmax(p, dim=0), y),
    "a part of the classes": lambda p, y: F.log_softmax(p[:, :3], dim=1)[:, 0].mean(),
    "a temperature": lambda p, y: chosen(F.log_softmax(p / 0.05, dim=1), y),
    "a number that no loss is made of": lambda p, y: chosen(p.log(), y) + 0 * F.log_softmax(p, 1).detach().sum(),
}


@pytest.mark.parametrize("operation", TAKEN_FOR_LOGITS)
def test_probabilities_that_are_taken_for_logits(operation: str, tmp_path: Path) -> None:
    run = run_of_training(TAKEN_FOR_LOGITS[operation], tmp_path)
    (found,) = run.recorded(RepeatedSoftmax)
    assert found.operation == operation
    assert found.repeated == found.calls >= 3
    assert found.classes == CLASSES
    assert found.made_by == "SoftmaxBackward0"
    assert found.location is not None
    assert "lambda p, y" in found.location.code
    module = run.module(found.module)
    assert module is not None
    assert module.type == "Softmax"


@pytest.mark.parametrize("name", RIGHT)
def test_logits_and_what_is_weighed(name: str, tmp_path: Path) -> None:
    assert run_of_training(RIGHT[name], tmp_path).recorded(RepeatedSoftmax) == []


def test_a_second_softmax_inside_a_model_may_be_meant(tmp_path: Path) -> None:
    run = run_of_training(lambda scaled, y: chosen((scaled**2 + 1e-3).log(), y), tmp_path, Soft())
    assert run.recorded(RepeatedSoftmax) == []
