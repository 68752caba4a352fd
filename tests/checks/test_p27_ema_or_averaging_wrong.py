"""P27 ema-or-averaging-wrong: averages that lag, stand still, or are no copies."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

import flightcheck
from flightcheck.lab.diffs import diff_of
from flightcheck.patch import Patch
from flightcheck.recording.averages import WeightAverage
from flightcheck.recording.episode_ends import ValueTarget
from flightcheck.recording.provenance.averages import (
    follows_nowhere,
    rebound_average,
    unused_copying,
    unused_update,
    update_call,
    updates,
)
from flightcheck.recording.records import Location, Plan
from flightcheck.recording.rewriting import statement_at
from flightcheck.testing import run_of, verdict_of
from tests.lab.made import patched

LINE = Location("train.py", 20)
GOOD = WeightAverage(
    0, LINE, rounds=100, updates=99, left=0.37, weights=[0.01] * 8, gap=1.0, first_update=1, last_update=99
)
SLOW = replace(GOOD, weights=[1e-4] * 8, left=0.99, used="evaluation")


def status(*records: Any, **info: Any) -> str:
    return verdict_of("P27", run_of(*records, steps=100, **info)).status


def test_an_average_that_keeps_its_first_values_fails() -> None:
    assert status(SLOW, Plan(rounds=1000)) == "fail"
    assert status(SLOW, ended="finished") == "fail"
    once = replace(GOOD, updates=4, gap=20.0, weights=[0.01] * 4, left=0.96)
    (finding,) = verdict_of("P27", run_of(once, Plan(rounds=1000), steps=100)).findings
    assert finding.severity == "warn" and "every 20 steps" in finding.message


def test_averages_that_follow_pass() -> None:
    assert status(GOOD, Plan(rounds=1000)) == "pass"
    assert status(SLOW, Plan(rounds=100_000)) == "pass"
    assert status(SLOW) == "pass", "how long the training will be is not known"
    assert status(replace(SLOW, used="training"), Plan(rounds=1000)) == "pass", "a teacher may lag"
    copied = replace(GOOD, updates=4, gap=20.0, weights=[1.0] * 4, left=1.0, used="evaluation")
    assert status(copied, ended="finished") == "pass", "a copy that is brought up to date before each evaluation"
    rising = replace(SLOW, weights=[0.5, 0.4, 0.3])
    assert status(rising, Plan(rounds=1000)) == "pass"


def test_no_copies_and_rounding_fail() -> None:
    assert status(replace(GOOD, shares_memory=True, rounds=0)) == "fail"
    assert status(replace(GOOD, dtype="bfloat16", stalled=0.9)) == "fail"
    assert status(replace(GOOD, dtype="bfloat16", stalled=0.1, weights=[])) == "pass"


def test_a_copy_that_stands_still_fails_only_where_an_update_is_meant() -> None:
    still = WeightAverage(0, LINE, rounds=100)
    assert status(still) == "pass"
    assert status(replace(still, idle_update=Location("train.py", 9))) == "fail"
    assert status(replace(still, idle_update=Location("train.py", 9)), replace(GOOD, index=1)) == "pass"


def test_too_early_or_nothing_to_see() -> None:
    assert status() == "skipped"
    assert status(replace(GOOD, rounds=5)) == "inconclusive"


Update = Callable[[nn.Module, Any], None]


def recorded(folder: Path, make: Callable[[nn.Module], Any], update: Update, every: int = 1) -> list[WeightAverage]:
    with flightcheck.watch(runs_dir=folder, report=False) as watched:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(6, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, 3))
        kept = make(model)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        for step in range(40):
            loss = nn.functional.cross_entropy(model(torch.randn(16, 6)), torch.randint(0, 3, (16,)))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if step % every == every - 1:
                with torch.no_grad():
                    update(model, kept)
    assert watched.run is not None and watched.run.coverage.blind == []
    return watched.run.recorded(WeightAverage)


def lerp(model: nn.Module, kept: nn.Module) -> None:
    for slow, fast in zip(kept.parameters(), model.parameters()):
        slow.lerp_(fast, 0.1)


def mul_add(model: nn.Module, kept: nn.Module) -> None:
    for slow, fast in zip(kept.parameters(), model.parameters()):
        slow.data.mul_(0.9).add_(fast.data, alpha=0.1)


def in_dictionary(model: nn.Module, kept: dict[str, torch.Tensor]) -> None:
    for name, fast in model.named_parameters():
        kept[name].copy_(0.9 * kept[name] + (1 - 0.9) * fast)


def clones(model: nn.Module) -> dict[str, torch.Tensor]:
    return {k: v.detach().clone() for k, v in model.named_parameters()}


@pytest.mark.parametrize(
    ("make", "update"),
    [
        (copy.deepcopy, lerp),
        (copy.deepcopy, mul_add),
        (clones, in_dictionary),
        (lambda m: AveragedModel(m, multi_avg_fn=get_ema_multi_avg_fn(0.9)), lambda m, kept: kept.update_parameters(m)),
    ],
)
@pytest.mark.parametrize("every", [1, 10])
def test_updates_are_known_by_their_numbers(tmp_path: Path, make: Any, update: Update, every: int) -> None:
    (found,) = recorded(tmp_path, make, update, every)
    assert found.updates + found.other_changes >= 39 // every - 1
    assert found.weights[-1] == pytest.approx(0.1, rel=1e-3)
    assert found.gap == every


def test_a_tiny_share_is_measured_in_spite_of_rounding(tmp_path: Path) -> None:
    def update(model: nn.Module, kept: nn.Module) -> None:
        for slow, fast in zip(kept.parameters(), model.parameters()):
            slow.lerp_(fast, 1e-4)

    (found,) = recorded(tmp_path, copy.deepcopy, update)
    assert found.updates >= 35 and found.weights[-1] == pytest.approx(1e-4, rel=0.05) and found.left > 0.99


def test_zeros_and_16_bits_are_known(tmp_path: Path) -> None:
    (found,) = recorded(tmp_path, lambda m: {k: torch.zeros_like(v) for k, v in m.named_parameters()}, in_dictionary)
    assert found.zeros and found.updates > 30

    def update(model: nn.Module, kept: dict[str, torch.Tensor]) -> None:
        for name, fast in model.named_parameters():
            kept[name].lerp_(fast.bfloat16(), 0.001)

    (found,) = recorded(tmp_path, lambda m: {k: v.detach().bfloat16() for k, v in m.named_parameters()}, update)
    assert found.stalled is not None and found.stalled > 0.9


def test_an_average_in_the_memory_of_the_weights_is_seen(tmp_path: Path) -> None:
    def update(model: nn.Module, kept: dict[str, torch.Tensor]) -> None:
        for name, fast in model.named_parameters():
            kept[name].mul_(0.9).add_(fast, alpha=1 - 0.9)

    found = recorded(tmp_path, lambda m: {k: v.detach() for k, v in m.named_parameters()}, update)
    assert [f.shares_memory for f in found] == [True]

    def decay(model: nn.Module, kept: object) -> None:
        for p in model.parameters():
            p.data.add_(p.data, alpha=-0.01)

    assert recorded(tmp_path, lambda m: None, decay) == []


def test_lines_that_change_nothing(tmp_path: Path) -> None:
    file = tmp_path / "train.py"
    file.write_text(
        "for slow, fast in zip(a, b):\n    slow = 0.9 * slow + (1 - 0.9) * fast\n"
        "class Average:\n    def update(self):\n        self.slow.lerp_(self.fast, 0.1)\n"
    )
    assert rebound_average(str(file)) == (str(file), 2)
    assert unused_update(str(file)) == (str(file), 4)
    assert updates(str(file)) == [(str(file), 5)]
    file.write_text(
        "for slow, fast in zip(a, b):\n    new = 0.9 * slow + (1 - 0.9) * fast\n    slow.copy_(new)\n"
        "for slow, fast in zip(a, b):\n    slow = 0.9 * slow + (1 - 0.9) * fast\n    kept.append(slow)\n"
        "class Average:\n    def update(self):\n        self.slow.lerp_(self.fast, 0.1)\naverage.update()\n"
    )
    assert rebound_average(str(file)) is None
    assert unused_update(str(file)) is None


METHOD = """
class Agent:
    def __init__(self):
        self.online = Net()
        self.target_net = Net()
        self.target_net.load_state_dict(self.online.state_dict())

    def refresh(self):
        self.target_net.load_state_dict(self.online.state_dict())
