"""Patches that give a draw, a penalty on weights and tables of zeros what they lack."""

from __future__ import annotations

import inspect
from pathlib import Path

import torch
from torch import nn

from tests.lab.made import FEATURES, Loop, batches, patched


class Penalized(Loop):
    """A draw from a distribution that the model made, and a penalty on its weights."""

    def __init__(self, how: str) -> None:
        torch.manual_seed(1)
        super().__init__(nn.Linear(FEATURES, 4), pairs=batches(60))
        self.how = how
        self.gradients: list[float] = []

    def step(self, x: torch.Tensor, y: torch.Tensor) -> None:
        weight, given = self.model.weight, self.model(x)
        assert isinstance(weight, torch.Tensor)
        loss = (given * 0).sum()
        if self.how == "normal":
            loss = loss + torch.normal(given, 1.0).sum()  # at normal
        else:
            loss = loss + weight.data.abs().sum()  # at penalty
        self.optimizer.zero_grad()
        loss.backward()
        assert weight.grad is not None
        self.gradients.append(float(weight.grad.abs().sum()))
        self.optimizer.step()


def line_of(how: str) -> int:
    lines, first = inspect.getsourcelines(Penalized)
    return first + next(i for i, line in enumerate(lines) if f"# at {how}" in line)


def test_what_had_no_gradient_has_one(tmp_path: Path) -> None:
    for how in ("normal", "penalty"):
        patch = f"keep-graph:{Path(__file__).name}:{line_of(how)}"
        control, changed = Penalized(how), Penalized(how)
        patched(tmp_path / f"{how}-control", "", control)
        done = patched(tmp_path / how, patch, changed)
        assert not done.errors
        assert set(control.gradients) == {0.0}
        assert min(changed.gradients) > 0
        assert done.applied[patch] == len(changed.gradients)


def test_tables_of_zeros_are_drawn_and_learnt_ones_stay(tmp_path: Path) -> None:
    class Tables(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.empty, self.learnt, self.out = nn.Embedding(5, 4), nn.Embedding(5, 4), nn.Linear(FEATURES, 3)
            nn.init.zeros_(self.empty.weight)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.out(x)
            return logits

    torch.manual_seed(2)
    model = Tables()
    learnt = model.learnt.weight.detach().clone()
    patched(tmp_path, "reinit:default", Loop(model))
    assert torch.equal(model.learnt.weight, learnt)
    assert 0.02 < float(model.empty.weight.detach().std()) < 0.3


def test_rows_of_tables_get_a_length_of_one_and_nothing_else_changes(tmp_path: Path) -> None:
    class Factors(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.user, self.bias, self.out = nn.Embedding(50, 64), nn.Embedding(50, 3), nn.Linear(FEATURES, 3)
            nn.init.zeros_(self.bias.weight)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.out(x)
            return logits

    torch.manual_seed(2)
    model, control = Factors(), Loop(Factors())
    control.model.load_state_dict(model.state_dict())
    patched(tmp_path, "", control)
    patched(tmp_path, "reinit:tables", Loop(model))
    assert float(control.model.get_parameter("user.weight").detach().norm(dim=1).mean()) > 7
    assert 0.8 < float(model.user.weight.detach().norm(dim=1).mean()) < 1.2
    assert torch.equal(model.out.weight, control.model.get_parameter("out.weight"))
    assert not model.bias.weight.any()
