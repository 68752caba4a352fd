"""Labels of evaluations: which classes, in whatever way the script compares them with answers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import flightcheck
from flightcheck.recording.evaluated_labels import EvaluatedLabels

X = torch.randn(120, 4, generator=torch.Generator().manual_seed(1))
KINDS = torch.arange(120) % 3


def compare(how: str, net: nn.Module, x: torch.Tensor, y: torch.Tensor) -> None:
    with torch.no_grad():
        scores = net(x)
        if how == "loss":
            nn.functional.cross_entropy(scores, y)
        elif how == "argmax":
            print((scores.argmax(1) == y).float().mean())
        elif how == "turned round":
            print(y.eq(torch.max(scores, 1)[1]).sum())
        elif how == "threshold":
            print(((torch.sigmoid(scores).squeeze(1) > 0.5).float() == (y > 0).float()).float().mean())
    if how == "behind":
        print((scores.argmax(1) == y).float().mean())


@pytest.mark.parametrize(
    ("how", "counts"),
    [
        ("loss", [0, 10, 10]),
        ("argmax", [0, 10, 10]),
        ("turned round", [0, 10, 10]),
        ("behind", [0, 10, 10]),
        ("threshold", [0, 20]),
        ("nothing", None),
    ],
)
def test_true_classes_are_counted(how: str, counts: list[int] | None, tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1 if how == "threshold" else 3))
    with flightcheck.watch(runs_dir=tmp_path, report=False) as watched:
        optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
        for rows in torch.arange(90).split(10):
            scores = net(X[rows])
            _right = scores.argmax(1) == KINDS[rows]  # of a batch of the training: not counted
            if how == "threshold":
                loss = nn.functional.binary_cross_entropy_with_logits(scores.squeeze(1), (KINDS[rows] > 0).float())
            else:
                loss = nn.functional.cross_entropy(scores, KINDS[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        held_out = 90 + torch.tensor([i for i in range(30) if i % 3])
        compare(how, net, X[held_out], KINDS[held_out])
    assert watched.run is not None
    found = watched.run.recorded(EvaluatedLabels)
    assert [e.counts for e in found] == ([counts] if counts else [])
    assert all(e.source == -1 and e.location is not None and e.digest for e in found)


def test_keywords_and_half_precision_are_no_error_of_ours(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net, y = nn.Linear(4, 1).to(torch.bfloat16), (KINDS > 0).to(torch.bfloat16)
    x = X.to(torch.bfloat16)
    with flightcheck.watch(runs_dir=tmp_path, report=False) as watched:
        optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
        for rows in torch.arange(90).split(10):
            loss = nn.functional.binary_cross_entropy_with_logits(net(x[rows]).squeeze(1), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            answers = (net(x[90:]).squeeze(1) > 0).to(y.dtype)
            print((answers == y[90:]).float().mean(), torch.eq(input=answers, other=y[90:]).sum())
    assert watched.run is not None
    assert not any("of Flightcheck itself" in b for b in watched.run.coverage.blind), watched.run.coverage.blind
    assert [e.counts for e in watched.run.recorded(EvaluatedLabels)] == [[10, 20]]
