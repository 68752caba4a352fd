"""A model that changes while it is trained: what is looked at again, and what is told of it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import flightcheck
from flightcheck.adapters.torch.budget import FULL, OUTPUTS, REST, Budget
from flightcheck.recording.run import Run
from flightcheck.testing import verdict_of

AT = 40
STEPS = 70


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 8), nn.ReLU())
        self.head = nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x))


Training = tuple[nn.Module, torch.optim.Optimizer]
Change = Callable[[Net, torch.optim.Optimizer], Training | None]


def trained(folder: Path, change: Change, begin: Callable[[Net], torch.optim.Optimizer] | None = None) -> Run:
    """A training of which something changes at `AT`, without an evaluation."""
    torch.manual_seed(0)
    with flightcheck.watch(runs_dir=folder, report=False) as seen:
        model: nn.Module = Net()
        optimizer = begin(model) if begin else torch.optim.SGD(model.parameters(), lr=0.1)  # type: ignore[arg-type]
        for step in range(STEPS):
            if step == AT:
                model, optimizer = change(model, optimizer) or (model, optimizer)  # type: ignore[arg-type]
            x = torch.randn(8, 4)
            optimizer.zero_grad()
            F.cross_entropy(model(x), (x.sum(1) > 0).long()).backward()
            optimizer.step()
    assert seen.run is not None and seen.run.coverage.blind == []
    return seen.run


@pytest.fixture(autouse=True)
def at_rest(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The budget asks for rest whenever it may: a change must be noticed all the same."""
    monkeypatch.setattr(Budget, "_next", lambda self, level, cost: OUTPUTS if self._alarm else REST)
    yield


def new_head(model: Net, optimizer: torch.optim.Optimizer) -> None:
    model.head = nn.Linear(8, 2)


def new_head_alone(model: Net, optimizer: torch.optim.Optimizer) -> None:
    model.body.requires_grad_(False)
    model.head = nn.Linear(8, 2)


def another_model(model: Net, optimizer: torch.optim.Optimizer) -> Training:
    return Net(), optimizer


@pytest.mark.parametrize("change", [new_head, new_head_alone])
def test_a_head_that_is_replaced_later_is_no_longer_trained(tmp_path: Path, change: Change) -> None:
    (finding,) = verdict_of("P10", trained(tmp_path, change)).findings
    assert finding.location is not None and finding.location.code == "model.head = nn.Linear(8, 2)"
    assert finding.module.endswith("head") and AT <= finding.onset_step <= AT + 1


def test_where_nothing_moves_any_more_the_standstill_is_told(tmp_path: Path) -> None:
    (finding,) = verdict_of("C12", trained(tmp_path, new_head_alone)).findings
    assert "no gradient" in finding.message and finding.onset_step >= AT


def test_a_model_that_is_replaced_later_is_told(tmp_path: Path) -> None:
    run = trained(tmp_path, another_model)
    found = [f for code in ("P10", "P08") for f in verdict_of(code, run).findings]
    assert found and found[0].severity != "info"


def freeze(model: Net, kept: bool) -> torch.optim.Optimizer:
    model.body.requires_grad_(False)
    return torch.optim.SGD([p for p in model.parameters() if kept or p.requires_grad], lr=0.1)


def unfreeze(model: Net, optimizer: torch.optim.Optimizer) -> None:
    model.body.requires_grad_(True)


def evaluated(model: Net, optimizer: torch.optim.Optimizer) -> None:
    unfreeze(model, optimizer)
    with torch.no_grad():
        model(torch.randn(8, 4))


@pytest.mark.parametrize("change", [evaluated, unfreeze])
def test_what_is_set_free_later_must_be_held(tmp_path: Path, change: Change) -> None:
    (finding,) = verdict_of("P08", trained(tmp_path / "a", change, lambda m: freeze(m, kept=False))).findings
    assert "body" in finding.module
    assert verdict_of("P08", trained(tmp_path / "b", change, lambda m: freeze(m, kept=True))).status == "pass"


