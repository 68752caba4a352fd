"""P14 adam-epsilon-dominates: an epsilon above the gradients, with and without a trial, and what the looks record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import flightcheck
from flightcheck.checks.base import Verdict
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.records import Location, NonFinite, OptimizerInfo, ParameterInfo
from flightcheck.recording.run import Run
from flightcheck.recording.states import SecondMoments
from flightcheck.testing import run_of, verdict_of

LINE = Location("train.py", 15)
ADAM = OptimizerInfo(0, "Adam", LINE, groups=[{"lr": 1e-3, "eps": 1.0}], steps=80)
LARGE = SecondMoments(0, 0, 1.0, [1.0, 1.0], [10, 20], elements=4096)
SMALL = SecondMoments(1, 0, 1.0, [0.0, 0.1], [10, 20], elements=640)


def tried(status: Any = "confirmed") -> Experiment:
    return Experiment(
        "P14", "epsilon:1e-8", status=status, metric="error", before=2.2, after=0.3, start=2.3, seeds=3, steps=300
    )


def verdict(*records: Any) -> Verdict:
    return verdict_of("P14", run_of(ADAM, *records))


def test_a_confirmed_trial_warns() -> None:
    (finding,) = verdict(LARGE, SMALL, tried()).findings
    assert (finding.severity, finding.location, finding.parameters) == (None, LINE, (0,))
    assert "Adam has eps=1; at step 20" in finding.message
    assert "In 300 steps the error falls from 2.3 to 2.2; with epsilon 1e-8 to 0.3, in each of 3 seeds." in (
        finding.message
    )


@pytest.mark.parametrize("trials", [(), (tried("refuted"),), (tried("inconclusive"),)])
def test_without_one_it_is_a_note(trials: tuple[Experiment, ...]) -> None:
    (finding,) = verdict(LARGE, *trials).findings
    assert finding.severity == "info"


def test_gradients_above_epsilon_pass() -> None:
    assert verdict(SMALL, tried("refuted")).status == "pass"
    assert verdict(replace(LARGE, dominated=[1.0, 0.2])).status == "pass"  # the last look counts
    # a small matrix of a large model
    assert verdict(replace(LARGE, elements=100), SMALL).status == "pass"


def test_where_nothing_was_seen() -> None:
    assert verdict().status == "inconclusive"
    sgd = OptimizerInfo(0, "SGD", LINE, groups=[{"lr": 1e-3}], steps=80)
    assert verdict_of("P14", run_of(sgd)).status == "skipped"
    assert verdict_of("P14", run_of(replace(ADAM, steps=0), LARGE)).status == "skipped"


def recorded(
    folder: Path, optimizer: Callable[[Any], torch.optim.Optimizer], model: nn.Module | None = None, steps: int = 120
) -> Run:
    torch.manual_seed(0)
    model = model or nn.Linear(8, 4)
    stepping = optimizer(model.parameters())
    with flightcheck.watch(runs_dir=folder, report=False, budget=1.0) as watched:
        for _ in range(steps):
            stepping.zero_grad()
            x = torch.randint(0, 5, (16,)) if isinstance(model, nn.Embedding) else torch.randn(16, 8)
            nn.functional.cross_entropy(model(x), torch.randint(0, 4, (16,))).backward()
            stepping.step()
    assert watched.run is not None
    return watched.run


OPTIMIZERS: dict[str, Callable[[Any, float], torch.optim.Optimizer]] = {
    "Adam": lambda p, eps: torch.optim.Adam(p, lr=1e-3, eps=eps),
    "AMSGrad": lambda p, eps: torch.optim.AdamW(p, lr=1e-3, eps=eps, amsgrad=True),
    "RMSprop": lambda p, eps: torch.optim.RMSprop(p, lr=1e-3, eps=eps),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_share_below_epsilon(tmp_path: Path, name: str) -> None:
    for epsilon, share in ((1.0, 1.0), (1e-8, 0.0)):
        run = recorded(tmp_path, lambda p, epsilon=epsilon: OPTIMIZERS[name](p, epsilon))
        (seen,) = run.second_moments  # the bias is no matrix
        assert (seen.epsilon, seen.elements, set(seen.dominated)) == (epsilon, 32, {share})
        assert seen.steps[0] == 10
        assert all(2 * a <= b for a, b in pairwise(seen.steps))
        assert verdict_of("P14", run).status == ("fail" if share else "pass")


def test_the_share_is_that_of_the_corrected_root(tmp_path: Path) -> None:
    """Half of the elements on either side of ten times epsilon."""
    model, epsilon = nn.Linear(8, 4), 0.01
    held: list[torch.optim.Adam] = []

    def adam(parameters: Any) -> torch.optim.Optimizer:
        held.append(torch.optim.Adam(parameters, lr=1e-3, eps=epsilon))
        return held[0]

    run = recorded(tmp_path, adam, model, steps=10)
    state = held[0].state[model.weight]
    roots = (state["exp_avg_sq"] / (1 - 0.999**10)).sqrt()
    share = float((roots < 10 * epsilon).float().mean())
    assert 0.0 < share < 1.0
    assert run.second_moments[0].dominated == [pytest.approx(share, abs=1e-4)]


def test_optimizers_without_one_have_none(tmp_path: Path) -> None:
    run = recorded(tmp_path, lambda p: torch.optim.SGD(p, lr=0.1))
    assert run.second_moments == []
    assert verdict_of("P14", run).status == "skipped"


def test_embeddings_that_were_never_used_do_not_count(tmp_path: Path) -> None:
    run = recorded(tmp_path, lambda p: torch.optim.Adam(p, lr=1e-3), nn.Embedding(500, 4))
    (seen,) = run.second_moments
    assert set(seen.dominated) == {0.0}


def test_an_epsilon_that_is_zero_in_float16_and_something_not_finite() -> None:
    adam = replace(ADAM, groups=[{"lr": 1e-3, "eps": 1e-8}])
    half = ParameterInfo(0, "net.weight", 0, [4, 4], "matrix", optimizers=[0], dtype="float16")
    broken = NonFinite(1, "parameter", "net.weight")
    (finding,) = verdict_of("P14", run_of(adam, half, broken)).findings
    assert (finding.location, finding.severity, finding.patch) == (LINE, None, "epsilon:1e-4")
    assert verdict_of("P14", run_of(adam, half)).status == "inconclusive"
    assert verdict_of("P14", run_of(adam, replace(half, dtype="bfloat16"), broken)).status == "inconclusive"
    assert verdict_of("P14", run_of(replace(adam, groups=[{"eps": 1e-4}]), half, broken)).status == "inconclusive"
