"""ReduceLROnPlateau in a real training: the direction of its metric against its mode."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

import flightcheck

X = torch.randn(400, 8, generator=torch.Generator().manual_seed(1))
LABELS = (X[:, 0] * X[:, 1] > 0).long()


def codes_with(mode: str, metric: str, tmp_path: Path) -> list[str]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 2))
    with flightcheck.watch(runs_dir=tmp_path, report=False) as watched:
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        scheduler = ReduceLROnPlateau(optimizer, mode=mode, patience=3)
        for _ in range(8):
            for rows in torch.randperm(300).split(20):
                loss = nn.functional.cross_entropy(model(X[rows]), LABELS[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            with torch.no_grad():
                logits = model(X[300:])
                right = (logits.argmax(1) == LABELS[300:]).float().mean()
                unlike = nn.functional.cross_entropy(logits, LABELS[300:])
            scheduler.step(right if metric == "accuracy" else unlike)
    assert watched.diagnosis is not None
    return [v.info.code for v in watched.diagnosis.verdicts if v.status == "fail"]


@pytest.mark.parametrize(
    ("mode", "metric", "wrong"),
    [("min", "accuracy", True), ("max", "accuracy", False), ("max", "loss", True), ("min", "loss", False)],
)
def test_the_mode_must_fit_the_metric(mode: str, metric: str, wrong: bool, tmp_path: Path) -> None:
    assert ("P04" in codes_with(mode, metric, tmp_path)) is wrong
