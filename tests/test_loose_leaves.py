"""Tensors of no module that the loss reaches: those that nobody trains are told, all others are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

import flightcheck

STEPS = 30


class Net(nn.Module):
    """Adds a learnt offset, and perhaps one that is not."""

    def __init__(self, offset: Callable[[], object]) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 4)
        self.offset = offset()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        offset = self.offset
        if isinstance(offset, dict):
            offset = offset["a"]
        if isinstance(offset, list):
            offset = offset[0]
        assert isinstance(offset, torch.Tensor)
        y: torch.Tensor = self.inner(x + offset)
        return y


def train(net: nn.Module, each: Callable[[], None] = lambda: None, held: tuple[torch.Tensor, ...] = ()) -> None:
    optimizer = torch.optim.Adam([*net.parameters(), *held], lr=0.01)
    for _ in range(STEPS):
        x = torch.randn(16, 4)
        optimizer.zero_grad()
        nn.functional.mse_loss(net(x), x.roll(1, 1)).backward()
        optimizer.step()
        each()


def codes(folder: Path, run: Callable[[], None]) -> list[str]:
    torch.manual_seed(0)
    with flightcheck.watch(runs_dir=folder, report=False) as watched:
        run()
    assert watched.diagnosis is not None
    assert watched.run is not None
    assert not [b for b in watched.run.coverage.blind if "of Flightcheck itself" in b]
    return [f.code for f in watched.diagnosis.roots if f.code == "P08"]


@pytest.mark.parametrize(
    "offset",
    [
        lambda: nn.Parameter(torch.zeros(4)).unsqueeze(0),
        lambda: nn.Parameter(torch.zeros(4)).to(torch.float64).to(torch.float32),
        lambda: torch.zeros(4, requires_grad=True),
        lambda: {"a": torch.zeros(4, requires_grad=True)},
        lambda: [nn.Parameter(torch.zeros(4))],
    ],
)
def test_what_nobody_trains_is_told(tmp_path: Path, offset: Callable[[], object]) -> None:
    assert codes(tmp_path, lambda: train(Net(offset))) == ["P08"]


def test_a_model_that_is_gone_at_the_end_is_told_as_well(tmp_path: Path) -> None:
    with flightcheck.watch(runs_dir=tmp_path, report=False) as watched:
        train(Net(lambda: nn.Parameter(torch.zeros(4)).unsqueeze(0)))
    assert watched.diagnosis is not None
    finding = next(f for f in watched.diagnosis.roots if f.code == "P08")
    assert finding.finding.location is not None
    assert finding.finding.location.code == "self.offset = offset()"


def test_a_tensor_that_an_optimizer_holds_passes(tmp_path: Path) -> None:
    def run() -> None:
        net = Net(lambda: torch.zeros(4, requires_grad=True))
        assert isinstance(net.offset, torch.Tensor)
        train(net, held=(net.offset,))

    assert codes(tmp_path, run) == []


def test_a_tensor_that_is_updated_by_hand_passes(tmp_path: Path) -> None:
    def run() -> None:
        net = Net(lambda: torch.zeros(4, requires_grad=True))

        def each() -> None:
            assert isinstance(net.offset, torch.Tensor)
            net.offset.data -= 0.01

        train(net, each)

    assert codes(tmp_path, run) == []


def test_a_gradient_that_somebody_reads_passes(tmp_path: Path) -> None:
    def run() -> None:
        net = Net(lambda: torch.zeros(4, requires_grad=True))

        def each() -> None:
            assert isinstance(net.offset, torch.Tensor)
            assert net.offset.grad is not None

        train(net, each)

    assert codes(tmp_path, run) == []


def test_points_of_a_differential_equation_pass(tmp_path: Path) -> None:
    def run() -> None:
        net = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))
        net.points = torch.linspace(0, 1, 32)[:, None].requires_grad_()  # type: ignore[assignment]
        optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
        for _ in range(STEPS):
            u = net(2 * net.points)
            (slope,) = torch.autograd.grad(u.sum(), net.points, create_graph=True)
            optimizer.zero_grad()
            ((slope - u) ** 2).mean().backward()
            optimizer.step()

    assert codes(tmp_path, run) == []


def test_inputs_that_want_a_gradient_pass(tmp_path: Path) -> None:
    def run() -> None:
        net = nn.Linear(4, 2)
        x, y = torch.randn(64, 4, requires_grad=True), torch.randn(64, 2)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
        for i in range(STEPS):
            optimizer.zero_grad()
            rows = torch.arange(i, i + 16)
            nn.functional.mse_loss(net(x[rows]), y[rows]).backward()
            optimizer.step()

    assert codes(tmp_path, run) == []
