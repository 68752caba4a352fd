"""Samplers: what the observer keeps of them, and the patch that gives every example a weight."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, Dataset, Subset, SubsetRandomSampler, TensorDataset, WeightedRandomSampler

from flightcheck.adapters.torch.weighted_classes import weighted_classes
from flightcheck.patch import Patch
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


Z = torch.tensor([0] * 16 + [1] * 5 + [2] * 3)
COUNTS = torch.bincount(Z).double()


class Labelled(Dataset[Any]):
    """What it holds beside its inputs."""

    def __init__(self, **held: Any) -> None:
        self.__dict__.update(x=X, **held)

    def __len__(self) -> int:
        return len(X)

    def __getitem__(self, i: int) -> Any:
        return X[int(i)], Y[int(i)]


@pytest.mark.parametrize(
    "dataset",
    [
        TensorDataset(X, Z),
        TensorDataset(X, Z.float()[:, None]),
        list(zip(X, Z.tolist(), strict=True)),
        [{"x": x, "y": y} for x, y in zip(X, Z, strict=True)],
        Labelled(labels=Z.tolist(), group=[0, 1] * 12),
        Labelled(labels=["abc"[i] for i in Z], finer=Z * 2 + torch.arange(24) % 2),
        Subset(TensorDataset(torch.cat([X, X]), torch.cat([Y, Z])), list(range(24, 48))),
    ],
)
def test_the_classes_that_weights_follow(tmp_path: Path, dataset: Any) -> None:
    sampler = WeightedRandomSampler(COUNTS[Z] / 24, 24)
    (found,) = seen(tmp_path, DataLoader(dataset, batch_size=6, sampler=sampler, collate_fn=lambda rows: DATA[:6]))
    assert found.class_counts == [16, 5, 3]
    assert found.class_weights == pytest.approx([16 / 24, 5 / 24, 3 / 24])
    assert found.misplaced == 0.0


def test_weights_of_other_examples(tmp_path: Path) -> None:
    balancing = (1 / COUNTS)[Z]
    weights = torch.cat([balancing[8:], balancing[:8]])
    (found,) = seen(tmp_path, DataLoader(TensorDataset(X, Z), batch_size=6, sampler=WeightedRandomSampler(weights, 24)))
    assert found.class_weights is None and found.class_counts == [16, 5, 3]
    assert found.misplaced == pytest.approx(float(((1 / COUNTS)[Z] != weights).double().mean()))


@pytest.mark.parametrize("weights", [torch.rand(24), torch.tensor([1.0, 2.0] * 12), torch.full((24,), torch.nan)])
def test_weights_that_follow_no_class(weights: torch.Tensor) -> None:
    assert weighted_classes(TensorDataset(X, Z), weights) is None
    assert weighted_classes(Labelled(labels=None), weights) is None
    assert weighted_classes([(X[0], 1, 2), (X[0],)] * 12, weights) is None


def test_the_patch_balances_the_classes_and_the_rule_judges_by_balanced_batches(tmp_path: Path) -> None:
    sampler = WeightedRandomSampler(COUNTS[Z], 24)
    loader = DataLoader(TensorDataset(X, Z), batch_size=12, sampler=sampler)
    rule = str(Patch.parse("sampler:balanced").scored)
    done = patched(tmp_path, f"sampler:balanced + {rule}", lambda: [Loop(pairs=loader)() for _ in range(3)])
    assert torch.equal(sampler.weights, (1 / COUNTS)[Z])
    assert done.applied == {"sampler:balanced": 3, "score:classes": 2}
    assert len(done.trained.series("error")) == 2
