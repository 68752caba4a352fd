"""What the answers of a trial's evaluations say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import flightcheck
from flightcheck.lab.trials import Trained, Trial
from flightcheck.recording.batches import Evaluation
from flightcheck.recording.inputs import Confusion
from flightcheck.testing import run_of


def test_answers_of_the_first_evaluations_say_nothing_of_the_last_ones() -> None:
    known = [Confusion(i, [[3, 1], [2, 4]]) for i in (1, 2, 3)]
    told = Trained(Trial(), run_of(*known, *(Evaluation(i, 0, 1, None) for i in (1, 2, 3, 4))))
    assert told.answered() == (3, 10) and len(told.series("answers")) == 3
    late = Trained(Trial(), run_of(*known, *(Evaluation(i, 0, 1, None) for i in range(1, 200))))
    assert late.answered() is None and not len(late.series("answers"))


Decide = Callable[[torch.Tensor], torch.Tensor]


@pytest.mark.parametrize(
    "decide",
    [
        lambda out: out > 0, lambda out: (out > 0).float(), lambda out: (out.sigmoid() > 0.5).float(),
        lambda out: out.sigmoid().round(), lambda out: torch.sigmoid(out).ge(0.5).to(torch.float32),
    ],
)  # fmt: skip
@pytest.mark.parametrize("flat", [True, False])
def test_what_a_threshold_decides_is_an_answer(decide: Decide, flat: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x = torch.randn(40, 3)
    y = (x[:, :1] > 0.3).float()
    right = 0
    with flightcheck.watch(runs_dir=tmp_path, report=False) as watched:
        for _ in range(4):
            optimizer.zero_grad()
            F.binary_cross_entropy_with_logits(model(x), y).backward()
            optimizer.step()
        with torch.no_grad():
            out, labels = (model(x).squeeze(1), y.squeeze(1)) if flat else (model(x), y)
            right = int((decide(out) == labels).sum())
    assert watched.run is not None and watched.run.coverage.blind == []
    (told,) = watched.run.recorded(Confusion)
    assert sum(row[i] for i, row in enumerate(told.counts)) == right
    assert [sum(row) for row in told.counts] == [int((y == c).sum()) for c in (0, 1)]


def test_several_yes_and_no_of_an_example_are_no_class(tmp_path: Path) -> None:
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x, y = torch.randn(8, 3), torch.randint(0, 2, (8, 2)).float()
    with flightcheck.watch(runs_dir=tmp_path, report=False) as watched:
        F.binary_cross_entropy_with_logits(model(x), y).backward()
        optimizer.step()
        with torch.no_grad():
            ((model(x) > 0).float() == y).float().mean().item()
    assert watched.run is not None and watched.run.recorded(Confusion) == []
