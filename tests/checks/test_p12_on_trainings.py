"""P12 on small trainings in unlike styles: each mistake, and what looks like it and is right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import flightcheck
from flightcheck.checks.base import Finding
from flightcheck.recording.provenance.left_in_loop import left_in_loop
from flightcheck.testing import verdict_of

BATCHES = 6


def batches() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    for _ in range(BATCHES):
        yield torch.randn(8, 4), torch.randint(0, 2, (8,))


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))


crossentropy = nn.CrossEntropyLoss()


class Trainer:
    def __init__(self, **options: Any) -> None:
        self.model = network()
        self.options = options
        self.optimizer = torch.optim.Adam(self.model.parameters(), 0.01)

    def loss_of(self, batch: Any) -> torch.Tensor:
        x, y = batch
        return crossentropy(self.model(x), y)

    def fit(self, epochs: int = 6) -> None:
        for _ in range(epochs):
            getattr(self, self.options["style"])()

    def behind(self) -> None:
        for batch in batches():
            self.optimizer.zero_grad()
            loss = self.loss_of(batch)
        loss.backward()
        self.optimizer.step()

    def accumulated(self) -> None:
        for i, batch in enumerate(batches()):
            self.optimizer.zero_grad()
            self.loss_of(batch).backward()
            if (i + 1) % 3 == 0:
                self.optimizer.step()

    def rightly_accumulated(self) -> None:
        for i, batch in enumerate(batches()):
            self.loss_of(batch).backward()
            if (i + 1) % 3 == 0:
                self.optimizer.step()
                self.optimizer.zero_grad()

    def between(self) -> None:
        for batch in batches():
            self.loss_of(batch).backward()
            self.model.zero_grad()
            self.optimizer.step()

    def step_first(self) -> None:
        for batch in batches():
            self.optimizer.zero_grad()
            self.optimizer.step()
            self.loss_of(batch).backward()

    def right(self) -> None:
        for batch in batches():
            self.optimizer.zero_grad()
            self.loss_of(batch).backward()
            self.optimizer.step()

    def whole(self) -> None:
        self.optimizer.zero_grad()
        total: Any = 0.0
        for batch in batches():
            loss = self.loss_of(batch)
            total = total + loss
        total.backward()
        self.optimizer.step()


def behind(epochs: int = 6) -> None:
    model = network()
    opt = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    for _ in range(epochs):
        for x, y in batches():
            out = model(x)
            loss = crossentropy(out, y)
        opt.zero_grad()
        loss.backward()
        opt.step()


def between(epochs: int = 3) -> None:
    model = network()
    opt = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(epochs):
        for x, y in batches():
            crossentropy(model(x), y).backward()
            opt.zero_grad()
            opt.step()


def recurrent(epochs: int = 6) -> None:
    """Right: the loss of the last time step has the whole sequence behind it."""
    cell, head = nn.GRUCell(4, 8), nn.Linear(8, 2)
    opt = torch.optim.Adam([*cell.parameters(), *head.parameters()], 0.01)
    for _ in range(epochs):
        h = torch.zeros(8, 8)
        for x, y in batches():
            h = cell(x, h)
            loss = crossentropy(head(h), y)
        opt.zero_grad()
        loss.backward()
        opt.step()


def summed(epochs: int = 6) -> None:
    """Right: one step on the whole data."""
    model = network()
    opt = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(epochs):
        losses = []
        for x, y in batches():
            loss = crossentropy(model(x), y)
            losses.append(loss)
        opt.zero_grad()
        torch.stack(losses).mean().backward()
        opt.step()


def lbfgs(kind: str) -> Callable[[], None]:
    def train() -> None:
        model = network()
        x, y = torch.randn(32, 4), torch.randint(0, 2, (32,))
        opt = torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=5)

        def closure() -> torch.Tensor:
            if kind in ("right", "micro"):
                opt.zero_grad()
            if kind == "micro":
                parts = [crossentropy(model(a), b) / 2 for a, b in zip(x.split(16), y.split(16))]
                for part in parts:
                    part.backward()
                return torch.stack([p.detach() for p in parts]).sum()
            loss = crossentropy(model(x), y)
            loss.backward()
            if kind == "after":
                opt.zero_grad()
            return loss

        for _ in range(6):
            opt.zero_grad()
            opt.step(closure)  # type: ignore[arg-type]

    return train


def findings(folder: Path, train: Callable[[], None]) -> tuple[Finding, ...]:
    with flightcheck.watch(runs_dir=folder, report=False) as watched:
        train()
    assert watched.run is not None and watched.run.coverage.blind == []
    verdict = verdict_of("P12", watched.run)
    assert verdict.status in ("pass", "fail"), verdict.reason
    return verdict.findings


def trainer(style: str) -> Callable[[], None]:
    return lambda: Trainer(style=style).fit()


@pytest.mark.parametrize(
    ("train", "code", "word"),
    [
        (behind, "loss.backward()", "behind the loop"),
        (trainer("behind"), "loss.backward()", "behind the loop"),
        (trainer("accumulated"), "self.optimizer.zero_grad()", "only the last batch counts"),
        (between, "opt.zero_grad()", "between backward and"),
        (trainer("between"), "self.model.zero_grad()", "between backward and"),
        (trainer("step_first"), "self.optimizer.step()", "before backward"),
        (lbfgs("never"), "loss.backward()", "does not clear"),
        (lbfgs("after"), "opt.zero_grad()", "after backward"),
    ],
)
def test_each_mistake_is_named_with_its_line(tmp_path: Path, train: Any, code: str, word: str) -> None:
    (finding,) = findings(tmp_path, train)
    assert word in finding.message
    assert finding.location is not None and finding.location.code == code


@pytest.mark.parametrize(
    "train",
    [
        trainer("right"), trainer("rightly_accumulated"), trainer("whole"), recurrent, summed, lbfgs("right"),
        lbfgs("micro"),
    ],
)  # fmt: skip
def test_what_is_right_passes(tmp_path: Path, train: Any) -> None:
    assert findings(tmp_path, train) == ()


CARRIED = {
    "loss = loss + f(x)": None, "loss = f(x)": 2, "total += f(x); loss = total / 3": None,
    "h = g(x, h); loss = f(h)": None, "z = g(x); loss = f(z)": 2, "loss = f(z); z = g(x)": None,
}  # fmt: skip


@pytest.mark.parametrize("body", CARRIED)
def test_what_is_carried_on_from_round_to_round_is_not_lost(tmp_path: Path, body: str) -> None:
    file = tmp_path / "train.py"
    file.write_text(f"loss = total = h = z = 0\nfor x in data:\n    {body}\nloss.backward()\n")
    found = left_in_loop(str(file), 4)
    assert (found[1] if found else None) == CARRIED[body]
