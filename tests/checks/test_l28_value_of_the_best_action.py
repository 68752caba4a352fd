"""L28 value-of-the-best-action."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import flightcheck
from flightcheck.recording.episode_ends import ValueTarget
from flightcheck.recording.loss_records import LossCall, LossSite
from flightcheck.recording.records import Location
from flightcheck.testing import run_of, verdict_of

SITE = LossSite(0, "smooth_l1_loss", Location("train.py", 30))
CALL = LossCall(0, 0, True, [8], [8], [], "float32", "float32", 1.0, -1, 1, -1, 1, input_op="MaxBackward0")
TARGET = ValueTarget(0, 5)


def calls(op: str = "MaxBackward0", count: int = 5) -> list[Any]:
    return [replace(CALL, step=i, input_op=op) for i in range(count)]


def test_the_maximum_as_a_prediction_fails_at_its_loss() -> None:
    (finding,) = verdict_of("L28", run_of(SITE, *calls(), TARGET)).findings
    assert finding.location == SITE.location and "In all of 5 calls" in finding.message


def test_a_choice_by_actions_passes_and_few_calls_are_inconclusive() -> None:
    assert verdict_of("L28", run_of(SITE, *calls("GatherBackward0"), TARGET)).status == "pass"
    mixed = [*calls(count=4), replace(CALL, step=9, input_op="GatherBackward0")]
    assert verdict_of("L28", run_of(SITE, *mixed, TARGET)).status == "pass"
    assert verdict_of("L28", run_of(SITE, *calls(count=2), TARGET)).status == "inconclusive"


def test_a_maximum_without_a_next_value_is_skipped() -> None:
    assert verdict_of("L28", run_of(SITE, *calls())).status == "skipped"


@pytest.mark.parametrize("mask", ["before", "after", "none"])
@pytest.mark.parametrize("best", [True, False])
def test_learning_from_a_memory_is_recognized(best: bool, mask: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    net, behind = nn.Linear(4, 3), nn.Linear(4, 3)
    with flightcheck.watch(runs_dir=tmp_path, report=False) as watched:
        optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
        for _ in range(6):
            states, following, actions = torch.randn(16, 4), torch.randn(16, 4), torch.randint(3, (16, 1))
            rewards, done = torch.randn(16), (torch.rand(16) < 0.2).float()
            with torch.no_grad():
                value = behind(following).max(1).values
                if mask == "before":
                    target = rewards + 0.9 * (1 - done) * value
                elif mask == "after":
                    target = rewards + 0.9 * value * (1 - done)
                else:
                    target = rewards + 0.9 * value
            scores = net(states)
            predicted = scores.max(1)[0] if best else scores.gather(1, actions).squeeze(1)
            loss = nn.functional.mse_loss(predicted, target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    assert watched.run is not None
    assert verdict_of("L28", watched.run).status == ("fail" if best else "pass")


def test_the_action_that_is_taken_may_be_the_best_one(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = nn.Linear(4, 3)
    with flightcheck.watch(runs_dir=tmp_path, report=False) as watched:
        optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
        states = torch.randn(16, 4)
        for _ in range(6):
            value, action = net(states).max(dim=1)
            rewards = (action == 1).float()
            states = torch.randn(16, 4)
            with torch.no_grad():
                target = rewards + 0.9 * net(states).max(dim=1)[0]
            loss = nn.functional.mse_loss(value, target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    assert watched.run is not None
    assert verdict_of("L28", watched.run).status == "skipped"
