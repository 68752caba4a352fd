"""Models that were compiled before anybody watched, and what a compiled model must not cost the record."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch._dynamo
from torch import nn
from torch.nn.functional import cross_entropy

import flightcheck
from flightcheck.adapters.torch.discovery import Discovery

STEPS = 12


@pytest.fixture(autouse=True)
def nothing_compiled() -> Iterator[None]:
    """What this process has compiled is forgotten, before and after."""
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Dropout(0.1), nn.Linear(8, 3))


def train(model: nn.Module, callable_model: nn.Module) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(STEPS):
        x = torch.randn(16, 8)
        optimizer.zero_grad()
        cross_entropy(callable_model(x), (x.sum(1) > 0).long()).backward()
        optimizer.step()


@pytest.mark.parametrize("called", [False, True], ids=["not called yet", "called before"])
def test_a_model_that_was_compiled_before(tmp_path: Path, called: bool) -> None:
    """As a whole, without breaks: what cannot be compiled of ours would end the training."""
    bare, model = network(), network()
    train(bare, torch.compile(bare, backend="eager", fullgraph=True))
    torch.manual_seed(0)
    model = network()
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    if called:
        with torch.random.fork_rng():
            compiled(torch.randn(16, 8)).sum().backward()
    with flightcheck.watch(runs_dir=tmp_path, report=False) as seen:
        train(model, compiled)
    assert all(torch.equal(p, q) for p, q in zip(bare.parameters(), model.parameters()))
    assert seen.run is not None
    assert [b for b in seen.run.coverage.blind if "compiled" not in b] == []
    assert any("compiled" in b for b in seen.run.coverage.blind)
    assert [r.train_calls for r in seen.run.roots] == [STEPS]
    assert all(p.in_graph for p in seen.run.parameters)


def test_what_one_part_cannot_write_costs_no_other_its_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Discovery) -> set[str]:
        raise TypeError("does not support len()")

    monkeypatch.setattr(Discovery, "files", broken)
    model = network()
    with flightcheck.watch(runs_dir=tmp_path, report=False) as seen:
        train(model, model)
    assert seen.run is not None and seen.run.plan is not None
    assert [r.train_calls for r in seen.run.roots] == [STEPS]
    assert seen.run.coverage.steps == STEPS
    assert ["does not support len()" in b for b in seen.run.coverage.blind] == [True]
