"""One function evaluates several sets: each evaluation is followed to the call that led to it."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

import flightcheck
from flightcheck.recording import provenance
from flightcheck.testing import verdict_of

TEXT = """import torch
from torch import nn

def accuracy(model, X, y):
    with torch.no_grad():
        return (model(X).argmax(1) == y).float().mean().item()

def report(model, a, b):
    return accuracy(model, a, b)

X = torch.randn(400, 6)
y = (X[:, 0] > 0).long()
X_train = X[:300] * 2.0
X_test = X[300:] * 2.0
net = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2))
opt = torch.optim.SGD(net.parameters(), lr=0.1)
for epoch in range(4):
    for i in range(0, 300, 20):
        opt.zero_grad()
        nn.functional.cross_entropy(net(X_train[i : i + 20]), y[:300][i : i + 20]).backward()
        opt.step()
    print(CALLS)
"""
OF_TRAIN, OF_TEST = "accuracy(net, X_train, y[:300])", "report(net, X_test, y[300:])"


def written(folder: Path, calls: str) -> Path:
    file = folder / "train.py"
    file.write_text(TEXT.replace("CALLS", calls), encoding="utf-8")
    return file


def test_of_several_calls_the_one_that_was_made_is_followed(tmp_path: Path) -> None:
    file = str(written(tmp_path, f"{OF_TRAIN}, {OF_TEST}"))
    call = (file, 6, "X", "accuracy")
    assert provenance.value_origin(*call, callers=((file, 22),)) == (file, 13)
    assert provenance.value_origin(*call, callers=((file, 9), (file, 22))) == (file, 14)
    assert provenance.value_origin(*call, callers=((file, 3),)) == provenance.value_origin(*call)


@pytest.mark.parametrize(
    ("calls", "evaluated"), [(OF_TRAIN, {13}), (OF_TEST, {14}), (f"{OF_TEST}, {OF_TRAIN}", {13, 14})]
)
def test_training_data_that_are_evaluated_are_no_leak(tmp_path: Path, calls: str, evaluated: set[int]) -> None:
    file = written(tmp_path, calls)
    with flightcheck.watch(runs_dir=tmp_path / "runs", report=False) as seen:
        runpy.run_path(str(file))
    assert seen.run is not None
    assert {b.origin.line for b in seen.run.batches if not b.training and b.origin} == evaluated
    assert not verdict_of("D08", seen.run).findings
