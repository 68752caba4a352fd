"""Watching a training from code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import flightcheck


def train(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> None:
    x, y = torch.randn(256, 10), torch.randint(0, 3, (256,))
    for i in range(steps):
        rows = torch.arange(i, i + 32) % 256
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
        optimizer.step()


def test_a_fault_in_a_loop_of_ones_own_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Linear(16, 3), nn.Softmax(dim=1))
    with flightcheck.watch(runs_dir=tmp_path) as watched:
        train(model, torch.optim.Adam(model.parameters()), 30)
    assert watched.diagnosis is not None
    assert [f.code for f in watched.diagnosis.roots] == ["L03"]
    assert "L03" in capsys.readouterr().err


def test_what_the_block_raises_passes_through(tmp_path: Path) -> None:
    model = nn.Linear(10, 3)
    with pytest.raises(ZeroDivisionError), flightcheck.watch(runs_dir=tmp_path, report=False) as watched:
        train(model, torch.optim.SGD(model.parameters(), lr=0.1), 5)
        _ = 1 / 0
    assert watched.run is not None
    assert watched.run.info.ended == "exception"
    assert watched.run.info.steps == 5


def test_random_numbers_stay_the_same_in_and_after_the_block(tmp_path: Path) -> None:
    program = """
import random, sys, torch, flightcheck
random.seed(1)
if sys.argv[1] == "watched":
    with flightcheck.watch(runs_dir=sys.argv[2]):
        model = torch.nn.Linear(2, 1)
        model(torch.ones(3, 2)).sum().backward()
        inside = random.random()
else:
    inside = random.random()
print(inside, random.random())
"""

    def numbers(how: str) -> str:
        command = [sys.executable, "-c", program, how, str(tmp_path)]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout

    assert numbers("watched") == numbers("plain")
