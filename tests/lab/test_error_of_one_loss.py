"""Of several losses in a training, the one that a finding is about tells whether its fix helps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from flightcheck.checks.base import Finding
from flightcheck.lab.agenda import investigate
from flightcheck.lab.candidates import Candidate
from flightcheck.lab.experiments import Lab
from flightcheck.lab.trials import Trained, Trial
from flightcheck.recording.loss_records import LossSite
from flightcheck.recording.records import Location
from flightcheck.recording.signals import ERROR
from flightcheck.testing import run_of
from tests.lab.made import patched
from tests.verdicts import info_of

HERE, THERE = Location("train.py", 30), Location("train.py", 31)
SITES = [LossSite(i, "mse_loss", at, train_calls=50) for i, at in enumerate((HERE, THERE))]


class Asked:
    """Remembers the trials and runs none."""

    def __init__(self) -> None:
        self.trials: list[Trial] = []

    def run(self, trials: Sequence[Trial], seconds_left: float) -> list[Trained]:
        self.trials += trials
        return [Trained(t, None, "not run") for t in trials]

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("sites", "at", "rule"),
    [
        (SITES, HERE, "score:at=train.py:30"),
        (SITES[:1], HERE, ""),
        (SITES, replace(HERE, line=12), ""),
        ([SITES[0], replace(SITES[1], train_calls=0)], HERE, ""),
    ],
)
def test_both_trainings_are_scored_by_the_loss_at_the_finding(sites: list[LossSite], at: Location, rule: str) -> None:
    asked = Asked()
    candidate = Candidate(info_of("L07"), Finding("broadcast", location=at, patch="align-shapes"))
    list(investigate(Lab(asked, 60), run_of(*sites, steps=50), [candidate]))
    control, changed = asked.trials[:2]
    assert [str(p) for p in control.patches] == ([rule] if rule else [])
    assert [str(p) for p in changed.patches] == ["align-shapes", *([rule] if rule else [])]


def two_losses() -> None:
    torch.manual_seed(0)
    body, one, two = nn.Linear(4, 8), nn.Linear(8, 1), nn.Linear(8, 3)
    optimizer = torch.optim.SGD([*body.parameters(), *one.parameters(), *two.parameters()], lr=0.05)
    x = torch.randn(32, 4)
    for _ in range(4):
        h = body(x).relu()
        numbers = nn.functional.mse_loss(one(h).squeeze(1), x.sum(1))
        classes = nn.functional.cross_entropy(two(h), (x[:, 0] > 0).long())
        optimizer.zero_grad()
        (numbers + classes).backward()
        optimizer.step()


def line_of(text: str) -> int:
    return next(i for i, line in enumerate(Path(__file__).read_text().splitlines(), 1) if f"        {text} =" in line)


def test_the_error_is_that_of_the_line(tmp_path: Path) -> None:
    rules = {name: f"score:at={Path(__file__).name}:{line_of(name)}" for name in ("numbers", "classes")}
    ones = {name: patched(tmp_path, rule, two_losses).run.series(ERROR).values for name, rule in rules.items()}
    usual = patched(tmp_path, "", two_losses).run.series(ERROR).values
    assert usual == pytest.approx(ones["classes"]), "without a rule, errors of classes count"
    assert abs(ones["numbers"] - usual).max() > 0.01
