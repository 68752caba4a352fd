"""Patches of iterators over loaders, and batches of their own by which trainings are judged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from tests.lab.made import Loop, data, patched

X, Y = data(24)
DATA = TensorDataset(X, torch.arange(24))


def first_of(loader: Any) -> Any:
    for batch in loader:  # noqa: B007
        break
    return batch


@pytest.mark.parametrize("take", [lambda loader: next(iter(loader)), first_of], ids=["next", "break"])
@pytest.mark.parametrize("one_loader", [True, False])
def test_an_iterator_goes_on_where_the_last_one_stopped(
    tmp_path: Path, take: Callable[[Any], Any], one_loader: bool
) -> None:
    seen: list[list[int]] = []
    kept = DataLoader(DATA, batch_size=10)

    def run() -> None:
        for _ in range(5):
            x, rows = take(kept if one_loader else DataLoader(DATA, batch_size=10))
            seen.append(rows.tolist())
            loop.step(x, Y[rows])
            with torch.no_grad():
                evaluated.append(take(kept)[1].tolist())

    loop, evaluated = Loop(), []
    done = patched(tmp_path, "loader:continue", run)
    wanted = [list(range(10)), list(range(10, 20)), list(range(20, 24)), list(range(10)), list(range(10, 20))]
    assert seen == wanted
    assert evaluated == [list(range(10))] * 5, "an evaluation begins anew"
    assert done.trained.failure == ""


def test_whole_passes_stay_whole(tmp_path: Path) -> None:
    seen: list[int] = []

    def run() -> None:
        for _ in range(2):
            for x, rows in loader:
                seen.extend(rows.tolist())
                loop.step(x, Y[rows])

    loop, loader = Loop(), DataLoader(DATA, batch_size=10)
    patched(tmp_path, "loader:continue", run)
    assert seen == [*range(24)] * 2


def test_other_batches_judge_and_train_nothing(tmp_path: Path) -> None:
    seen: list[list[int]] = []
    numbers: list[float] = []

    def run() -> None:
        for _ in range(12):
            x, rows = next(iter(loader))
            seen.append(rows.tolist())
            loop.step(x, Y[rows])
            numbers.append(float(torch.rand(())))

    loop, loader = Loop(), DataLoader(DATA, batch_size=6)
    torch.manual_seed(3)
    done = patched(tmp_path, "score:others", run)
    assert [rows == list(range(6)) for rows in seen] == [True, True, False] * 4
    assert [u == 0 for u in loop.updates] == [False, False, True] * 4
    assert sorted(row for rows in seen[2::3] for row in rows) == list(range(24)), "all of the data, once"
    assert list(done.trained.series("error")) == pytest.approx(loop.losses[2::3], rel=1e-5)
    control, numbers = numbers, []
    loop, loader = Loop(), DataLoader(DATA, batch_size=6)
    torch.manual_seed(3)
    patched(tmp_path, "", run)
    assert numbers == control, "the training draws the same numbers"
