"""Two models of which one judges what the other makes, in real trainings: do their losses push the same way?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import flightcheck
from flightcheck.recording.opponents import Opponents
from flightcheck.testing import verdict_of

REAL = torch.randn(32, 2, generator=torch.Generator().manual_seed(0)) + 4
Losses = tuple[Callable[[Tensor, Tensor], Tensor], Callable[[Tensor], Tensor]]
"""Of the judge, given its outputs on real and on made examples, and of the maker, given the latter."""


def labelled(output: Tensor, label: float) -> Tensor:
    return F.binary_cross_entropy_with_logits(output, torch.full_like(output, label))


def cross_entropy(real: Tensor, made: Tensor) -> Tensor:
    return labelled(real, 0.9) + labelled(made, 0.0)


def turned(real: Tensor, made: Tensor) -> Tensor:
    return labelled(real, 0.0) + labelled(made, 1.0)


def wasserstein(real: Tensor, made: Tensor) -> Tensor:
    return made.mean() - real.mean()


def squares(real: Tensor, made: Tensor) -> Tensor:
    return (real - 1).pow(2).mean() + made.pow(2).mean()


AGREEING: dict[str, Losses] = {
    "label of what is made": (cross_entropy, lambda made: labelled(made, 0.0)),
    "labels turned around": (turned, lambda made: labelled(made, 1.0)),
    "sign of a critic": (wasserstein, lambda made: made.mean()),
}
OPPOSED: dict[str, Losses] = {
    "label of the real ones": (cross_entropy, lambda made: labelled(made, 1.0)),
    "saturating": (cross_entropy, lambda made: -labelled(made, 0.0)),
    "labels turned around": (turned, lambda made: labelled(made, 0.0)),
    "critic": (wasserstein, lambda made: -made.mean()),
    "squares": (squares, lambda made: (made - 1).pow(2).mean()),
}


def run_of_training(
    losses: Losses, folder: Path, end: type[nn.Module] | None = None, real: Tensor = REAL
) -> flightcheck.Run:
    torch.manual_seed(0)
    maker: nn.Module = nn.Linear(3, 2) if end is None else nn.Sequential(nn.Linear(3, 2), end())
    judge = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
    with flightcheck.watch(runs_dir=folder, report=False) as watched:
        of_judge = torch.optim.SGD(judge.parameters(), lr=0.05)
        of_maker = torch.optim.SGD(maker.parameters(), lr=0.05)
        for _ in range(12):
            made = maker(torch.randn(32, 3))
            of_judge.zero_grad()
            losses[0](judge(real), judge(made.detach())).backward()
            of_judge.step()
            of_maker.zero_grad()
            losses[1](judge(made)).backward()
            of_maker.step()
    assert watched.run is not None
    return watched.run


@pytest.mark.parametrize("name", AGREEING)
def test_both_push_the_same_way(name: str, tmp_path: Path) -> None:
    run = run_of_training(AGREEING[name], tmp_path)
    (pair,) = run.recorded(Opponents)
    assert (pair.judge_steps, pair.maker_steps) == (7, 6)
    (finding,) = verdict_of("L19", run).findings
    assert finding.evidence["steps"] == 6
    assert finding.location is not None
    assert "The generator's loss (Linear) pushes the discriminator's outputs (Sequential)" in finding.message


@pytest.mark.parametrize("name", OPPOSED)
def test_opponents(name: str, tmp_path: Path) -> None:
    run = run_of_training(OPPOSED[name], tmp_path)
    assert len(run.recorded(Opponents)) == 1
    assert verdict_of("L19", run).findings == ()


@pytest.mark.parametrize(
    ("end", "real", "outside"),
    [
        (nn.Tanh, REAL, 1.0),
        (nn.Tanh, REAL - 4, 0.05),  # standardized: beyond -2 and 2
        (nn.Tanh, (REAL - 4).tanh() + 0.4, 0.0),  # with noise on top
        (nn.Sigmoid, (REAL - 4).tanh(), 0.28),
        (nn.ReLU, REAL - 4, 0.28),
        (nn.ReLU, REAL + 4, 0.0),
    ],
)
def test_data_outside_of_what_the_maker_can_make(
    end: type[nn.Module], real: Tensor, outside: float, tmp_path: Path
) -> None:
    run = run_of_training(OPPOSED["label of the real ones"], tmp_path, end, real)
    (pair,) = run.recorded(Opponents)
    assert pair.made_by == end.__name__.lower() and pair.others > 0
    assert pair.others_outside / pair.others == pytest.approx(outside, abs=0.1)
    assert pair.others_range == [float(real.min()), float(real.max())]
    found = [f for f in verdict_of("C16", run).findings if "is judged" in f.message]
    assert len(found) == (pair.others_outside > 0.1 * pair.others)


class Beside(nn.Module):
    """Judges two numbers beside two others that they are for."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 1)

    def forward(self, condition: Tensor, given: Tensor) -> Tensor:
        out: Tensor = self.layer(torch.cat([condition, given], 1))
        return out