"""
FUNCTION = """
def follow(lagged, critic):
    for p, q in zip(lagged.parameters(), critic.parameters()):
        p.data.copy_(q.data)

critic = Critic()
critic_lagged = copy.deepcopy(critic)
"""
LOADED, COPIED = "self.target_net.load_state_dict(self.online.state_dict())", "critic_lagged = copy.deepcopy(critic)"


@pytest.mark.parametrize(
    ("source", "made", "line"),
    [
        (METHOD, LOADED, 8),
        (FUNCTION, COPIED, 2),
        (METHOD.replace("class Agent:", "class Agent(nn.Module):"), LOADED, 8),
        (METHOD.replace("class Agent:", "class Agent(Callback):"), LOADED, None),
        (METHOD + "agent.refresh()", LOADED, None),
        (METHOD + "getattr(agent, 'refresh')()", LOADED, None),
        (FUNCTION + "hooks = [follow]", COPIED, None),
        (FUNCTION, "reference = copy.deepcopy(critic)", None),
        (FUNCTION.replace("lagged", "critic_best").replace("critic_best, critic", "critic, best"), COPIED, None),
    ],
)
def test_copying_that_nothing_calls(tmp_path: Path, source: str, made: str, line: int | None) -> None:
    file = tmp_path / "agents.py"
    file.write_text(source)
    assert unused_copying(str(file), made) == (None if line is None else (str(file), line))


def test_another_file_may_call_it(tmp_path: Path) -> None:
    file, other = tmp_path / "agents.py", tmp_path / "train.py"
    file.write_text(METHOD)
    other.write_text("agent.refresh()")
    assert unused_copying(str(file), LOADED) is not None
    assert unused_copying(str(file), LOADED, [str(other)]) is None, "it is of this training"
    other.write_text("from agents import Agent\nAgent().refresh()")
    assert unused_copying(str(file), LOADED) is None


def test_a_target_network_is_told_how_to_follow() -> None:
    still = WeightAverage(0, LINE, rounds=100, used="training", idle_update=Location("train.py", 9))
    (finding,) = verdict_of("P27", run_of(still, steps=100)).findings
    assert finding.fix.startswith("Call it") and finding.location == Location("train.py", 9)
    assert finding.patch == "follow:25"


def test_a_trial_brings_the_copy_up_to_date(tmp_path: Path) -> None:
    fast, slow = nn.Linear(6, 3), nn.Linear(6, 3)
    optimizer = torch.optim.SGD(fast.parameters(), lr=0.1)

    def loop(own: bool = False) -> None:
        for _ in range(10):
            x = torch.randn(8, 6)
            with torch.no_grad():
                goal = slow(x)
            optimizer.zero_grad()
            nn.functional.mse_loss(fast(x), goal).backward()
            optimizer.step()
            if own:
                with torch.no_grad():
                    slow.weight.mul_(0.9)

    assert patched(tmp_path, "follow:5", loop).applied == {"follow:5": 2}
    assert torch.equal(fast.weight, slow.weight)
    assert patched(tmp_path, "follow:4", lambda: loop(True)).applied == {"follow:4": 1}  # then it moves by itself


@pytest.mark.parametrize(
    ("mix", "line"),
    [
        ("    slow = torch.lerp(slow, fast, 0.01)\n", 2),
        ("    slow = slow.mul(d).add(fast, alpha=1 - d)\n", 2),
        ("    with torch.no_grad():\n        slow = d * slow + (1 - d) * fast\n", 3),
        ("    slow = slow.mul_(d).add(fast, alpha=1 - d)\n", None),
        ("    slow = torch.lerp(slow, fast, 0.01)\n    state[name] = slow\n", None),
    ],
)
def test_a_name_that_gets_the_mix(tmp_path: Path, mix: str, line: int | None) -> None:
    file = tmp_path / "train.py"
    file.write_text("for slow, fast in zip(a, b):\n" + mix)
    assert rebound_average(str(file)) == (None if line is None else (str(file), line))


def test_what_a_trial_changes() -> None:
    still = WeightAverage(0, LINE, rounds=100, used="evaluation", idle_update=Location("train.py", 9))
    patches = {
        "source:in-place:train.py:9": replace(still, rebound=True),
        "load:trained": still,
        "follow:25": replace(still, used="training"),
    }
    for patch, average in patches.items():
        (finding,) = verdict_of("P27", run_of(average, steps=100)).findings
        assert finding.patch == patch
    (finding,) = verdict_of("P27", run_of(SLOW, Plan(rounds=1000), steps=100)).findings
    assert finding.patch == "load:trained"
    assert diff_of([Patch.parse(finding.patch)], finding, run_of()).startswith("+ average.load_state_dict(")


def test_a_value_is_written_where_it_belongs() -> None:
    source = "for slow, fast in pairs:\n    slow = d * slow + (1 - d) * fast\n"
    assert statement_at(source, "in-place", 2) == "slow.data.copy_(d * slow + (1 - d) * fast)"
    assert statement_at("a, b = b, a\n", "in-place", 1) == statement_at("a.x = b\n", "in-place", 1) == ""


def test_a_target_network_that_no_line_brings_up_to_date_fails_where_it_was_made() -> None:
    still = WeightAverage(0, LINE, rounds=300, used="training", follows_nowhere=True)
    (finding,) = verdict_of("P27", run_of(still, ValueTarget(0, 8), steps=300)).findings
    assert (finding.location, finding.patch) == (LINE, "follow:25")
    assert status(still) == "pass", "no values of an agent are aimed at"
    assert status(replace(still, rounds=60), ValueTarget(0, 8)) == "pass", "it may be brought up to date later"
    assert status(replace(still, follows_nowhere=False), ValueTarget(0, 8)) == "pass"
    behind = replace(still, unreached=Location("train.py", 99, code="if step % SYNC == 0:"))
    (finding,) = verdict_of("P27", run_of(behind, ValueTarget(0, 8), steps=300)).findings
    assert finding.location == behind.unreached and "after the end of its loop" in finding.message


AGENT = """
class Agent:
    def __init__(self):
        self.target.load_state_dict(self.policy.state_dict())
    def learn(self):
        best = self.target(states).max(1).values
        {more}
