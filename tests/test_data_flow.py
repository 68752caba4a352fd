"""Which layer hands its values to which, read from real backward passes; and how the page draws it."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

import flightcheck
from flightcheck.recording.run import Run
from flightcheck.report.page.arrows import Arrow, arrows, in_words
from tests.report.paged import training


class Residual(nn.Module):
    """A way around two layers, a recurrent layer of which the second result is used, and a part that is frozen."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 6)
        self.inner = nn.Sequential(nn.Linear(6, 6), nn.ReLU(inplace=True))
        self.rnn = nn.LSTM(6, 5, batch_first=True)
        self.frozen = nn.Linear(4, 3).requires_grad_(False)
        self.head = nn.Linear(8, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        side = self.frozen(x)
        h = self.first(x)
        h = (h + self.inner(h)).tanh()
        _, (last, _) = self.rnn(h.unsqueeze(1))
        head: torch.Tensor = self.head(torch.cat([last[-1], side], dim=1))
        return head


def watched(model: nn.Module, folder: Path) -> Run:
    torch.manual_seed(0)
    with flightcheck.watch(runs_dir=folder, report=False) as seen:
        optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.01)
        for _ in range(4):
            x = torch.randn(8, 4)
            optimizer.zero_grad()
            ((model(x).squeeze(1) - x.sum(1)) ** 2).mean().backward()
            optimizer.step()
    assert seen.run is not None
    return seen.run


def named(run: Run, known: bool) -> set[tuple[str, str]]:
    names = {m.index: m.path.partition(".")[2] for m in run.modules}
    return {(names[a.source], names[a.target]) for a in arrows(run, run.modules) if a.known == known}


def test_values_are_followed_through_sums_and_second_results(tmp_path: Path) -> None:
    run = watched(Residual(), tmp_path)
    assert named(run, known=True) == {
        ("first", "inner.0"), ("inner.0", "inner.1"), ("inner.1", "rnn"), ("first", "rnn"), ("rnn", "head"),
    }  # fmt: skip
    assert named(run, known=False) == {("frozen", "first")}
    assert "Dashed ones (1 arrow of 6)" in in_words(arrows(run, run.modules))


def test_where_nothing_is_known_it_is_said() -> None:
    run = training(layers=3)
    found = arrows(run, run.modules)
    assert found == [Arrow(1, 2, False), Arrow(2, 3, False)]
    assert "which value flows where is not known in this run" in in_words(found)
