"""D04: sequences that begin with another token in evaluation than in training."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import flightcheck
from flightcheck.checks.data._first_tokens import other_first_tokens
from flightcheck.recording.batches import Batch
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.run import Run
from flightcheck.testing import run_of
from tests.checks._batches import batches
from tests.lab.made import patched

IDS: dict[str, Any] = {"dtype": "int64", "first_module": "embedding", "shape": [16, 12], "begins": 1}


def evaluated(**changes: Any) -> list[Batch]:
    return [dataclasses.replace(b, training=False, **changes) for b in batches(2, **IDS)]


def test_another_first_token() -> None:
    (finding,) = other_first_tokens(run_of(*batches(6, **IDS), *evaluated(begins=0)))
    assert (finding.patch, finding.severity) == ("inputs:begin=0,1", "warn")
    proof = Experiment("D04", finding.patch, status="confirmed")
    (finding,) = other_first_tokens(run_of(*batches(6, **IDS), *evaluated(begins=0), proof))
    assert finding.severity is None


@pytest.mark.parametrize(
    ("trained", "changes"),
    [
        ({}, {}),  # the same one
        ({"begins": None}, {"begins": 0}),
        ({}, {"begins": None}),
        ({}, {"begins": 0, "shape": [4, 12]}),  # a few prompts
        ({"shape": [16]}, {"shape": [16], "begins": 0}),  # the number of a task
        ({"dtype": "float32"}, {"begins": 0}),
    ],
)
def test_others_pass(trained: dict[str, Any], changes: dict[str, Any]) -> None:
    assert list(other_first_tokens(run_of(*batches(6, **{**IDS, **trained}), *evaluated(**changes)))) == []
    assert list(other_first_tokens(run_of(*batches(3, **IDS), *evaluated(begins=0)))) == []


def decoded(folder: Path, start: int) -> Run:
    """A decoder that is trained from token 1 on, one position after the other, and asked from `start` on."""
    torch.manual_seed(0)
    table, cell, out = nn.Embedding(9, 8), nn.GRUCell(8, 8), nn.Linear(8, 9)

    class Decoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.cell, self.out = table, cell, out

        def forward(self, token: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            state = self.cell(self.table(token), state)
            return self.out(state), state

    decoder = Decoder()
    words = torch.randint(2, 9, (16, 4))
    with flightcheck.watch(runs_dir=folder, report=False) as watched:
        optimizer = torch.optim.SGD(decoder.parameters(), lr=0.1)
        for _ in range(8):
            token, state, loss = torch.full((16,), 1), torch.zeros(16, 8), torch.zeros(())
            for t in range(4):
                scores, state = decoder(token, state)
                loss = loss + nn.functional.cross_entropy(scores, words[:, t])
                token = words[:, t]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            token, state = torch.full((16,), start), torch.zeros(16, 8)
            for _ in range(4):
                scores, state = decoder(token, state)
                token = scores.argmax(1)
    assert watched.run is not None
    return watched.run


def test_a_decoder_that_is_called_for_each_position(tmp_path: Path) -> None:
    (finding,) = other_first_tokens(decoded(tmp_path, 0))
    assert (finding.evidence["training"], finding.evidence["evaluation"]) == (1, 0)
    assert list(other_first_tokens(decoded(tmp_path, 1))) == []


def test_evaluations_begin_with_the_other_token_in_a_trial(tmp_path: Path) -> None:
    seen: list[torch.Tensor] = []

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(9, 4)

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            seen.append(ids)
            return self.table(ids)

    net, ids = Net(), torch.tensor([[0, 5], [0, 6]])

    def script() -> None:
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        net(ids).sum().backward()
        optimizer.step()
        with torch.no_grad():
            net(ids)
            net(ids[:, 1:])

    done = patched(tmp_path, "inputs:begin=0,1", script)
    assert done.applied["inputs:begin=0,1"] == 1
    assert [s.tolist() for s in seen] == [[[0, 5], [0, 6]], [[1, 5], [1, 6]], [[5], [6]]]
