"""Transitions that a value is learnt from: are state and next state one, and is a whole batch one state?"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import flightcheck
from flightcheck.recording.stored_states import StoredTransitions

ROWS = 16


@pytest.mark.parametrize(
    ("kept", "equal", "single", "moved"),
    [("one array", True, True, True), ("copies", False, False, False), ("nothing moves", True, True, False)],
)
def test_batches_of_one_state_are_counted(tmp_path: Path, kept: str, equal: bool, single: bool, moved: bool) -> None:
    torch.manual_seed(0)
    with flightcheck.watch(runs_dir=tmp_path, report=False) as seen:
        net = nn.Linear(4, 3)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
        still = torch.randn(4)
        for _ in range(6):
            one = still if kept == "nothing moves" else torch.randn(4)
            states = torch.randn(ROWS, 4) if kept == "copies" else one.repeat(ROWS, 1)
            following = torch.randn(ROWS, 4) if kept == "copies" else one.repeat(ROWS, 1)
            actions, rewards = torch.randint(3, (ROWS, 1)), torch.randn(ROWS)
            with torch.no_grad():
                target = rewards + 0.9 * net(following).max(1).values
            loss = nn.functional.mse_loss(net(states).gather(1, actions).squeeze(1), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    assert seen.run is not None
    (found,) = seen.run.recorded(StoredTransitions)
    assert found.calls >= 4 and found.rows == found.calls * ROWS
    assert found.equal == (found.rows if equal else 0)
    assert found.single == (found.calls if single else 0)
    assert found.moved == (found.calls - 1 if moved else 0)
