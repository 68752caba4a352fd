"""Rounds of which only the loss is read: what must be noticed in them all the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import flightcheck
from flightcheck.adapters.torch import TorchObserver
from flightcheck.adapters.torch.budget import FULL, GRADIENTS, OUTPUTS, REST, WEIGHTS, Budget
from flightcheck.adapters.torch.watch import LEARNING_STEPS
from flightcheck.recording.run import Run
from flightcheck.recording.signals import GRAD_NORM, GRAD_NORM_TOTAL, LOSS, UPDATE_NORM, WEIGHT_NORM
from flightcheck.recording.store import RunWriter

STEPS = 160
AT = 130
"""A step of the middle of the rest."""
Special = Callable[[nn.Module, torch.optim.Optimizer], None]


def trained(
    folder: Path, monkeypatch: pytest.MonkeyPatch, special: Special, wrong: float = 1.0, after_rest: int = REST
) -> Run:
    """A training in which the budget asks for rest whenever it may; at `AT` something happens."""
    monkeypatch.setattr(
        Budget, "_next", lambda self, level, cost: OUTPUTS if self._alarm else after_rest if level == REST else REST
    )
    return plain_training(folder, special, wrong)


def plain_training(folder: Path, special: Special, wrong: float) -> Run:
    """At `AT` something happens."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.1), nn.ReLU(), nn.Linear(8, 2))
    with flightcheck.watch(runs_dir=folder, report=False) as seen:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for step in range(STEPS):
            x = torch.randn(8, 4)
            if step == AT:
                special(model, optimizer)
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), (x.sum(1) > 0).long())
            (loss * (wrong if step == AT else 1.0)).backward()
            optimizer.step()
    assert seen.run is not None and seen.run.coverage.blind == []
    return seen.run


def nothing(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    pass


def test_the_loss_of_every_step_and_no_gradient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = trained(tmp_path, monkeypatch, nothing)
    assert run.series(LOSS).steps.tolist() == list(range(STEPS))
    assert run.info.steps == STEPS
    assert max(run.series(GRAD_NORM_TOTAL).steps) <= 100


def test_the_losses_of_a_training_that_ends_within_a_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Budget, "rounds_at_rest", 23)
    run = trained(tmp_path, monkeypatch, nothing)
    assert run.series(LOSS).steps.tolist() == list(range(STEPS))


def swept(folder: Path, monkeypatch: pytest.MonkeyPatch, level: int, special: Special, wrong: float = 1.0) -> Run:
    """A training that rests at such a level, except that each tenth round is looked at more closely."""

    def following(budget: Budget, last: int, cost: float) -> int:
        budget.watch.every_step = level == WEIGHTS
        return FULL if budget._alarm else OUTPUTS if budget.rounds % 10 < 3 else level

    monkeypatch.setattr(Budget, "_next", following)
    monkeypatch.setattr(Budget, "rounds_at_rest", 4)
    return plain_training(folder, special, wrong)


