"""The patch of a schedule that counts steps and is told of epochs, and of buffers that an average forgets."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR

from tests.lab.made import CLASSES, FEATURES, Loop, batches, data, patched


@pytest.mark.parametrize("patches", ["", "scheduler:batch"])
def test_a_schedule_of_steps_goes_on_with_each_of_them(tmp_path: Path, patches: str) -> None:
    loop = Loop(nn.Sequential(nn.Linear(FEATURES, CLASSES)))
    rates: list[float] = []

    def epochs() -> None:
        schedule = OneCycleLR(loop.optimizer, max_lr=0.5, total_steps=12)
        for _ in range(4):
            loop.pairs = batches()
            loop()
            schedule.step()
            rates.append(schedule.get_last_lr()[0])

    done = patched(tmp_path, patches, epochs)
    expected = OneCycleLR(torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0), max_lr=0.5, total_steps=12)
    curve = [expected.get_last_lr()[0]]
    for _ in range(11):
        expected.optimizer.step()
        expected.step()
        curve.append(expected.get_last_lr()[0])
    assert rates[:2] == ([curve[4], curve[8]] if patches else curve[1:3])
    assert done.applied == ({"scheduler:batch": 4} if patches else {})


@pytest.mark.parametrize("patches", ["", "load:buffers"])
def test_buffers_are_those_of_the_trained_model(tmp_path: Path, patches: str) -> None:
    model = nn.Sequential(nn.Linear(FEATURES, 8), nn.BatchNorm1d(8), nn.Linear(8, CLASSES))
    average = copy.deepcopy(model).requires_grad_(False).eval()
    before = average[0].weight.clone()
    loop = Loop(model)

    def both() -> None:
        loop()
        with torch.no_grad():
            average(data(6)[0])

    patched(tmp_path, patches, both)
    follows = torch.equal(average[1].running_mean, model[1].running_mean)
    assert follows is bool(patches)
    assert torch.equal(average[0].weight, before)
