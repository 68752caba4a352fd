"""Full measurements are spaced so that they stay under the budget: a made-up clock, so no noise of the machine."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from flightcheck.adapters.torch import budget as module
from flightcheck.adapters.torch.budget import Budget

DENSE = 10


def trained(
    monkeypatch: pytest.MonkeyPatch, share: float, *, step: float, measuring: float, steps: int = 3000
) -> Budget:
    """A training of steps that take `step` seconds, and `measuring` more when they are measured in full."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: clock.now))
    watch: Any = SimpleNamespace(spent=0.0, sampled=True)
    budget = Budget(watch, share, DENSE)
    for _ in range(steps):
        cost = measuring if watch.sampled else 0.0
        watch.spent += cost
        clock.now += step + cost
        watch.sampled = budget.end_round()
    return budget


@pytest.mark.parametrize("share", [0.02, 0.1])
@pytest.mark.parametrize("measuring", [0.002, 0.01])
def test_full_measurements_stay_under_the_budget(
    monkeypatch: pytest.MonkeyPatch, share: float, measuring: float
) -> None:
    budget = trained(monkeypatch, share, step=0.01, measuring=measuring)
    assert budget.overhead is not None
    assert 0 < budget.overhead <= share
    assert budget.sampled_rounds > 2 * DENSE


def test_the_first_steps_are_all_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    assert trained(monkeypatch, 0.02, step=0.01, measuring=0.01, steps=DENSE).sampled_rounds == DENSE
