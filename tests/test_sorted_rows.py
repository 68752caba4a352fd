"""Sequences that are sorted by length to be packed: are their targets, or the outputs put back?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

import flightcheck
from flightcheck.recording.sorted_rows import SortedRows
from flightcheck.testing import verdict_of

Pass = Callable[[nn.Module, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
"""Of a model, sequences, lengths and targets: prediction and target."""


class Reader(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.head = nn.GRU(3, 8, batch_first=True), nn.Linear(8, 1)

    def forward(self, x: Tensor, lengths: Tensor, enforce_sorted: bool = True) -> Tensor:
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=enforce_sorted)
        return self.head(self.rnn(packed)[1][-1]).squeeze(1)


def inputs_alone(model: nn.Module, x: Tensor, n: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    n, order = n.sort(descending=True)
    return model(x[order], n), y


def by_argsort(model: nn.Module, x: Tensor, n: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    order = torch.argsort(n, descending=True)
    return model(x.index_select(0, order), n[order]), y


def targets_too(model: nn.Module, x: Tensor, n: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    n, order = n.sort(descending=True)
    return model(x[order], n), y[order]


def put_back(model: nn.Module, x: Tensor, n: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    n, order = n.sort(descending=True)
    return model(x[order], n)[order.argsort()], y


def scattered_back(model: nn.Module, x: Tensor, n: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    n, order = n.sort(descending=True)
    out = model(x[order], n)
    return torch.zeros_like(out).index_copy(0, order, out), y


def by_python(model: nn.Module, x: Tensor, n: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    n, order = n.sort(descending=True)
    return model(x[order], n), torch.stack([y[i] for i in order.tolist()])


def packed_unsorted(model: nn.Module, x: Tensor, n: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    return model(x, n, False), y


def itself(model: nn.Module, x: Tensor, n: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    n, order = n.sort(descending=True)
    x = x[order]
    return model(x, n), x.sum((1, 2))


def constant(model: nn.Module, x: Tensor, n: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    n, order = n.sort(descending=True)
    return model(x[order], n), torch.ones(len(x))


def run_of_training(forward: Pass, folder: Path) -> flightcheck.Run:
    torch.manual_seed(0)
    model = Reader()
    with flightcheck.watch(runs_dir=folder, report=False) as watched:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(6):
            lengths = torch.randint(2, 7, (12,)).index_fill(0, torch.tensor([5]), 7)
            prediction, target = forward(model, torch.randn(12, 7, 3), lengths, torch.randn(12))
            optimizer.zero_grad()
            F.mse_loss(prediction, target).backward()
            optimizer.step()
    assert watched.run is not None
    return watched.run


@pytest.mark.parametrize("forward", [inputs_alone, by_argsort])
def test_inputs_that_are_sorted_alone_are_seen(forward: Pass, tmp_path: Path) -> None:
    run = run_of_training(forward, tmp_path)
    (found,) = run.recorded(SortedRows)
    assert found.apart == found.calls >= 3
    (finding,) = verdict_of("D07", run).findings
    assert finding.patch.startswith("targets:sorted=test_sorted_rows.py:")


@pytest.mark.parametrize(
    "forward", [targets_too, put_back, scattered_back, by_python, packed_unsorted, itself, constant]
)
def test_what_belongs_together_is_not(forward: Pass, tmp_path: Path) -> None:
    run = run_of_training(forward, tmp_path)
    assert all(found.apart == 0 for found in run.recorded(SortedRows))
