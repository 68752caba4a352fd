"""Updates without an optimizer, and gradients that a script clamps itself: what is seen, and what trials change."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import flightcheck
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.hand_updates import HandUpdate
from flightcheck.recording.provenance.hand_updates import step_size
from flightcheck.recording.records import Location
from flightcheck.recording.run import Run
from flightcheck.testing import run_of, verdict_of
from tests.lab.made import data, patched


def by_hand(style: str, rate: float = 0.01) -> nn.Module:
    torch.manual_seed(0)
    x, y = data()
    model = nn.Linear(5, 3)
    for _ in range(8):
        model.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        for p in model.parameters():
            assert p.grad is not None
            if style == "data":
                p.data -= rate * p.grad.data
            elif style == "set":
                p.data = p.data - p.grad * rate
            else:
                with torch.no_grad():
                    p.sub_(p.grad, alpha=rate)
    return model


def watched(folder: Path, style: str) -> Run:
    with flightcheck.watch(runs_dir=folder, report=False) as seen:
        by_hand(style)
    assert seen.run is not None
    return seen.run


@pytest.mark.parametrize("style", ["data", "set", "alpha"])
def test_the_line_of_the_update_is_seen(tmp_path: Path, style: str) -> None:
    (update,) = watched(tmp_path, style).recorded(HandUpdate)
    assert update.location is not None and "rate" in update.location.code
    assert update.rounds == 8


@pytest.mark.parametrize(
    "update", ["w -= lr * w.grad", "w.data = w.data - w.grad.data * lr", "w.data.add_(w.grad, alpha=-lr)"]
)
def test_where_the_rate_is_written(tmp_path: Path, update: str) -> None:
    file = tmp_path / "train.py"
    file.write_text(f"lr = 0.5\nfor i in range(3):\n    {update}\n")
    assert step_size(str(file), 3) == ((str(file), 1), 0.5)
    file.write_text("for i in range(3):\n    w -= 2\n")
    assert step_size(str(file), 2) is None


def test_a_trial_scales_the_steps(tmp_path: Path) -> None:
    slow = by_hand("data", 0.001)
    models: list[nn.Module] = []
    done = patched(tmp_path, "lr:x0.1", lambda: models.append(by_hand("data")))
    assert done.applied == {"lr:x0.1": 8}
    for a, b in zip(slow.parameters(), models[0].parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_rates_of_updates_by_hand_are_judged_by_trials() -> None:
    update = HandUpdate(Location("train.py", 20), 1.2, Location("train.py", 3), 50)
    values = {"start": 1.0, "before": 1.5, "after": 0.2, "seeds": 3, "steps": 80, "metric": "loss"}
    high = Experiment("P01", "lr:x0.1", "fix", "confirmed", **values)
    (finding,) = verdict_of("P01", run_of(update, high, steps=80)).findings
    assert finding.location == Location("train.py", 3) and "lr=0.1" in finding.fix
    assert verdict_of("P01", run_of(update, steps=80)).status == "inconclusive", "no loss was seen"
    assert verdict_of("P01", run_of(steps=80)).status == "skipped"
    low = Experiment("P02", "lr:x10", "fix", "confirmed", **{**values, "before": 0.99}, befores=[], afters=[0.2])
    (finding,) = verdict_of("P02", run_of(update, low, steps=80)).findings
    assert finding.location == Location("train.py", 3)


def clamped(limit: float) -> None:
    torch.manual_seed(0)
    x, y = data()
    model = nn.Linear(5, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for _ in range(24):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        for p in model.parameters():
            assert p.grad is not None
            p.grad.data.clamp_(-limit, limit)
        optimizer.step()


def test_gradients_clamped_by_hand(tmp_path: Path) -> None:
    for limit, verdict in ((1e-4, "fail"), (10.0, "skipped")):
        with flightcheck.watch(runs_dir=tmp_path, report=False) as seen:
            clamped(limit)
        assert seen.run is not None
        found = verdict_of("P17", seen.run)
        assert found.status == verdict
        if found.findings:
            place = found.findings[0].location
            assert place is not None and "clamp_" in place.code
            assert found.findings[0].severity == "info"  # until a trial shows that it does harm


def test_a_trial_takes_the_limit_away(tmp_path: Path) -> None:
    assert patched(tmp_path, "clip:off", lambda: clamped(1e-4)).applied["clip:off"]
    assert patched(tmp_path, "clip:off", lambda: clamped(10.0)).applied == {}
