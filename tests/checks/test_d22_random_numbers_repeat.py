"""D22 random-numbers-repeat."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import flightcheck
from flightcheck.recording.records import Location
from flightcheck.recording.reseedings import Reseeding
from flightcheck.testing import run_of, verdict_of
from tests.checks._batches import batches

LINE = Location("train.py", 12, "get_batch", "torch.manual_seed(1337)")
AGAIN = Reseeding("torch", 1337, LINE, calls=199, steps=199, drawn=198)


def test_the_same_seed_in_every_step_is_told_at_its_line() -> None:
    (finding,) = verdict_of("D22", run_of(AGAIN, steps=200)).findings
    assert (finding.location, finding.severity) == (LINE, "warn")


def test_equal_batches_prove_it() -> None:
    (finding,) = verdict_of("D22", run_of(AGAIN, *batches(60, digest="same"), steps=200)).findings
    assert finding.severity is None
    assert "one and the same batch" in finding.message


@pytest.mark.parametrize(
    "changed",
    [{"steps": 40, "drawn": 39}, {"drawn": 0}],
    ids=["an evaluation now and then", "nothing is drawn"],
)
def test_harmless_seeds_pass(changed: dict[str, int]) -> None:
    assert verdict_of("D22", run_of(replace(AGAIN, **changed), steps=200)).status == "pass"


def test_few_steps_are_inconclusive() -> None:
    assert verdict_of("D22", run_of(AGAIN, steps=5)).status == "inconclusive"


@pytest.mark.parametrize("generator", ["torch", "numpy", "python", "counting up"])
def test_a_training_that_seeds_in_each_step(tmp_path: Path, generator: str) -> None:
    model = nn.Linear(4, 1)
    with flightcheck.watch(runs_dir=tmp_path, report=False) as seen:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for i in range(30):
            {"torch": torch.manual_seed, "numpy": np.random.seed, "python": random.seed}.get(
                generator, lambda _, i=i: torch.manual_seed(i)
            )(7)
            noise = torch.randn(8, 4) + float(np.random.rand()) + random.random()
            optimizer.zero_grad()
            model(noise).square().mean().backward()
            optimizer.step()
    told = verdict_of("D22", seen.run).findings
    assert [f.evidence["generator"] for f in told] == ([] if generator == "counting up" else [generator])


@pytest.mark.parametrize("kept", ["fork_rng", "states"])
def test_an_evaluation_that_gives_the_state_back(tmp_path: Path, kept: str) -> None:
    model = nn.Linear(4, 1)
    with flightcheck.watch(runs_dir=tmp_path, report=False) as seen:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for _ in range(30):
            optimizer.zero_grad()
            model(torch.randn(8, 4)).square().mean().backward()
            optimizer.step()
            if kept == "fork_rng":
                with torch.random.fork_rng(), torch.no_grad():
                    torch.manual_seed(7)
                    model(torch.randn(8, 4))
            else:
                state, other = random.getstate(), np.random.get_state()
                random.seed(7)
                np.random.seed(7)
                random.random(), np.random.rand()
                random.setstate(state)
                np.random.set_state(other)
    assert not verdict_of("D22", seen.run).findings
