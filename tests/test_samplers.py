"""Samplers: what the observer keeps of them, and the patch that gives every example a weight."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, Dataset, Subset, SubsetRandomSampler, TensorDataset, WeightedRandomSampler

from flightcheck.recording.samplers import SamplerInfo
from tests.lab.made import CLASSES, Loop, data, patched

X, Y = data()
DATA = TensorDataset(X, Y)
PER_CLASS = torch.ones(CLASSES)


class Kept(Dataset[Any]):
    def __init__(self, labels: Any) -> None:
        self.labels = labels

    def __len__(self) -> int:
        return len(X)

    def __getitem__(self, i: int) -> Any:
        return X[int(i)], Y[int(i)]


def seen(tmp_path: Path, *loaders: DataLoader[Any]) -> list[SamplerInfo]:
    return patched(tmp_path, "", lambda: [Loop(pairs=loader)() for loader in loaders]).run.samplers


def test_weights_and_draws(tmp_path: Path) -> None:
    def loop() -> None:
        sampler = WeightedRandomSampler(PER_CLASS, 24)
        Loop(pairs=DataLoader(DATA, batch_size=6, sampler=sampler))()

    (found,) = patched(tmp_path, "", loop).run.samplers
    assert (found.weights, found.examples, found.draws, found.masked) == (CLASSES, 24, 24, False)
    assert found.location is not None and found.location.line == loop.__code__.co_firstlineno + 1


def test_another_sampler_of_the_same_line_leaves_the_weights_open(tmp_path: Path) -> None:
    def loop() -> None:
        for weights in (PER_CLASS, torch.ones(24)):
            Loop(pairs=DataLoader(DATA, batch_size=6, sampler=WeightedRandomSampler(weights, 24)))()

    (found,) = patched(tmp_path, "", loop).run.samplers
    assert found.weights is None


@pytest.mark.parametrize(
    ("indices", "masked"),
    [([True, False] * 12, True), ((Y == 0).tolist(), True), (list(range(2)), False), (range(4), False)],
)
def test_truth_values_as_indices(tmp_path: Path, indices: Any, masked: bool) -> None:
    (subset,) = seen(tmp_path, DataLoader(Subset(Kept(Y), indices), batch_size=6))
    (sampler,) = seen(tmp_path, DataLoader(Kept(Y), batch_size=6, sampler=SubsetRandomSampler(indices)))
    assert (subset.masked, sampler.masked) == (masked, masked)
