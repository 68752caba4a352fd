"""Models that are evaluated in the place of the trained one: built anew (P26), or copied before the training (P27)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

import flightcheck
from flightcheck.recording.run import Run
from flightcheck.testing import verdict_of
from tests.lab.made import patched

X = torch.randn(24, 6, generator=torch.Generator().manual_seed(0))
Y = (X[:, :1] > 0).float()


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inside = nn.Linear(6, 8)
        self.out = nn.Linear(8, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.out(torch.tanh(self.inside(x)))
        return out


def train(model: nn.Module, steps: int = 24, evaluate: Callable[[], object] = lambda: None) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    for step in range(steps):
        optimizer.zero_grad()
        nn.functional.binary_cross_entropy_with_logits(model(X), Y).backward()
        optimizer.step()
        if step % 8 == 7:
            evaluate()


def score(model: nn.Module) -> float:
    with torch.no_grad():
        return float(nn.functional.binary_cross_entropy_with_logits(model(X), Y))


def built_anew() -> None:
    train(Net())
    score(Net())


def loaded() -> None:
    model = Net()
    train(model)
    other = Net()
    other.load_state_dict(model.state_dict())
    score(other)


def averaged_by_hand() -> None:
    model = Net()
    train(model)
    average = Net()
    with torch.no_grad():
        for mean, p in zip(average.parameters(), model.parameters(), strict=True):
            mean.copy_(p)
    score(average)


class Adapted(nn.Module):
    """A frozen layer with a small one beside it, which is trained."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.layer, self.beside = (
            layer.requires_grad_(False),
            nn.Linear(layer.in_features, layer.out_features, bias=False),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.layer(x) + self.beside(x)
        return out

    def merged(self) -> nn.Linear:
        one = nn.Linear(self.layer.in_features, self.layer.out_features)
        with torch.no_grad():
            one.weight.copy_(self.layer.weight + self.beside.weight)
            one.bias.copy_(self.layer.bias)
        return one


def merged_adapters() -> None:
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 1))
    train(model)
    adapted = nn.Sequential(*[Adapted(m) if isinstance(m, nn.Linear) else m for m in model])
    train(adapted)
    whole = nn.Sequential(*[m.merged() if isinstance(m, Adapted) else m for m in adapted])
    score(whole)


def beside_the_trained_one() -> None:
    model = Net()
    train(model)
    score(Net())
    score(model)


def old_copy() -> None:
    model = Net()
    before = copy.deepcopy(model)
    train(model, evaluate=lambda: score(before))


def copy_that_follows() -> None:
    model = Net()
    slow = copy.deepcopy(model)

    def evaluate() -> None:
        slow.load_state_dict(model.state_dict())
        score(slow)

    train(model, evaluate=evaluate)


def reference() -> None:
    model = Net()
    before = copy.deepcopy(model)
    train(model, evaluate=lambda: (score(before), score(model)))


def run_of_script(folder: Path, script: Callable[[], None]) -> Run:
    torch.manual_seed(0)
    with flightcheck.watch(runs_dir=folder, report=False) as watched:
        script()
    assert watched.run is not None
    return watched.run


@pytest.mark.parametrize(
    ("script", "code"),
    [
        (built_anew, "P26"), (old_copy, "P27"), (loaded, ""), (beside_the_trained_one, ""), (copy_that_follows, ""),
        (reference, ""), (averaged_by_hand, ""), (merged_adapters, ""),
    ],
)  # fmt: skip
def test_who_is_evaluated(tmp_path: Path, script: Callable[[], None], code: str) -> None:
    run = run_of_script(tmp_path, script)
    found = {c for c in ("P26", "P27") if verdict_of(c, run).status == "fail"}
    assert found == ({code} if code else set())


def test_the_trained_weights_are_tried(tmp_path: Path) -> None:
    values: list[float] = []

    def script() -> None:
        torch.manual_seed(0)
        model = Net()
        train(model)
        values.append(score(model))
        values.append(score(Net()))

    run = patched(tmp_path, "load:trained", script)
    assert run.applied == {"load:trained": 1} and not run.errors
    assert values[0] == pytest.approx(values[1])
