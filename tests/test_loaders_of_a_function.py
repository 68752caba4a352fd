"""Loaders that one line makes: those of a function are told apart by the lines that call it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import flightcheck
from flightcheck.recording.records import LoaderInfo

X = torch.rand(64, 3, generator=torch.Generator().manual_seed(0))


def make(x: torch.Tensor, *, shuffle: bool = True) -> DataLoader[Any]:
    return DataLoader(TensorDataset(x), batch_size=8, shuffle=shuffle)


def train(epochs: Iterator[DataLoader[Any]], held: DataLoader[Any] | None = None) -> None:
    model = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for loader in epochs:
        if held is not None:  # before the first epoch, too
            with torch.no_grad():
                _ = [model(x) for (x,) in held]
        for (x,) in loader:
            optimizer.zero_grad()
            model(x).square().mean().backward()
            optimizer.step()


def loaders(folder: Path, train_all: Any) -> list[LoaderInfo]:
    with flightcheck.watch(runs_dir=folder, report=False) as watched:
        train_all()
    assert watched.run is not None
    assert not watched.run.coverage.blind
    return watched.run.loaders


def test_of_a_function_that_makes_all_of_them(tmp_path: Path) -> None:
    def both() -> None:
        held = make(X[:16], shuffle=False)
        fitted = make(X[16:])
        train(iter([fitted] * 2), held)

    evaluated, trained = loaders(tmp_path, both)
    assert (evaluated.length, evaluated.shuffle, evaluated.used_in_training) == (2, False, False)
    assert (trained.length, trained.shuffle, trained.used_in_training) == (6, True, True)
    first = both.__code__.co_firstlineno
    assert [x.location and x.location.line for x in (evaluated, trained)] == [first + 1, first + 2]


def test_one_for_each_epoch_is_one(tmp_path: Path) -> None:
    (found,) = loaders(tmp_path, lambda: train(make(X) for _ in range(3)))
    assert found.iterators == 3
    assert found.location is not None
    assert found.location.function == "make"