def test_what_a_second_phase_freezes_and_sets_free_must_be_held(tmp_path: Path) -> None:
    """Trained whole, then with a frozen body and an optimizer of the head alone, then set free."""
    torch.manual_seed(0)
    with flightcheck.watch(runs_dir=tmp_path, report=False) as seen:
        model = Net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for step in range(4 * AT):
            if step == AT:
                model.body.requires_grad_(False)
                optimizer = torch.optim.SGD(model.head.parameters(), lr=0.1)
            if step == 3 * AT:
                model.body.requires_grad_(True)
            x = torch.randn(8, 4)
            optimizer.zero_grad()
            F.cross_entropy(model(x), (x.sum(1) > 0).long()).backward()
            optimizer.step()
    assert seen.run is not None and seen.run.coverage.blind == []
    found = verdict_of("P08", seen.run).findings
    assert found and "body" in found[0].module


def rebuilt(model: Net, optimizer: torch.optim.Optimizer) -> Training:
    new_head_alone(model, optimizer)
    return model, torch.optim.SGD(model.head.parameters(), lr=0.1)


def added(model: Net, optimizer: torch.optim.Optimizer) -> None:
    new_head(model, optimizer)
    optimizer.add_param_group({"params": list(model.head.parameters())})


def exchanged(model: Net, optimizer: torch.optim.Optimizer) -> None:
    new_head(model, optimizer)
    optimizer.param_groups[0]["params"] = list(model.parameters())


def with_a_copy(model: Net, optimizer: torch.optim.Optimizer) -> None:
    Net().load_state_dict(model.state_dict())


@pytest.mark.parametrize("change", [rebuilt, added, exchanged, unfreeze, with_a_copy])
def test_a_second_phase_with_an_optimizer_for_it_is_silent(tmp_path: Path, change: Change) -> None:
    run = trained(tmp_path, change)
    for code in ("P08", "P10", "C12", "C02", "P11"):
        assert verdict_of(code, run).status != "fail", code


def test_opponents_that_take_turns_are_no_new_structure(tmp_path: Path) -> None:
    with flightcheck.watch(runs_dir=tmp_path, report=False) as seen:
        maker, judge = nn.Linear(2, 2), nn.Linear(2, 1)
        optimizers = [torch.optim.SGD(m.parameters(), lr=0.01) for m in (maker, judge)]
        for _ in range(40):
            for turn, optimizer in enumerate(optimizers):
                judge.requires_grad_(turn == 1)
                maker.requires_grad_(turn == 0)
                optimizer.zero_grad()
                F.softplus(judge(maker(torch.randn(4, 2)))).mean().backward()
                optimizer.step()
    assert seen.run is not None and seen.run.coverage.blind == []
    assert not [p for p in seen.run.parameters if p.left >= 0 or p.joined]
    for code in ("P08", "P10", "C12"):
        assert verdict_of(code, seen.run).status != "fail", code


def test_a_model_that_changes_for_ever_is_not_looked_at_closely_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Continual learning: a frozen copy of the model is put beside it after each task."""

    def now_and_then(self: Budget, level: int, cost: float) -> int:
        self._alarm = max(0, self._alarm - 1)
        return FULL if self._alarm or not self.rounds % 10 else OUTPUTS

    monkeypatch.setattr(Budget, "_next", now_and_then)
    torch.manual_seed(0)
    model = Net()
    with flightcheck.watch(runs_dir=tmp_path, report=False) as seen:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for step in range(240):
            if step % 20 == 19:
                setattr(model, f"old{step}", copy.deepcopy(model.head).requires_grad_(False))
            optimizer.zero_grad()
            x = torch.randn(8, 4)
            F.cross_entropy(model(x), (x.sum(1) > 0).long()).backward()
            optimizer.step()
    assert seen.run is not None
    assert seen.run.coverage.sampled_steps < 100