def test_gradients_weights_and_updates_of_every_step_at_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are what a training that is measured in full at every step finds."""
    run = swept(tmp_path / "rest", monkeypatch, WEIGHTS, nothing)
    full = swept(tmp_path / "full", monkeypatch, FULL, nothing)
    for signal in (GRAD_NORM_TOTAL, GRAD_NORM, WEIGHT_NORM, UPDATE_NORM):
        one, other = run.series(signal), full.series(signal)
        assert one.steps.tolist()[: STEPS - 1] == other.steps.tolist()[: STEPS - 1] == list(range(STEPS - 1)), signal
        assert np.allclose(one.values[: STEPS - 1], other.values[: STEPS - 1], rtol=1e-5, equal_nan=True), signal
    assert run.parameters[0].gradient_checks == full.parameters[0].gradient_checks == STEPS


def test_gradients_alone_at_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = swept(tmp_path, monkeypatch, GRADIENTS, nothing)
    assert run.series(GRAD_NORM).steps.tolist() == list(range(STEPS))
    assert len(run.series(WEIGHT_NORM).steps) < STEPS


def test_a_gradient_that_is_not_finite_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def poison(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        model[3].bias.register_hook(lambda g: torch.full_like(g, float("nan")))  # type: ignore[index]

    run = swept(tmp_path, monkeypatch, WEIGHTS, poison)
    total = run.series(GRAD_NORM_TOTAL)
    assert not np.isfinite(total.values[total.steps.tolist().index(AT)]).any()
    assert [o for o in run.non_finite if o.step == AT]


def test_the_clock_may_be_exchanged_at_the_end_of_a_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = trained(tmp_path, monkeypatch, nothing, after_rest=OUTPUTS)
    assert 0 < run.info.watching_seconds < run.info.seconds


def test_a_step_inside_a_step_is_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = torch.optim.SGD

    class Twice(plain):  # type: ignore[misc, valid-type]
        @torch.no_grad()
        def step(self, closure=None):  # type: ignore[no-untyped-def]
            inside.append(plain.step(self))
            return inside[-1]

    inside: list[object] = []
    monkeypatch.setattr(torch.optim, "SGD", Twice)
    run = trained(tmp_path, monkeypatch, nothing)
    assert len(inside) == run.info.steps == STEPS
    assert [o.steps for o in run.optimizers] == [STEPS]
    assert run.series(LOSS).steps.tolist() == list(range(STEPS))


def test_an_evaluation_is_seen_with_its_mode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def evaluate(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        model.eval()
        with torch.no_grad():
            F.cross_entropy(model(torch.randn(8, 4)), torch.zeros(8, dtype=torch.long))
        model.train()

    (evaluation,) = trained(tmp_path, monkeypatch, evaluate).evaluations
    assert (evaluation.step, evaluation.losses, evaluation.modes["dropout"]) == (AT, 1, "eval")


def test_a_loss_that_is_not_finite_is_seen_at_its_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = trained(tmp_path, monkeypatch, nothing, wrong=float("nan"))
    finding, *_ = flightcheck.run_checks(run, ["C14"])[0].findings
    assert finding.onset_step == AT


def test_another_optimizer_is_learnt_from_its_first_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    late: list[torch.optim.Optimizer] = []

    def change(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        late.append(torch.optim.Adam(model.parameters(), lr=1e-3))
        optimizer.step = late[0].step  # type: ignore[method-assign]
        optimizer.zero_grad = late[0].zero_grad  # type: ignore[method-assign]

    run = trained(tmp_path, monkeypatch, change)
    first, second = run.optimizers
    assert (second.type, second.created_at_step, second.steps) == ("Adam", AT, STEPS - AT)
    assert second.gradient_looks == LEARNING_STEPS + 1  # it rests again from the second round after them on
    assert first.gradient_looks < AT


def test_of_full_looks_one_in_four_records_its_inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the first 64 calls are recorded, and the dense rounds over."""
    run = swept(tmp_path, monkeypatch, FULL, nothing)
    full = sum(1 for step in range(STEPS) if step >= 64 and (step % 10) >= 3)
    recorded = {b.step for b in run.batches if b.training}
    assert set(range(64)) <= recorded
    assert abs(len(recorded) - 64 - full / 4) <= 2


@pytest.mark.parametrize("shape", [(8, 300, 32), (8, 4, 60, 60)], ids=str)
def test_between_full_looks_positions_are_read_from_one_end_to_the_other(
    tmp_path: Path, shape: tuple[int, ...]
) -> None:
    """Texts end in padding, and pictures in a frame: one piece of them may be the same in all examples."""
    looking = TorchObserver(RunWriter(tmp_path)).activations
    looking.watch.sampled, looking.watch.rows = False, 4
    along = 1 if len(shape) == 3 else 2
    places = torch.arange(shape[along]).view([-1 if d == along else 1 for d in range(len(shape))]).expand(shape).float()
    seen: set[int] = set()
    for looking.armed_rounds in range(shape[along]):
        part = looking._rows(places)
        here = {int(p) for p in part.unique()}
        assert part.is_contiguous() and len(part) == 4 and part[0].numel() <= 3 * 4096
        assert min(here) < 0.1 * shape[along] and max(here) > 0.9 * (shape[along] - 1)
        seen |= here
    assert seen == set(range(shape[along])), "others each time"
    looking.watch.sampled = True
    assert looking._rows(places) is places
