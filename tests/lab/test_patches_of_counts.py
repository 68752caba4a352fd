"""Patches by which an evaluation counts classes, answers and errors that it did not count before."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from flightcheck.adapters.torch.patching.sources import Counts
from flightcheck.recording.rewriting import HELPER
from tests.lab.made import Loop, data, patched

HERE = Path(__file__).name
MARKS = {
    line.rpartition("# ")[2]: i
    for i, line in enumerate(Path(__file__).read_text("utf-8").splitlines(), 1)
    if line.rstrip().rpartition("# ")[2] in ("classes", "sign", "once", "scale", "half")
}
X, Y = data(120, seed=3)
WANTED = (Y == 2).float()


def of_scores(model: torch.nn.Module) -> torch.Tensor:
    values = model(X).max(1)[0]
    return (values == Y).float().mean()  # classes


def out_of_one(model: torch.nn.Module) -> torch.Tensor:
    chosen = model(X)[:, :1].argmax(dim=1)  # sign
    return (chosen == WANTED).float().mean()


def squashed_twice(model: torch.nn.Module) -> torch.Tensor:
    returned = model(X)[:, 0].sigmoid()
    probabilities = torch.sigmoid(returned)  # once
    return ((probabilities > 0.5).float() == WANTED).float().mean()


def of_another_scale(model: torch.nn.Module) -> torch.Tensor:
    target = 40.0 + 13.0 * F.one_hot(Y, 3)
    return ((model(X) - target) ** 2).mean().sqrt()  # scale


@pytest.mark.parametrize(
    ("patch", "count", "better"),
    [
        ("metric:classes", of_scores, lambda before, after: before == 0.0 < after),
        ("metric:sign", out_of_one, lambda before, after: before != after),
        ("metric:once", squashed_twice, lambda before, after: before != after),
        ("metric:scale=13,40", of_another_scale, lambda before, after: after < before),
    ],
)
def test_another_number_and_the_same_training(
    tmp_path: Path, patch: str, count: Callable[[torch.nn.Module], torch.Tensor], better: Callable[[float, float], bool]
) -> None:
    told: list[tuple[float, torch.Tensor]] = []

    def script() -> None:
        x, y = data(60)
        pairs = list(zip(x.split(6), y.split(6), strict=True))
        loop = Loop(loss=lambda out, y: F.cross_entropy(out, y), pairs=pairs)
        loop()
        with torch.no_grad():
            told.append((float(count(loop.model)), next(loop.model.parameters()).detach().clone()))

    way = patch.rpartition(":")[2].partition("=")[0]
    plain = patched(tmp_path, "", script)
    tried = patched(tmp_path, f"{patch}:{HERE}:{MARKS[way]}", script)
    assert not plain.errors and not tried.errors and sum(tried.applied.values()) == 1
    assert better(told[0][0], told[1][0])
    assert torch.equal(told[0][1], told[1][1])


def test_counts() -> None:
    counts = Counts()
    assert (counts.true(3, 7), counts.counted(3, 9)) == (7, 9)
    counts.add(3, 5, 6)
    counts.add(3, 2, 6)
    assert counts.true(3, 99) == 7
    assert torch.equal(counts.true(3, torch.tensor(1.5)), torch.tensor(7.0))
    assert counts.counted(3, 99) == 12
    assert counts.counted(3, 99) == 99
    assert not hasattr(builtins, HELPER)