"""


@pytest.mark.parametrize(
    ("more", "nowhere"),
    [
        ("pass", True),
        ("torch.save(self.policy.state_dict(), path); self.policy.load_state_dict(best)", True),
        ("self.target.load_state_dict(self.policy.state_dict())", False),
        ("for p, q in zip(self.target.parameters(), self.policy.parameters()): p.data.copy_(q)", False),
        ("self.target = copy.deepcopy(self.policy)", False),
        ("update_target(self, 100)", False),
        ("polyak(self.policy, tau)", False),
        ("copy_weights(self.policy, self.target)", False),
        ("for p, q in zip(*pairs): p.data = q.data", False),
    ],
)
def test_what_may_bring_it_up_to_date(tmp_path: Path, more: str, nowhere: bool) -> None:
    file = tmp_path / "agent.py"
    file.write_text(AGENT.format(more=more))
    assert follows_nowhere(str(file), "self.target.load_state_dict(self.policy.state_dict())") is nowhere


LEARNER = """
import copy, torch
from torch import nn
net = nn.Linear(6, 6)
target = copy.deepcopy(net)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for step in range(6):
    x = torch.randn(8, 6)
    with torch.no_grad():
        value = target(x)
    optimizer.zero_grad()
    ((net(x) - 1.0 - 0.9 * value) ** 2).mean().backward()
    optimizer.step()
