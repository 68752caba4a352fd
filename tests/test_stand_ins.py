"""Numbers that stand for missing values: what is recorded, what is told, what is tried."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from flightcheck.adapters.torch.stand_ins import stand_ins
from flightcheck.recording.batches import Batch
from flightcheck.recording.digests import DataDigest
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.records import Location
from flightcheck.report.experiments import patch_in_words
from flightcheck.testing import run_of, verdict_of
from tests.lab.made import equal, patched

Table = npt.NDArray[np.float32]


def table(rows: int = 400) -> Table:
    random = np.random.default_rng(0)
    return (20 + 5 * random.standard_normal((rows, 4))).astype(np.float32)


def marked(column: int = 1, mark: float = -200.0, every: int = 20) -> Table:
    values = table()
    values[::every, column] = mark
    return values


@pytest.mark.parametrize("mark", [-200.0, 999.0])
@pytest.mark.parametrize("scaled", [False, True])
def test_a_mark_is_known_by_its_distance(mark: float, scaled: bool) -> None:
    values = marked(mark=mark)
    if scaled:
        values = (values - values.mean(0)) / values.std(0)
    ((column, value, times, mean, low, high),) = stand_ins(values)
    assert (column, times) == (1, 20)
    assert value == pytest.approx(values[0, 1])
    others = np.delete(values[:, 1], np.s_[::20])
    assert (mean, low, high) == (pytest.approx(others.mean(), abs=1e-4), others.min(), others.max())


def test_windows_of_a_series_and_several_columns() -> None:
    values = marked(0)
    values[3::20, 2] = -200
    assert [found[0] for found in stand_ins(values)] == [0, 2]
    assert [found[0] for found in stand_ins(values.reshape(100, 4, 4))] == [0, 2]


def rainfall() -> Table:
    """Most days without, the others from little on."""
    values = table()
    values[:, 1] = np.maximum(values[:, 1] - 20, 0)
    return values


def capped() -> Table:
    values = table()
    values[:, 1] = np.minimum(values[:, 1], 22)
    return values


def levels() -> Table:
    values = table()
    values[:, 1] = np.random.default_rng(1).choice([0, 1, 2, 30], len(values))
    return values


def one_hot() -> Table:
    return np.eye(4, dtype=np.float32)[np.random.default_rng(1).integers(4, size=400)]


@pytest.mark.parametrize(
    "make",
    [
        table, rainfall, capped, levels, one_hot, lambda: marked(every=200), lambda: marked(mark=-5.0),
        lambda: marked(every=1), lambda: marked()[:90], lambda: table().astype(int), lambda: list(table()),
        lambda: np.where(marked() < 0, np.nan, marked()), lambda: table()[:, 0],
    ],
)  # fmt: skip
def test_what_is_no_mark(make: Callable[[], Any]) -> None:
    assert stand_ins(make()) == []


@pytest.mark.parametrize("by_hand", [False, True])
def test_the_trial_gives_the_mean_in_its_place(tmp_path: Path, by_hand: bool) -> None:
    def weights(patch: str, values: Table) -> list[torch.Tensor]:
        torch.manual_seed(0)
        model, x = nn.Linear(4, 1), torch.from_numpy(values.copy()) / 100
        y = x[:, :1].clone()
        optimizer = torch.optim.SGD(model.parameters(), 0.1)

        def run() -> None:
            picked = ((x[k : k + 40], y[k : k + 40]) for _ in range(3) for k in range(0, 400, 40))
            loaded = (batch for _ in range(3) for batch in DataLoader(TensorDataset(x, y), batch_size=40))
            for xb, yb in picked if by_hand else loaded:
                optimizer.zero_grad()
                nn.functional.mse_loss(model(xb), yb).backward()
                optimizer.step()

        done = patched(tmp_path, patch, run)
        assert bool(done.applied.get("inputs:known")) == (patch == "inputs:known" and values is not clean)
        assert x.equal(torch.from_numpy(values) / 100), "the script's own data stay as they are"
        return [p.detach().clone() for p in model.parameters()]

    clean = table()
    found, kept = (weights(p, marked()) for p in ("inputs:known", "lr:x1"))
    assert not equal(found, kept)
    filled = marked()
    filled[::20, 1] = stand_ins(torch.from_numpy(marked()).div(100).numpy())[0][3] * 100
    if not by_hand:  # there the first batches were fed before it was known what they are picked from
        assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(found, weights("lr:x1", filled), strict=True))
    weights("inputs:known", clean)


def verdict(*experiments: Experiment, **of_data: Any) -> Any:
    columns = [[1.0, -200.0, 20.0, 20.1, 5.0, 35.0], [3.0, -200.0, 9.0, 20.0, 4.0, 36.0]]
    data = replace(DataDigest(0, "training", examples=400, stand_ins={"inputs": columns}), **of_data)
    batches = [
        Batch(i, True, 0, "0", [40, 4], "float32", f"{i}", -200, 35, 15, 40, 0, 0, origin=Location("train.py", 9))
        for i in range(4)
    ]
    return verdict_of("D01", run_of(data, *batches, *experiments))


def test_a_trial_decides() -> None:
    tried = Experiment("D01", "inputs:known", status="confirmed")
    (finding,) = verdict(tried).findings
    assert finding.message.startswith(
        "Columns 1, 3 of the inputs have a number that stands apart: -200 occurs 20 times"
    )
    assert (finding.severity, finding.location) == ("warn", Location("train.py", 9))
    for others in ([], [replace(tried, status="refuted")], [replace(tried, patch="inputs:finite")]):
        assert verdict(*others).status == "pass"
    assert verdict(tried, role="evaluation").status == "pass"
    assert verdict(tried, stand_ins={}).status == "pass"
    assert verdict(tried, stand_ins={"targets": [[0.0, -200.0, 20.0, 20.1, 5.0, 35.0]]}).status == "pass"
    words = patch_in_words("inputs:known", run_of())
    assert words == "what stands for missing values replaced by the mean of its column"
