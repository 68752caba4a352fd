"""Parameters that are thawed in the midst of a training, with and without an optimizer that holds them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.optim import SGD

import flightcheck
from flightcheck.adapters.torch.planning import Stopping
from flightcheck.recording.provenance.thaws import thaw_to_come
from flightcheck.recording.thawed import Thawed
from flightcheck.testing import verdict_of
from tests.lab.made import patched

THAW = 4
Loop = Callable[[], None]


class Training:
    """A body and a head; only the head is held, until something is done at the thaw."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
        self.body = list(self.model[0].parameters())
        self.optimizer = SGD(self.model.parameters(), lr=0.1)

    def steps(self, count: int) -> None:
        for _ in range(count):
            self.optimizer.zero_grad()
            self.model(torch.rand(8, 3)).square().mean().backward()
            self.optimizer.step()

    def freeze(self, frozen: bool = True) -> None:
        for p in self.body:
            p.requires_grad_(not frozen)

    def of_what_is_open(self) -> None:
        self.optimizer = SGD([p for p in self.model.parameters() if p.requires_grad], lr=0.1)


def left_out() -> None:
    t = Training()
    t.freeze()
    t.of_what_is_open()
    t.steps(THAW)
    t.freeze(False)
    t.steps(8)


def held_before() -> None:
    """An optimizer of an earlier phase held them."""
    t = Training()
    t.steps(3)
    t.freeze()
    t.of_what_is_open()
    t.steps(THAW)
    t.freeze(False)
    t.steps(8)


def held_all_the_time() -> None:
    t = Training()
    t.freeze()
    t.steps(THAW)
    t.freeze(False)
    t.steps(8)


def handed_over() -> None:
    t = Training()
    t.freeze()
    t.of_what_is_open()
    t.steps(THAW)
    t.freeze(False)
    t.optimizer.add_param_group({"params": t.body})
    t.steps(8)


def built_anew() -> None:
    t = Training()
    t.freeze()
    t.of_what_is_open()
    t.steps(THAW)
    t.freeze(False)
    t.of_what_is_open()
    t.steps(8)


def changed_by_hand() -> None:
    t = Training()
    t.freeze()
    t.of_what_is_open()
    t.steps(THAW)
    t.freeze(False)
    for _ in range(8):
        t.steps(1)
        with torch.no_grad():
            for p in t.body:
                p -= 0.1 * p.grad if p.grad is not None else 0


def taking_turns() -> None:
    """Two players that freeze each other, each with its optimizer."""
    t = Training()
    of_body = SGD(t.body, lr=0.1)
    t.freeze()
    t.of_what_is_open()
    of_head = t.optimizer
    for turn in range(12):
        t.freeze(turn % 2 == 0)
        t.optimizer = of_head if turn % 2 == 0 else of_body
        t.steps(1)


def frozen_for_good() -> None:
    t = Training()
    t.freeze()
    t.of_what_is_open()
    t.steps(12)


FORGOTTEN = (left_out, held_before)
RIGHT = (held_all_the_time, handed_over, built_anew, changed_by_hand, taking_turns, frozen_for_good)


def watched(loop: Loop, folder: Path) -> flightcheck.Run:
    with flightcheck.watch(runs_dir=folder, report=False) as seen:
        loop()
    assert seen.run is not None
    assert not seen.run.coverage.blind
    return seen.run


@pytest.mark.parametrize("loop", FORGOTTEN)
def test_what_is_thawed_and_held_by_nobody(loop: Loop, tmp_path: Path) -> None:
    (finding,) = verdict_of("P08", watched(loop, tmp_path)).findings
    assert finding.patch == "add-parameters:thawed"
    assert finding.onset_step == THAW + 3 * (loop is held_before)
    assert finding.location is not None
    assert finding.location.function == "of_what_is_open"
    assert finding.evidence["values"] == 16


@pytest.mark.parametrize("loop", RIGHT)
def test_what_is_held_after_its_thaw(loop: Loop, tmp_path: Path) -> None:
    run = watched(loop, tmp_path)
    assert [t for t in run.recorded(Thawed) if t.looks > 2] == []
    assert not [f for f in verdict_of("P08", run).findings if "thawed" in f.message]


@pytest.mark.parametrize("loop", FORGOTTEN)
def test_a_trial_hands_them_over(loop: Loop, tmp_path: Path) -> None:
    done = patched(tmp_path, "add-parameters:thawed", loop)
    assert done.applied["add-parameters:thawed"] == 1
    assert verdict_of("P08", done.run).findings == ()


def test_a_check_waits_for_a_thaw_and_not_for_ever() -> None:
    stopping = Stopping(10, 60.0, waits_for_thaws=True)
    assert not stopping.now(20, [], lambda: True)
    assert stopping.now(20, [], lambda: False)
    assert not stopping.now(5, [], lambda: False)
    assert Stopping(10, 60.0).now(20, [], lambda: True), "trials wait for nothing"
    assert Stopping(10, 0.0, waits_for_thaws=True).now(20, [], lambda: True), "the time is over"


SOURCE = """
def set_all(model, flag):
    for p in model.parameters():
        p.requires_grad = flag
def epoch(model):
    step(model)
set_all(model.body, False)
for e in range(9):
    if e == 3:
        set_all(model.body, flag=True)
    epoch(model)
for e in range(3):
    set_all(model.body, False)
    epoch(model)
class Tuner:
    def run(self):
        self.thaw()
        self.step()
        self.thaw()
    def thaw(self):
        self.body.requires_grad_()
"""


@pytest.mark.parametrize(("line", "told"), [(11, True), (6, False), (14, False), (18, True), (19, False)])
def test_a_thaw_to_come_is_read_in_the_source(line: int, told: bool, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(SOURCE)
    assert thaw_to_come(str(tmp_path / "train.py"), line) is told
    assert not thaw_to_come(str(tmp_path / "missing.py"), line)
