"""When a check has seen enough, and which trainings it follows to their end."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flightcheck.adapters.torch.planning import Stopping


def stopped_at(stopping: Stopping, planned: int | None, steps: int = 40, pause: float = 0.0) -> int:
    """The step after which it has seen enough; `steps` if it never has."""
    for step in range(1, steps):
        if pause:
            time.sleep(pause)
        if stopping.now(step, [2], planned=lambda: planned):
            return step
    return steps


def test_a_training_whose_end_is_near_is_watched_to_its_end() -> None:
    assert stopped_at(Stopping(16, 60.0, to_the_end=5.0), planned=40) == 40


@pytest.mark.parametrize("planned", [None, 10**7])
def test_a_training_whose_end_is_far_or_unknown_is_stopped(planned: int | None) -> None:
    stopping = Stopping(16, 60.0, to_the_end=0.05)
    assert stopped_at(stopping, planned, pause=0.001) == 16


def test_an_end_that_does_not_come_is_not_waited_for_any_longer() -> None:
    stopping = Stopping(16, 60.0, to_the_end=0.05)
    assert 16 < stopped_at(stopping, planned=17, steps=400, pause=0.002) < 200


def test_the_next_training_of_the_script_is_not_waited_for() -> None:
    stopping, optimizers = Stopping(16, 60.0, to_the_end=5.0), [1]
    for step in range(1, 40):
        optimizers[0] += step == 25
        if stopping.now(step, [2], planned=lambda: 40, stepping=lambda: optimizers[0]):
            break
    assert step == 25


def test_trials_and_numbers_of_steps_that_the_user_gives_are_kept() -> None:
    assert stopped_at(Stopping(16, 60.0), planned=17) == 16


SCRIPT = """
import torch
from torch import nn

torch.manual_seed(0)
x, y = torch.randn(300, 4), (torch.randn(300) > 0).float()
model = nn.Linear(4, 1)
optimizer = torch.optim.Adam(model.parameters())
criterion = nn.BCEWithLogitsLoss()
for epoch in range(20):
    for rows in torch.randperm(200).split(10):
        optimizer.zero_grad()
        criterion(model(x[rows]).squeeze(1), y[rows]).backward()
        optimizer.step()
    with torch.no_grad():
        criterion(model(x[200:250]).squeeze(1), y[200:250])
with torch.no_grad():
    right = (model(x[250:]) > 0).float()
    print("accuracy", (right == y[250:]).float().mean().item())
"""


@pytest.mark.parametrize(("options", "steps"), [((), 400), (("--steps", "120"), 120)])
def test_the_test_set_behind_the_last_validation_is_seen(options: tuple[str, ...], steps: int, tmp_path: Path) -> None:
    script, report = tmp_path / "train.py", tmp_path / "report.json"
    script.write_text(SCRIPT)
    command = [sys.executable, "-m", "flightcheck", "check", "--select", "T09", "--lab-budget", "0", *options]
    command += ["--fail-on", "never", "--json", str(report), str(script)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=200, check=False)
    data = json.loads(report.read_text())
    assert data["run"]["steps"] == steps, done.stderr
    compares = next(i for i, line in enumerate(SCRIPT.splitlines(), 1) if "right == y" in line)
    assert [f["location"]["line"] for f in data["findings"]] == ([] if options else [compares])
