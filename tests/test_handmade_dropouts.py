"""Dropout that is written by hand, and stays on when the model is evaluated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import flightcheck
from flightcheck.checks.connections.c30_mode_mistake import handmade_dropouts
from flightcheck.recording.dropouts import HandmadeDropout
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.records import Location
from flightcheck.recording.run import Run
from flightcheck.testing import run_of, verdict_of
from tests.lab.made import patched


class Thinned(nn.Module):
    """As people write it."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.table = nn.Parameter(torch.eye(8) + 0.1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return getattr(self, self.way)(x)  # type: ignore[no-any-return]

    def compared(self, x: torch.Tensor) -> torch.Tensor:
        mask = (torch.rand_like(x) > 0.4).float() / 0.6
        return x * mask  # ON

    def behind(self, x: torch.Tensor) -> torch.Tensor:
        mask = torch.rand(x.shape) > 0.4
        return mask.to(x.dtype) * x / (1 - 0.4)  # ON

    def drawn(self, x: torch.Tensor) -> torch.Tensor:
        keep = torch.empty_like(x).bernoulli_(0.6)
        return keep * x / 0.6  # ON

    def whole(self, x: torch.Tensor) -> torch.Tensor:
        return x.mul(torch.rand(x.shape[0], 1) >= 0.4) / 0.6  # ON

    def rows(self, x: torch.Tensor) -> torch.Tensor:
        """Of a table, as embedding dropout does."""
        keep = torch.empty(8, 1).bernoulli_(0.6)
        return x @ (self.table * keep / 0.6)  # ON

    def asked(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return x
        return x * (torch.rand_like(x) > 0.4) / 0.6

    def mixed(self, x: torch.Tensor) -> torch.Tensor:
        """Zoneout: the mask takes from the one or the other."""
        mask = (torch.rand_like(x) > 0.4).float()
        return x * mask + x.detach() * (1 - mask)

    def sampled(self, x: torch.Tensor) -> torch.Tensor:
        """Stochastic units: what the model computed is the probability."""
        p = torch.sigmoid(x)
        return x * (torch.rand_like(p) < p)

    def lossy(self, x: torch.Tensor) -> torch.Tensor:
        """A link that loses packets: nothing makes up for them."""
        return x * (torch.rand_like(x) > 0.4)


class Net(nn.Module):
    def __init__(self, way: str) -> None:
        super().__init__()
        self.inp, self.thin, self.out = nn.Linear(3, 8), Thinned(way), nn.Linear(8, 1)
        self.first = way == "first"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.first:  # noise on the inputs: a denoising model is evaluated with it
            x = x * (torch.rand_like(x) > 0.4) / 0.6
            return self.out(self.inp(x).relu())  # type: ignore[no-any-return]
        return self.out(self.thin(self.inp(x).relu()))  # type: ignore[no-any-return]


PRODUCTS = {
    "compared": "return x * mask  # ON", "drawn": "return keep * x / 0.6  # ON",
    "whole": "return x.mul(torch.rand(x.shape[0], 1) >= 0.4) / 0.6  # ON",
    "behind": "return mask.to(x.dtype) * x / (1 - 0.4)  # ON",
}  # fmt: skip


def train(net: Net, *, passes: int = 1, steps: int = 24) -> None:
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    for step in range(steps):
        x = torch.randn(16, 3)
        net.train()
        optimizer.zero_grad()
        F.mse_loss(net(x), x.sum(1, keepdim=True)).backward()
        optimizer.step()
        if step % 4 == 3:
            net.eval()
            with torch.no_grad():
                for _ in range(passes):
                    F.mse_loss(net(x), x.sum(1, keepdim=True)).item()


def watched(folder: Path, way: str, **how: Any) -> Run:
    torch.manual_seed(0)
    with flightcheck.watch(runs_dir=folder, report=False) as watched:
        train(Net(way), **how)
    assert watched.run is not None and watched.run.coverage.blind == []
    return watched.run


@pytest.mark.parametrize("way", ["compared", "drawn", "whole", "behind", "rows"])
def test_it_is_asked_of_the_product(tmp_path: Path, way: str) -> None:
    (line,) = handmade_dropouts(watched(tmp_path, way))
    assert line.code.endswith("# ON")


@pytest.mark.parametrize("way", ["asked", "mixed", "sampled", "lossy", "first"])
def test_what_is_meant(tmp_path: Path, way: str) -> None:
    assert handmade_dropouts(watched(tmp_path, way)) == []


class Functions:
    """A model without modules: matrices, and functions of them."""

    def __init__(self) -> None:
        self.first, self.last = (torch.randn(n, m).div(n**0.5).requires_grad_() for n, m in ((3, 8), (8, 1)))

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        h = (x @ self.first).relu()
        mask = (torch.rand_like(h) > 0.4).float() / 0.6
        h = h * mask  # WRITTEN AS FUNCTIONS
        return h @ self.last

    def train(self, steps: int) -> None:
        optimizer = torch.optim.SGD([self.first, self.last], lr=0.01)
        for _ in range(steps):
            x = torch.randn(16, 3)
            optimizer.zero_grad()
            F.mse_loss(self(x), x.sum(1, keepdim=True)).backward()
            optimizer.step()


def test_a_model_that_is_written_as_functions(tmp_path: Path) -> None:
    torch.manual_seed(0)
    with flightcheck.watch(runs_dir=tmp_path, report=False) as watched:
        Functions().train(24)
    assert watched.run is not None and watched.run.coverage.blind == []
    (line,) = handmade_dropouts(watched.run)
    assert line.code.endswith("# WRITTEN AS FUNCTIONS")


def test_in_evaluations_of_functions_it_is_the_mean_too(tmp_path: Path) -> None:
    text = Path(__file__).read_text().splitlines()
    line = next(i for i, code in enumerate(text, 1) if code.endswith("h * mask  # WRITTEN AS FUNCTIONS"))
    answers: list[torch.Tensor] = []

    def run() -> None:
        torch.manual_seed(0)
        net = Functions()
        net.train(8)
        with torch.no_grad():
            answers.extend(net(torch.ones(10_000, 3)) for _ in range(2))

    assert patched(tmp_path, f"dropout:test_handmade_dropouts.py:{line}=eval", run).applied
    one, again = answers
    assert torch.allclose(one, again, atol=0.02) and float(one.std()) < 1e-4


def test_monte_carlo_dropout_is_meant(tmp_path: Path) -> None:
    assert handmade_dropouts(watched(tmp_path, "compared", passes=3)) == []


@pytest.mark.parametrize(("status", "told"), [("confirmed", True), ("refuted", False), ("untested", False)])
def test_a_trial_decides(status: str, told: bool) -> None:
    line = Location("train.py", 31, "forward", "return x * mask / 0.5")
    tried = Experiment("C30", "dropout:train.py:31=eval", status=status)
    found = verdict_of("C30", run_of(HandmadeDropout(line), tried, steps=60)).findings
    assert [(f.location, f.patch) for f in found] == [(line, "dropout:train.py:31=eval")] * told
    assert not found or "written by hand and never asks for the mode" in found[0].message


def test_random_numbers_stay_as_they_are(tmp_path: Path) -> None:
    def states(folder: Path | None) -> list[torch.Tensor]:
        torch.manual_seed(0)
        net = Net("compared")
        if folder is None:
            train(net)
        else:
            with flightcheck.watch(runs_dir=folder, report=False):
                train(net)
        return [torch.get_rng_state(), *(p.detach() for p in net.parameters())]

    assert all(torch.equal(a, b) for a, b in zip(states(None), states(tmp_path)))


@pytest.mark.parametrize("way", ["compared", "drawn", "whole", "behind"])
def test_the_trial_gives_evaluations_the_mean_of_the_mask(tmp_path: Path, way: str) -> None:
    answers: dict[str, list[torch.Tensor]] = {}
    line = next(i for i, text in enumerate(Path(__file__).read_text().splitlines(), 1) if text.strip() == PRODUCTS[way])
    for patch in (f"dropout:test_handmade_dropouts.py:{line}=eval", "lr:x1"):
        torch.manual_seed(0)
        net = Net(way)

        def run(net: Net = net, patch: str = patch) -> None:
            train(net, steps=8)
            net.eval()
            with torch.no_grad():
                answers[patch] = [net(torch.ones(10_000, 3)) for _ in range(2)]
            answers[patch] += [p.detach() for p in net.parameters()]

        assert bool(patched(tmp_path, patch, run).applied) == patch.startswith("dropout")
    (one, again, *weights), (other, different, *same) = answers.values()
    assert torch.allclose(one, again, atol=0.02) and not torch.allclose(other, different, atol=0.02)
    assert all(torch.equal(a, b) for a, b in zip(weights, same)), "the training is the same"
