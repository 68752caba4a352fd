"""What lies on a graphics card is read when it has arrived: the same record, some rounds later. The card is made up."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import flightcheck
from flightcheck import session
from flightcheck.adapters.torch import activations, loss_values, observer, statistics
from flightcheck.adapters.torch.arrivals import Arrivals
from flightcheck.adapters.torch.budget import FULL, GRADIENTS, OUTPUTS, REST, WEIGHTS, Budget
from flightcheck.adapters.torch.native import outputs
from flightcheck.adapters.torch.native.on_device import Copies, OnDevice
from flightcheck.adapters.torch.watch import Watch
from flightcheck.recording.run import Run
from flightcheck.recording.signals import (
    ACTIVATION_DEAD,
    ACTIVATION_GRAD,
    ACTIVATION_RMS,
    ACTIVATION_SPREAD,
    GRAD_NORM,
    GRAD_NORM_TOTAL,
    LOSS,
    UPDATE_NORM,
    WEIGHT_NORM,
)

STEPS = 150
LATE = 3
"""Rounds after which numbers arrive."""
ALL = (
    LOSS, GRAD_NORM, GRAD_NORM_TOTAL, WEIGHT_NORM, UPDATE_NORM, ACTIVATION_RMS, ACTIVATION_SPREAD, ACTIVATION_DEAD,
    ACTIVATION_GRAD,
)  # fmt: skip


class Slow(Arrivals):
    """What is sent arrives `LATE` rounds later."""

    sent: deque[tuple[int, torch.Tensor, Any]]
    round = 0

    def send(self, values: torch.Tensor, take: Any, began: Any = None, level: int = 0) -> None:
        self.__dict__.setdefault("sent", deque()).append((self.round, values.clone(), take))

    def collect(self, wait: bool = False) -> list[tuple[int, float]]:
        self.round += 1
        sent = self.__dict__.setdefault("sent", deque())
        while sent and (wait or sent[0][0] + LATE <= self.round):
            _, values, take = sent.popleft()
            take(values.numpy())
        return []


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every tensor lies on a made-up graphics card, on which Triton is not installed."""
    for module in (activations, loss_values, statistics, outputs):
        monkeypatch.setattr(module, "lies_on_card", lambda tensor: True)
    monkeypatch.setattr(observer, "Arrivals", Slow)
    monkeypatch.setattr(statistics, "OnDevice", lambda copies: OnDevice(triton=False, copies=copies))
    monkeypatch.setattr(loss_values, "on_host", lambda tensor: False)
    monkeypatch.setattr(Watch, "reads", lambda self, tensor: self.may_wait)


def trained(folder: Path, monkeypatch: pytest.MonkeyPatch, *, levels: list[int], wrong_at: int = -1) -> Run:
    """A training that is looked at so closely, in turn, once the dense rounds are over."""
    monkeypatch.setattr(
        Budget, "_next", lambda self, level, cost: FULL if self._alarm else levels[self.rounds % len(levels)]
    )
    monkeypatch.setattr(Budget, "rounds_at_rest", 1)
    monkeypatch.setattr(session, "_DENSE_SECONDS", 0.0)  # as many dense rounds in both, however fast the machine is
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    with flightcheck.watch(runs_dir=folder, report=False) as seen:
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        for step in range(STEPS):
            x = torch.randn(32, 4)
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), (x.sum(1) > 0).long())
            (loss * (float("nan") if step == wrong_at else 1.0)).backward()
            optimizer.step()
    assert seen.run is not None and seen.run.coverage.blind == []
    return seen.run


@pytest.mark.parametrize("levels", [[WEIGHTS], [OUTPUTS, GRADIENTS, WEIGHTS], [FULL, REST, GRADIENTS]], ids=str)
def test_the_same_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, levels: list[int]
) -> None:
    at_once = trained(tmp_path / "a", monkeypatch, levels=levels)
    request.getfixturevalue("card")
    late = trained(tmp_path / "b", monkeypatch, levels=levels)
    for signal in ALL:
        one, other = at_once.series(signal), late.series(signal)
        assert one.steps.tolist() == other.steps.tolist(), signal.name
        np.testing.assert_allclose(one.values, other.values, rtol=1e-4, atol=1e-7, err_msg=signal.name)
    for one_of, other_of in zip(at_once.parameters, late.parameters):
        assert one_of.gradient_checks == other_of.gradient_checks
        assert one_of.updates_nonzero == other_of.updates_nonzero


def test_a_loss_that_is_not_finite_is_noticed_when_it_arrives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, card: None
) -> None:
    run = trained(tmp_path, monkeypatch, levels=[REST], wrong_at=120)
    losses = run.series(LOSS)
    assert losses.steps.tolist() == list(range(STEPS))
    assert np.flatnonzero(~np.isfinite(losses.values)).tolist() == list(range(120, STEPS))
    assert max(run.series(GRAD_NORM).steps) > 120  # after the alarm


@pytest.mark.parametrize("triton", [False])
def test_large_weights_are_followed_by_a_sample(monkeypatch: pytest.MonkeyPatch, triton: bool) -> None:
    looks = OnDevice(triton=triton)
    looks.copies.room = 0
    weight = nn.Parameter(torch.randn(1500, 1000))
    assert looks.look([0], [weight], gradients=False, weights=True) is not None
    with torch.no_grad():
        weight += 0.5
    seen = looks.look([0], [weight], gradients=False, weights=True, compared=[True])
    assert seen is not None
    _, of_weight, of_update = seen.squares(seen.packed.numpy())[:, 0]
    assert of_weight == pytest.approx(float((weight.detach() ** 2).sum()), rel=1e-4)
    assert of_update == pytest.approx(0.25 * weight.numel(), rel=1e-4)
    assert looks.copies.bytes < 4 * 200_000


def test_numbers_that_cannot_be_taken_cost_no_others() -> None:
    faults: list[str] = []
    arrivals, taken = Arrivals(), []

    def attempt(where: str, act: Any) -> None:
        try:
            act()
        except ValueError as e:
            faults.append(f"{where}: {e}")

    def wrong(values: Any) -> None:
        raise ValueError("no such step")

    arrivals.attempt = attempt
    arrivals.send(torch.ones(2), wrong)
    arrivals.send(torch.ones(2), lambda v: taken.append(v.tolist()))
    assert arrivals.collect() == []
    assert (faults, taken) == (["arrivals: no such step"], [[1.0, 1.0]])


def test_several_optimizers_of_the_same_weights_share_their_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    copies, weight = Copies(), nn.Parameter(torch.randn(40, 10))
    for _ in range(3):
        OnDevice(triton=False, copies=copies).look([0], [weight], gradients=False, weights=True)
    assert copies.bytes == 4 * 400
    copies.drop([0, 1])
    assert copies.bytes == 0
