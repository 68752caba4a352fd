"""P12: gradients that are left, losses that are added up, updates by hand; on recorded runs and small trainings."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import flightcheck
from flightcheck.checks.base import Finding
from flightcheck.recording.kept_gradients import KeptGradients
from flightcheck.recording.provenance import beside_output
from flightcheck.recording.provenance.unstepped import never_stepped, steps_later
from flightcheck.recording.records import Call, Location, OptimizerInfo, Plan
from flightcheck.recording.surroundings import UncalledMethod
from flightcheck.testing import run_of, verdict_of

BACKWARD, STEP, ZERO, OTHER = (Location("train.py", n) for n in (30, 31, 29, 28))
SGD = OptimizerInfo(0, "SGD", parameters=[0], step_location=STEP, steps=40)
USED = {"gradients": 4, "parameters": 4, "backwards": 1, "closure": False, "last": "backward"}


def rounds(fresh: Callable[[int], bool], *, zero: list[tuple[Location, dict[str, Any]]], times: int = 40) -> list[Call]:
    made: list[Call] = []
    for i in range(times):
        for line, data in zero:
            made.append(Call(len(made), i, "zero_grad", data.get("optimizer", -1), line, data))
        made.append(Call(len(made), i, "backward", -1, BACKWARD, {"optimizers": [0]}))
        made.append(Call(len(made), i, "step", 0, STEP, {**USED, "fresh": fresh(i)}))
    return made


def test_cleared_in_every_fourth_round_fails_at_the_line_that_clears() -> None:
    cleared = [(ZERO, {"optimizer": 0, "optimizers": [0], "whole": [0]})]
    calls = rounds(lambda i: i % 4 == 0, zero=[])
    calls += rounds(lambda i: False, zero=cleared, times=1)[:1]
    (finding,) = verdict_of("P12", run_of(SGD, *calls, steps=40, backwards=40)).findings
    assert finding.location == ZERO
    assert "every 4th round" in finding.message
    assert verdict_of("P12", run_of(SGD, *rounds(lambda i: True, zero=cleared), steps=40)).status == "pass"


def test_a_module_that_clears_only_its_own_fails_at_that_line() -> None:
    part = [(ZERO, {"optimizer": -1, "optimizers": [0], "whole": []})]
    (finding,) = verdict_of("P12", run_of(SGD, *rounds(lambda i: i == 0, zero=part), steps=40)).findings
    assert finding.location == ZERO
    assert "only in part" in finding.message


def test_an_optimizer_that_is_forgotten_beside_another_fails_where_that_one_is_cleared() -> None:
    other = [(ZERO, {"optimizer": 1, "optimizers": [1], "whole": [1]})]
    calls = rounds(lambda i: i == 0, zero=other)
    both = [replace(c, data={"optimizers": [0, 1]}) if c.kind == "backward" else c for c in calls]
    (finding,) = verdict_of("P12", run_of(SGD, *both, steps=40)).findings
    assert finding.location == ZERO
    (finding,) = verdict_of("P12", run_of(SGD, *calls, steps=40)).findings
    assert finding.location == BACKWARD, "no backward reaches both: it is another player's"


def test_another_optimizer_that_is_cleared_twice_fails_at_the_second_line() -> None:
    twice = [(line, {"optimizer": 1, "optimizers": [1], "whole": [1]}) for line in (OTHER, ZERO)]
    (finding,) = verdict_of("P12", run_of(SGD, *rounds(lambda i: i == 0, zero=twice), steps=40)).findings
    assert finding.location == ZERO


def test_steps_without_any_backward_fail() -> None:
    steps = [Call(i, i, "step", 0, STEP, {**USED, "fresh": True, "gradients": 0, "backwards": 0}) for i in range(20)]
    (finding,) = verdict_of("P12", run_of(SGD, *steps, steps=20)).findings
    assert finding.location == STEP
    named = UncalledMethod("backward", BACKWARD)
    (finding,) = verdict_of("P12", run_of(SGD, named, *steps, steps=20)).findings
    assert finding.location == BACKWARD
    by_hand = [replace(c, data={**c.data, "gradients": 4}) for c in steps]
    assert verdict_of("P12", run_of(SGD, *by_hand, steps=20)).status == "pass"


def test_updates_by_hand() -> None:
    plan = Plan(backward_location=BACKWARD)
    (finding,) = verdict_of("P12", run_of(plan, KeptGradients(carried=20), steps=20)).findings
    assert (finding.location, finding.patch) == (BACKWARD, "zero-grad:by-hand")
    assert verdict_of("P12", run_of(plan, KeptGradients(carried=1, cleared=19), steps=20)).status == "skipped"


def linear() -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return nn.Linear(4, 1), torch.randn(48, 4), torch.randn(48, 1)


def added_up() -> None:
    model, x, y = linear()
    opt = torch.optim.SGD(model.parameters(), 0.01)
    for _ in range(3):
        total: Any = 0
        for rows in torch.arange(48).split(4):
            opt.zero_grad()
            total += (model(x[rows]) - y[rows]).square().mean()
            total.backward(retain_graph=True)
            opt.step()


def two_losses(epochs: int = 20) -> None:
    """Right: two losses of one graph."""
    model, x, y = linear()
    opt = torch.optim.SGD(model.parameters(), 0.01)
    for _ in range(epochs):
        opt.zero_grad()
        out = model(x)
        out.square().mean().backward(retain_graph=True)
        (out - y).square().mean().backward()
        opt.step()


def half_cleared() -> None:
    torch.manual_seed(0)
    one, two = nn.Linear(4, 8), nn.Linear(8, 1)
    opt = torch.optim.SGD(itertools.chain(one.parameters(), two.parameters()), 0.01)
    for _ in range(20):
        one.zero_grad()
        two(one(torch.randn(8, 4))).square().mean().backward()
        opt.step()


def both_cleared() -> None:
    """Right: all that the optimizer holds, in two calls."""
    torch.manual_seed(0)
    one, two = nn.Linear(4, 8), nn.Linear(8, 1)
    opt = torch.optim.SGD(itertools.chain(one.parameters(), two.parameters()), 0.01)
    for _ in range(20):
        one.zero_grad()
        two.zero_grad()
        two(one(torch.randn(8, 4))).square().mean().backward()
        opt.step()


def heavy_ball() -> None:
    """Right: what is left of a gradient is the momentum of the next step."""
    model, x, y = linear()
    for _ in range(20):
        (model(x) - y).square().mean().backward()
        for p in model.parameters():
            assert p.grad is not None
            p.data -= 0.01 * p.grad
            p.grad *= 0.9


def by_hand(clear: bool) -> Callable[[], None]:
    def train() -> None:
        model, x, y = linear()
        for _ in range(20):
            (model(x) - y).square().mean().backward()
            for p in model.parameters():
                assert p.grad is not None
                p.data -= 0.01 * p.grad
                if clear:
                    p.grad = None

    return train


def outside(inside: bool) -> Callable[[], None]:
    def train() -> None:
        model, x, y = linear()
        opt = torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=5)
        for _ in range(6):
            loss = (model(x) - y).square().mean()

            def closure() -> torch.Tensor:
                opt.zero_grad()
                here = (model(x) - y).square().mean() if inside else loss  # noqa: B023
                here.backward(retain_graph=True)
                return here

            opt.step(closure)  # type: ignore[arg-type]

    return train


def cleared_between() -> None:
    torch.manual_seed(0)
    trunk, one, two = nn.Linear(4, 8), nn.Linear(8, 1), nn.Linear(8, 1)
    opt = torch.optim.Adam([*trunk.parameters(), *one.parameters(), *two.parameters()], 0.01)
    for _ in range(20):
        h = trunk(torch.randn(8, 4)).tanh()
        opt.zero_grad()
        one(h).square().mean().backward(retain_graph=True)
        opt.zero_grad()
        two(h).square().mean().backward()
        opt.step()


def other_steps() -> None:
    torch.manual_seed(0)
    one, two = nn.Linear(4, 8), nn.Linear(8, 1)
    first = torch.optim.SGD(one.parameters(), 0.01)
    second = torch.optim.SGD(two.parameters(), 0.01)
    for _ in range(60):
        first.zero_grad()
        second.zero_grad()
        two(one(torch.randn(8, 4))).square().mean().backward()
        first.step()
        first.step()


def findings(folder: Path, train: Callable[[], None]) -> tuple[Finding, ...]:
    with flightcheck.watch(runs_dir=folder, report=False) as watched:
        train()
    assert watched.run is not None and watched.run.coverage.blind == []
    return verdict_of("P12", watched.run).findings


@pytest.mark.parametrize(
    ("train", "code", "word"),
    [
        (added_up, "total.backward(retain_graph=True)", "earlier rounds"),
        (cleared_between, "opt.zero_grad()", "between that backward"),
        (other_steps, "first.step()", "never stepped"),
        (half_cleared, "one.zero_grad()", "only in part"),
        (by_hand(False), "(model(x) - y).square().mean().backward()", "by hand"),
        (outside(False), "here.backward(retain_graph=True)", "outside of it"),
    ],
)
def test_each_mistake_is_named_with_its_line(tmp_path: Path, train: Any, code: str, word: str) -> None:
    (finding,) = findings(tmp_path, train)
    assert word in finding.message
    assert finding.location is not None and finding.location.code == code


@pytest.mark.parametrize("train", [two_losses, both_cleared, by_hand(True), heavy_ball, outside(True)])
def test_what_is_right_passes(tmp_path: Path, train: Any) -> None:
    assert findings(tmp_path, train) == ()


@pytest.mark.parametrize(
    ("rest", "expected"),
    [("", True), ("two.zero_grad()", True), ("two.step", True), ("two.step()", False), ("run(two)", False)],
)
def test_an_optimizer_that_is_built_and_never_stepped(tmp_path: Path, rest: str, expected: bool) -> None:
    file = tmp_path / "train.py"
    file.write_text(f"one = SGD(a)\ntwo = SGD(b)\none.step()\n{rest}\n")
    assert never_stepped(str(file), 2) is expected
    assert not never_stepped(str(file), 1)


def test_a_step_under_the_condition_of_what_is_printed(tmp_path: Path) -> None:
    file = tmp_path / "train.py"
    loop = "for i in range(9):\n    loss.backward()\n    if i % 3 == 2:\n        opt.step()\n        {}\n"
    file.write_text(loop.format("print(loss)"))
    assert beside_output(str(file), 4)
    file.write_text(loop.format("opt.zero_grad(); print(loss)"))
    assert not beside_output(str(file), 4)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("epoch >= WARM", True), ("WARM < epoch and ready", True), ("step > 100", True), ("ready", False),
        ("epoch < WARM", False), ("epoch % 40 == 39", False),
    ],
)  # fmt: skip
def test_an_optimizer_that_waits_for_a_later_round(tmp_path: Path, condition: str, expected: bool) -> None:
    file = tmp_path / "train.py"
    loop = f"for epoch in range(9):\n    step += 1\n    one.step()\n    if {condition}:\n        two.step()\n"
    file.write_text(f"one = SGD(a)\ntwo = SGD(b)\n{loop}")
    assert steps_later(str(file), 2) is expected
    assert not steps_later(str(file), 1)
