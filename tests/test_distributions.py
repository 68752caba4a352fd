"""Quantiles of weights, gradients and outputs: recorded of real trainings at few steps, and drawn as ridges."""

from __future__ import annotations

import base64
import zlib
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import flightcheck
from flightcheck.adapters.torch.distributions import _sample
from flightcheck.diagnosis import diagnose
from flightcheck.recording.distributions import QUANTILES, packed, spreads, unpacked
from flightcheck.recording.run import Run
from flightcheck.recording.signals import GRADIENT_SPREAD, OUTPUT_SPREAD, WEIGHT_SPREAD
from flightcheck.report.page.document import page
from flightcheck.report.page.ridges import MOST_STEPS, ridge_data, ridges
from tests.report.paged import Reader


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, torch.Tensor]:
    """A short training whose gradients become NaN at step 9; and its first weights."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Linear(30, 1))
    first = model[0].weight.detach().clone()
    with flightcheck.watch(runs_dir=tmp_path_factory.mktemp("runs"), report=False) as seen:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for step in range(20):
            x = torch.randn(16, 20)
            loss = ((model(x).squeeze(1) - x.sum(1)) ** 2).mean() * (float("nan") if step == 9 else 1.0)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    assert seen.run is not None
    return seen.run, first


def test_quantiles_are_those_of_the_values(watched: tuple[Run, torch.Tensor]) -> None:
    run, first = watched
    (step, layers), *_ = spreads(run, WEIGHT_SPREAD)
    index = next(p.index for p in run.parameters if p.name.endswith("0.weight"))
    exact = torch.quantile(first.flatten(), torch.linspace(0, 1, QUANTILES)).numpy()
    assert step == 0
    np.testing.assert_allclose(layers[index], exact, atol=0.002)  # 600 values: all of them are looked at
    assert len(layers) == 2  # weights and no biases


def test_looks_grow_rare(watched: tuple[Run, torch.Tensor]) -> None:
    steps = [s for s, _ in spreads(watched[0], GRADIENT_SPREAD)]
    assert steps[:6] == [0, 1, 2, 3, 4, 5]
    assert all(b >= a * 1.25 for a, b in pairwise(steps[4:]))
    assert len(steps) < 14


def test_dead_values_and_lost_ones_are_kept(watched: tuple[Run, torch.Tensor]) -> None:
    run, _ = watched
    relu = next(m.index for m in run.modules if m.type == "ReLU")
    outputs = dict(spreads(run, OUTPUT_SPREAD))
    assert (outputs[5][relu] == 0).sum() > QUANTILES // 4
    assert np.isnan(dict(spreads(run, GRADIENT_SPREAD))[9][0]).all()


@pytest.mark.parametrize("shape", [(5,), (64, 1024), (3, 40, 50)])
def test_a_sample_meets_all_columns(shape: tuple[int, ...]) -> None:
    values = torch.arange(shape[-1], dtype=torch.float64).expand(shape)
    for given in (values.contiguous(), values):
        sample = _sample(given)
        assert sample.dtype == torch.float32
        assert len(sample) <= 2048
        assert len(sample.unique()) >= min(shape[-1], 40)


def test_a_row_that_was_cut_off_is_read_as_far_as_it_goes() -> None:
    quantiles = {3: np.arange(QUANTILES, dtype=np.float32), 7: np.full(QUANTILES, np.nan, np.float32)}
    row = packed(quantiles)
    assert list(unpacked(row)) == [3, 7]
    assert list(unpacked(row[:-1])) == [3]
    assert len(packed({})) == 0


def test_the_page_holds_them_in_sixteen_bits(watched: tuple[Run, torch.Tensor]) -> None:
    run, first = watched
    found = ridge_data(ridges(run, []))
    assert found is not None
    assert [x["kinds"] for x in found["layers"]] == [3, 1, 3]
    kind = found["kinds"][0]
    assert len(kind["steps"]) <= MOST_STEPS
    halves = np.frombuffer(zlib.decompress(base64.b64decode(kind["packed"])), dtype="<u2")
    values = (halves.astype(np.uint32) << 16).view(np.float32).reshape(3, -1, QUANTILES)
    assert values[0, 0, 0] == pytest.approx(float(first.min()), rel=0.01)
    assert np.isneginf(values[1]).all()  # a ReLU has no weight
    text = Reader(page(run, diagnose(run, []))).text
    assert "How values are spread" in text
    assert "Below the first number lie 6 % of the values" in text


def test_a_trial_records_none(tmp_path: Path) -> None:
    from flightcheck.adapters.torch.observer import TorchObserver
    from flightcheck.options import WatchOptions
    from flightcheck.recording.store import RunWriter
    from flightcheck.session import install_patches

    observer = TorchObserver(RunWriter(tmp_path))
    try:
        assert observer.statistics.spreads.due()
        install_patches(observer, WatchOptions(script="train.py", mode="trial"))
        assert not observer.statistics.spreads.due()
        assert not observer.activations.spreads.due()
    finally:
        observer.close()
