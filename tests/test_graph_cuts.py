"""Where the graph is cut, and since when: what the adapter records for C02."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn

import flightcheck
from flightcheck.diagnosis import DiagnosedFinding


def found(watched: flightcheck.watch) -> Iterator[DiagnosedFinding]:
    assert watched.diagnosis is not None
    yield from (f for f in watched.diagnosis.findings if f.code == "C02" and f.severity == "error")


def train(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> None:
    for _ in range(steps):
        x = torch.randn(16, 4)
        optimizer.zero_grad()
        nn.functional.mse_loss(model(x), x.roll(1, 1)).backward()
        optimizer.step()


class Summed(nn.Module):
    def __init__(self, through_data: bool) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(4, 4), nn.Linear(4, 4)
        self.through_data = through_data

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.inner(x)
        total = torch.zeros_like(x)
        if self.through_data:
            total.data.add_(h)
        else:
            total.add_(h)
        y: torch.Tensor = self.outer(total)
        return y


def test_values_written_through_data_are_cut_off_at_that_line(tmp_path: Path) -> None:
    for through_data in (True, False):
        torch.manual_seed(0)
        model = Summed(through_data)
        with flightcheck.watch(runs_dir=tmp_path, report=False) as watched:
            train(model, torch.optim.Adam(model.parameters()), 30)
        lines = [f.finding.location.code for f in found(watched) if f.finding.location is not None]
        assert lines == (["total.data.add_(h)"] if through_data else [])


class Tapped(nn.Module):
    """Uses a feature that a hook stores."""

    def __init__(self, backbone: nn.Module, detached: bool) -> None:
        super().__init__()
        self.backbone, self.head = backbone, nn.Linear(4, 4)
        self.kept: list[torch.Tensor] = []

        def keep(module: nn.Module, args: object, output: torch.Tensor) -> None:
            self.kept[:] = [output.detach() if detached else output]

        backbone.register_forward_hook(keep)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.backbone(x)
        y: torch.Tensor = self.head(self.kept[0])
        return y


def tuned(folder: Path, detached: bool, own_group: bool = True, frozen: bool = False) -> list[DiagnosedFinding]:
    torch.manual_seed(0)
    backbone = nn.Linear(4, 4)
    with flightcheck.watch(runs_dir=folder, report=False) as watched:
        train(backbone, torch.optim.Adam(backbone.parameters()), 30)
        model = Tapped(backbone, detached)
        backbone.requires_grad_(not frozen)
        groups = [{"params": list(m.parameters())} for m in (backbone, model.head)]
        train(model, torch.optim.Adam(groups if own_group else [*model.parameters()]), 30)
    return list(found(watched))


def test_what_learns_in_the_first_phase_only_is_told_at_the_cut(tmp_path: Path) -> None:
    (finding,) = tuned(tmp_path, detached=True)
    assert finding.finding.location is not None
    assert "detach()" in finding.finding.location.code


def test_what_goes_on_learning_or_is_frozen_passes(tmp_path: Path) -> None:
    assert tuned(tmp_path, detached=False) == []
    assert tuned(tmp_path, detached=True, own_group=False) == []
    assert tuned(tmp_path, detached=False, frozen=True) == []


class Table(nn.Module):
    """Rows of an embedding, read past its forward."""

    def __init__(self, through_data: bool) -> None:
        super().__init__()
        self.rows, self.head = nn.Embedding(5, 4), nn.Linear(4, 4)
        self.through_data = through_data

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = self.rows.weight.data if self.through_data else self.rows.weight
        read: torch.Tensor = self.head(rows[x.argmax(1)])
        return read


def test_a_weight_that_is_read_by_its_data(tmp_path: Path) -> None:
    for through_data in (True, False):
        with flightcheck.watch(runs_dir=tmp_path, report=False) as watched:
            model = Table(through_data)
            train(model, torch.optim.Adam(model.parameters(), 0.01), 12)
        cut = [(f.finding.module, f.finding.evidence["cut"]) for f in found(watched)]
        assert cut == ([("Table.rows", "data")] if through_data else [])