"""


@pytest.mark.parametrize("more", ["", "    if step == 3000:\n        target.load_state_dict(net.state_dict())\n"])
def test_a_target_that_stands_still_is_recorded(tmp_path: Path, more: str) -> None:
    file = tmp_path / "learner.py"
    file.write_text(LEARNER + more)
    with flightcheck.watch(runs_dir=tmp_path / "runs", report=False) as seen:
        exec(compile(file.read_text(), str(file), "exec"), {"__name__": "learner"})
    (average,) = seen.run.recorded(WeightAverage)
    assert (average.used, average.updates, average.follows_nowhere) == ("training", 0, not more)


@pytest.mark.parametrize(
    ("calls", "line"),
    [
        ("ema.update(net)", 6), ("for _ in range(3):\n    ema.update(net)", 7), ("ema.update()", None),
        ("ema.update(net)\nema.update(net)", None), ("totals.update(a=1, b=2)\nema.update(net)", 7),
    ],
)  # fmt: skip
def test_the_call_of_what_updates_an_average(calls: str, line: int | None, tmp_path: Path) -> None:
    method = "class Average:\n    def update(self, net):\n        for s, f in zip(self.slow, net):\n"
    method += "            s.mul_(self.decay).add_(f, alpha=1 - self.decay)\n\n"
    file = tmp_path / "train.py"
    file.write_text(method + calls + "\n")
    assert update_call(str(file), 4) == ((str(file), line) if line is not None else None)
