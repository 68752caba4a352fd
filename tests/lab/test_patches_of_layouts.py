"""Patches of how data are laid out and drawn: axes that a reshape cut up, samplers with a weight per class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset, WeightedRandomSampler

from tests.lab.made import CLASSES, Loop, data, patched

X, Y = data()
DATA = TensorDataset(X, Y)


class Kept(Dataset[Any]):
    """A dataset that keeps its labels in an attribute."""

    def __init__(self, labels: Any) -> None:
        self.labels = labels

    def __len__(self) -> int:
        return len(X)

    def __getitem__(self, i: int) -> Any:
        return X[int(i)], Y[int(i)]


def test_the_patch_moves_the_axes_at_its_line(tmp_path: Path) -> None:
    x = torch.arange(35).reshape(7, 5)
    seen: list[torch.Tensor] = []

    def loop() -> None:
        seen.append(x.view(5, 7))
        seen.append(x.view(5, 7))
        seen.append(x.view(35, 1))
        Loop()()

    line = loop.__code__.co_firstlineno + 1
    done = patched(tmp_path, f"axes:permute:{Path(__file__).name}:{line}", loop)
    assert torch.equal(seen[0], x.t()) and torch.equal(seen[1], x.view(5, 7))
    assert list(done.applied.values()) == [1]
    seen.clear()
    done = patched(tmp_path, "axes:permute", loop)
    assert torch.equal(seen[1], x.t()) and list(done.applied.values()) == [2]


@pytest.mark.parametrize(
    ("dataset", "rows", "by_class"),
    [
        (DATA, 24, True),
        (Subset(DATA, list(range(4, 24))), 20, True),
        (Kept(Y.tolist()), 24, True),
        (Kept(Y + 1), 24, False),
        (Kept(None), 24, False),
        (Kept(Y.float()), 24, False),
    ],
)
def test_the_patch_gives_every_example_a_weight(tmp_path: Path, dataset: Any, rows: int, by_class: bool) -> None:
    class_weights = torch.arange(1.0, CLASSES + 1)
    sampler = WeightedRandomSampler(class_weights, rows)
    done = patched(tmp_path, "sampler:examples", Loop(pairs=DataLoader(dataset, batch_size=6, sampler=sampler)))
    expected = class_weights[Y[24 - rows :]] if by_class else torch.ones(rows)
    assert torch.equal(sampler.weights, expected.double())
    assert done.applied == {"sampler:examples": 1}