@pytest.mark.parametrize(("condition", "real", "outside"), [(REAL, REAL.tanh(), 0.0), (REAL.tanh(), REAL, 1.0)])
def test_what_the_examples_are_for_is_no_example(
    condition: Tensor, real: Tensor, outside: float, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    maker, judge = nn.Sequential(nn.Linear(3, 2), nn.Tanh()), Beside()
    with flightcheck.watch(runs_dir=tmp_path, report=False) as watched:
        of_maker, of_judge = (torch.optim.SGD(m.parameters(), lr=0.05) for m in (maker, judge))
        for _ in range(12):
            made = maker(torch.randn(32, 3))
            of_judge.zero_grad()
            cross_entropy(judge(condition, real), judge(condition, made.detach())).backward()
            of_judge.step()
            of_maker.zero_grad()
            labelled(judge(condition, made), 1.0).backward()
            of_maker.step()
    assert watched.run is not None
    (pair,) = watched.run.recorded(Opponents)
    assert pair.others and pair.others_outside / pair.others == pytest.approx(outside, abs=0.05)


def test_an_encoder_and_what_reads_it_are_no_opponents(tmp_path: Path) -> None:
    """Both follow one loss, by turns."""
    torch.manual_seed(0)
    encoder, head = nn.Linear(2, 3), nn.Linear(3, 1)
    with flightcheck.watch(runs_dir=tmp_path, report=False) as watched:
        of_each = [torch.optim.SGD(m.parameters(), lr=0.05) for m in (encoder, head)]
        for step in range(24):
            of_each[step % 2].zero_grad()
            labelled(head(encoder(REAL)), 1.0).backward()
            of_each[step % 2].step()
    assert watched.run is not None
    assert verdict_of("L19", watched.run).findings == ()


@pytest.mark.parametrize("held", [True, False])
def test_a_maker_in_the_optimizer_of_its_judge_is_moved_against_itself(held: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    maker, judge = nn.Linear(3, 2), nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
    with flightcheck.watch(runs_dir=tmp_path, report=False) as watched:
        of_maker = torch.optim.SGD(maker.parameters(), lr=0.05)
        of_judge = torch.optim.SGD([*judge.parameters(), *(maker.parameters() if held else ())], lr=0.05)
        for _ in range(12):
            of_judge.zero_grad()
            cross_entropy(judge(REAL), judge(maker(torch.randn(32, 3)))).backward()
            of_judge.step()
            of_maker.zero_grad()
            labelled(judge(maker(torch.randn(32, 3))), 1.0).backward()
            of_maker.step()
    assert watched.run is not None
    found = verdict_of("P09", watched.run).findings
    assert [f.severity for f in found] == [None] * held
    assert all("each undoes what the other did" in f.message for f in found)


class OfClass(nn.Module):
    """Two numbers for noise, or one for two numbers, of a class."""

    def __init__(self, given: int, made: int) -> None:
        super().__init__()
        self.classes, self.layer = nn.Embedding(4, 3), nn.Linear(given + 3, made)

    def forward(self, given: Tensor, label: Tensor) -> Tensor:
        made: Tensor = self.layer(torch.cat([given, self.classes(label)], 1))
        return made


@pytest.mark.parametrize("others", [True, False])
def test_labels_that_nothing_was_made_for_are_seen(others: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    maker, judge = OfClass(3, 2), OfClass(2, 1)
    with flightcheck.watch(runs_dir=tmp_path, report=False) as watched:
        of_maker, of_judge = (torch.optim.SGD(m.parameters(), lr=0.05) for m in (maker, judge))
        for _ in range(12):
            of_real, asked = torch.randint(4, (32,)), torch.randint(4, (32,))
            made = maker(torch.randn(32, 3), asked)
            of_judge.zero_grad()
            cross_entropy(judge(REAL, of_real), judge(made.detach(), asked)).backward()
            of_judge.step()
            of_maker.zero_grad()
            labelled(judge(made, of_real if others else asked), 1.0).backward()
            of_maker.step()
    assert watched.run is not None
    found = verdict_of("D07", watched.run).findings
    assert ["In the steps of OfClass" in f.message for f in found] == [True] * others
