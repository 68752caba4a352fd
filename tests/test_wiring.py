"""Odd structure of models: what the adapter sees of repeated layers, unread results, layers called for others, flags."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import flightcheck
from flightcheck.diagnosis import DiagnosedFinding

STEPS = 30


def findings(folder: Path, make: Callable[[], nn.Module], *codes: str) -> list[DiagnosedFinding]:
    """What these checks say of a short training of a model."""
    torch.manual_seed(0)
    with flightcheck.watch(runs_dir=folder, report=False) as watched:
        model = make()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        for _ in range(STEPS):
            x = torch.randn(16, 4)
            optimizer.zero_grad()
            F.mse_loss(model(x), x.roll(1, 1)).backward()
            optimizer.step()
    assert watched.diagnosis is not None
    assert watched.run is not None
    assert not [b for b in watched.run.coverage.blind if "of Flightcheck itself" in b]
    return [f for f in watched.diagnosis.findings if f.code in codes]


def code_of(found: list[DiagnosedFinding]) -> list[str]:
    return [f.finding.location.code for f in found if f.finding.location is not None]


class Repeated(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(4, 4)] * 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return x


class ByComprehension(Repeated):
    def __init__(self) -> None:
        super().__init__()
        block = nn.Sequential(nn.Linear(4, 4), nn.Tanh())
        self.layers = nn.ModuleList([block for _ in range(3)])


class OnPurpose(Repeated):
    """An encoder with parameter sharing across its layers."""

    def __init__(self) -> None:
        super().__init__()
        block = nn.Linear(4, 4)
        self.layers = nn.ModuleList([block] * 3)


class WithComment(Repeated):
    def __init__(self) -> None:
        super().__init__()
        block = nn.Linear(4, 4)
        # all steps have the same weights
        self.layers = nn.ModuleList([block] * 3)


class InSequence(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        hidden = [nn.Linear(4, 4), nn.ReLU()] * 2
        self.net = nn.Sequential(*hidden, nn.Linear(4, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.net(x)
        return y


class Anew(Repeated):
    def __init__(self) -> None:
        super().__init__()
        act = nn.ReLU()
        self.layers = nn.ModuleList([nn.Sequential(nn.Linear(4, 4), act) for _ in range(3)])


class InLoop(Repeated):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(4, 4)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for _ in range(3):
            x = torch.tanh(self.layers[0](x))
        return x


@pytest.mark.parametrize(
    ("model", "line"),
    [
        (Repeated, "self.layers = nn.ModuleList([nn.Linear(4, 4)] * 3)"),
        (ByComprehension, "self.layers = nn.ModuleList([block for _ in range(3)])"),
        (InSequence, "hidden = [nn.Linear(4, 4), nn.ReLU()] * 2"),
        (Anew, ""),
        (OnPurpose, ""),
        (WithComment, ""),
        (InLoop, ""),
    ],
)
def test_repeated_layers(tmp_path: Path, model: Callable[[], nn.Module], line: str) -> None:
    assert code_of(findings(tmp_path, model, "C37")) == ([line] if line else [])


class Offset(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + 1


class Unread(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)
        self.offset, self.act = Offset(), nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        identity = x  # noqa: F841
        self.offset(x)
        h = self.a(x)
        h = self.b(x)
        F.relu(h)
        h.clamp(0, 1)
        return h


class Keeper(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen = x.detach()
        return x


class Read(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)
        self.keeper, self.act = Keeper(), nn.ReLU(inplace=True)
        self.log: list[float] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        identity = x
        self.keeper(x)
        h = self.a(x)
        self.act(h)
        h = h + 0
        F.relu(h, inplace=True)
        h = h.clone()
        h.clamp_(0, 1)
        self.log.append(0.0)
        h = self.b(h)
        _unused = h
        return h + identity


def test_results_that_nothing_reads(tmp_path: Path) -> None:
    lines = ["identity = x  # noqa: F841", "self.offset(x)", "h = self.a(x)"]
    told = findings(tmp_path, Unread, "C38")
    assert sorted(code_of(told)) == sorted(lines)
    statements = next(f.finding for f in told if f.finding.evidence["kind"] == "statement")
    at = statements.location
    assert at is not None
    assert f"So in line {at.line + 3}, {at.line + 4}." in statements.message, "F.relu(h) and h.clamp(0, 1)"
    assert findings(tmp_path, Read, "C38") == []


class Follower(nn.Module):
    """A helper writes into its buffer, which others read."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("top", torch.ones(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        follow(self.get_buffer("top"), x.detach().amax())
        return x


def follow(mean: torch.Tensor, value: torch.Tensor) -> None:
    mean.mul_(0.9).add_(value, alpha=0.1)


class Standardized(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.seen, self.range, self.out = nn.BatchNorm1d(4, affine=False), Follower(), nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen(x)
        self.range(x)
        y: torch.Tensor = self.out((x - self.seen.running_mean) / self.range.top)
        return y


class Forgotten(Standardized):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen(x)
        y: torch.Tensor = self.out(x)
        return y


def test_norms_and_observers_are_called_for_the_statistics_that_are_read(tmp_path: Path) -> None:
    assert findings(tmp_path, Standardized, "C38") == []
    assert code_of(findings(tmp_path, Forgotten, "C38")) == ["self.seen(x)"]


class Twins(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mean, self.width = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.mean(x) + 0.1 * self.width(x)
        return y


class Slip(Twins):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = self.mean(x)
        width = self.mean(x)
        y: torch.Tensor = mean + 0.1 * width
        return y


class LaterPhase(Twins):
    def forward(self, x: torch.Tensor, later: bool = False) -> torch.Tensor:
        if later:
            y: torch.Tensor = self.width(x)
            return y
        return self.mean(x) - self.mean(0.5 * x)


def test_a_layer_that_is_called_for_its_twin(tmp_path: Path) -> None:
    assert code_of(findings(tmp_path, Slip, "C39")) == ["width = self.mean(x)"]
    assert findings(tmp_path, Twins, "C39") == []
    assert findings(tmp_path, LaterPhase, "C39") == []


def misspelt() -> nn.Module:
    model = Twins()
    for parameter in model.mean.parameters():
        parameter.require_grad = False  # type: ignore[attr-defined]
    return model


def of_module() -> nn.Module:
    model = Twins()
    model.mean.requires_grad = False  # type: ignore[assignment]
    return model


def frozen() -> nn.Module:
    model = Twins()
    model.mean.requires_grad_(False)
    return model


def test_flags_that_freeze_nothing(tmp_path: Path) -> None:
    for make, line in ((misspelt, "parameter.require_grad = False"), (of_module, "model.mean.requires_grad = False")):
        (code,) = code_of(findings(tmp_path, make, "P11"))
        assert code.startswith(line)
    assert [f for f in findings(tmp_path, frozen, "P11") if f.severity != "info"] == []
