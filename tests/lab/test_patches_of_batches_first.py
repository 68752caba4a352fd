"""Layers that take time first and are given batches first."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from flightcheck.checks.base import Finding
from flightcheck.lab.diffs import diff_of
from flightcheck.patch import Patch
from flightcheck.recording.records import Location
from flightcheck.testing import run_of
from tests.lab.made import CLASSES, FEATURES, Loop, equal, patched


class Counter(nn.Module):
    """Classifies a sequence by the last output of its layer."""

    def __init__(self, kind: str, first: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer: nn.Module
        if kind == "lstm":
            self.layer = nn.LSTM(FEATURES, 8, batch_first=first)
        elif kind == "attention":
            self.layer = nn.MultiheadAttention(FEATURES, 1, batch_first=first)
        else:
            self.layer = nn.TransformerEncoderLayer(FEATURES, 1, 8, 0.0, batch_first=first)
        self.out, self.kind = nn.Linear(8 if kind == "lstm" else FEATURES, CLASSES), kind

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.layer(x, x, x)[0] if self.kind == "attention" else self.layer(x)
        return self.out((h[0] if self.kind == "lstm" else h)[:, -1])


def training(kind: str, first: bool, rows: int = 6) -> Loop:
    x = torch.randn(48, 7, FEATURES, generator=torch.Generator().manual_seed(0))
    y = x.mean(1)[:, :CLASSES].argmax(1)
    pairs = list(zip(x.split(rows), y.split(rows), strict=True))
    return Loop(Counter(kind, first), F.cross_entropy, lambda p: torch.optim.Adam(p, 0.01), pairs)


@pytest.mark.parametrize("kind", ["lstm", "attention", "encoder"])
def test_the_training_that_was_meant(tmp_path: Path, kind: str) -> None:
    right, wrong, mended = (training(kind, first) for first in (True, False, False))
    right()
    wrong()
    done = patched(tmp_path, "batch-first", mended)
    assert done.applied == {"batch-first": 8}
    assert equal(mended.weights, right.weights)
    assert not equal(wrong.weights, right.weights)
    assert not any(getattr(m, "batch_first", False) for m in mended.model.modules()), "as it was built"


def test_time_first_stays(tmp_path: Path) -> None:
    class Turned(Counter):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.out(self.layer(x.transpose(0, 1))[0][-1])

    right = training("lstm", True)
    right.model = Turned("lstm", False)
    done = patched(tmp_path, "batch-first", right)
    assert done.applied == {}


@pytest.mark.parametrize(
    ("code", "new"),
    [
        ("self.rnn = nn.LSTM(4, 8)", "self.rnn = nn.LSTM(4, 8, batch_first=True)"),
        ("self.rnn = nn.GRU(4, 8, batch_first=False)", "self.rnn = nn.GRU(4, 8, batch_first=True)"),
        ("layer = nn.TransformerEncoderLayer(d, 4,)", "layer = nn.TransformerEncoderLayer(d, 4, batch_first=True)"),
        ("self.rnn = make(cfg)", "# the same, batch_first=True"),
    ],
)
def test_the_line_with_batches_first(code: str, new: str) -> None:
    finding = Finding("", Location("train.py", 4, "f", code))
    assert diff_of([Patch.parse("batch-first")], finding, run_of()) == f"- {code}\n+ {new}"
