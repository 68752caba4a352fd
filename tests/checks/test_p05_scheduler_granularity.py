"""P05 scheduler-granularity: a schedule in epochs called per batch, or the reverse."""

from __future__ import annotations

import linecache
import runpy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import flightcheck
from flightcheck.checks.base import Verdict
from flightcheck.recording.provenance.loop_counters import count_of_rate
from flightcheck.recording.provenance.unstepped import steps_elsewhere
from flightcheck.recording.records import LoaderInfo, Location, OptimizerInfo, Plan, SchedulerInfo
from flightcheck.recording.signals import LEARNING_RATE
from flightcheck.testing import run_of, verdict_of

LINE = Location("train.py", 31)
SGD = OptimizerInfo(0, "SGD", steps=300)
PLAN = Plan(epochs=30, steps_per_epoch=100)


def verdict(kind: str, every: float | None, plan: Plan = PLAN, calls: int = 300, **settings: object) -> Verdict:
    scheduler = SchedulerInfo(0, kind, 0, Location("train.py", 8), LINE, settings, calls, 0, 0, every)
    return verdict_of("P05", run_of(SGD, plan, scheduler, steps=300))


def test_cosine_in_epochs_called_per_batch_fails() -> None:
    result = verdict("CosineAnnealingLR", 1.0, T_max=30)
    (finding,) = result.findings
    assert finding.location == LINE
    assert finding.severity is None
    assert finding.evidence["planned_calls"] == 3000


def test_step_decay_called_per_batch_fails_even_with_unknown_epochs() -> None:
    assert verdict("StepLR", 1.0, step_size=5, gamma=0.1).status == "fail"
    assert verdict("StepLR", 1.0, Plan(steps_per_epoch=100), step_size=5, gamma=0.1).status == "fail"
    assert verdict("ExponentialLR", 1.0, gamma=0.9).status == "fail"


def test_one_cycle_over_batches_called_per_epoch_fails() -> None:
    assert verdict("OneCycleLR", 100.0, calls=3, total_steps=3000).status == "fail"
    assert verdict("CosineAnnealingLR", 100.0, calls=3, T_max=3000).status == "fail"


def test_right_granularity_passes() -> None:
    assert verdict("CosineAnnealingLR", 100.0, calls=3, T_max=30).status == "pass"
    assert verdict("CosineAnnealingLR", 1.0, T_max=3000).status == "pass"
    assert verdict("OneCycleLR", 1.0, total_steps=3000).status == "pass"
    assert verdict("StepLR", 100.0, calls=3, step_size=10, gamma=0.1).status == "pass"
    assert verdict("ExponentialLR", 1.0, gamma=0.999).status == "pass"


def test_designs_pass() -> None:
    assert verdict("CosineAnnealingLR", 1.0, T_max=100).status == "pass", "one cosine per epoch"
    assert verdict("CosineAnnealingWarmRestarts", 1.0, T_0=10).status == "pass"
    assert verdict("StepLR", 100.0, calls=3, step_size=50, gamma=0.1).status == "pass", "longer than this run"
    assert verdict("StepLR", 1.0, Plan(epochs=500, steps_per_epoch=1), step_size=5, gamma=0.1).status == "pass"


def test_plateau_per_batch_needs_a_fallen_rate() -> None:
    plateau = SchedulerInfo(0, "ReduceLROnPlateau", 0, None, LINE, {"patience": 5}, 300, 0, 0, 1.0)
    rates = [[0.1]] * 100 + [[0.01]] * 100 + [[0.001]] * 100
    run = run_of(SGD, replace(PLAN, steps_per_epoch=50), plateau, series={LEARNING_RATE: rates})
    assert verdict_of("P05", run).status == "fail"
    run = run_of(SGD, replace(PLAN, steps_per_epoch=50), plateau, series={LEARNING_RATE: [[0.1]] * 300})
    assert verdict_of("P05", run).status == "pass"


@pytest.mark.parametrize(("late", "told"), [("pass", True), ("schedule.step()", False)])
def test_never_called_in_several_epochs_warns_where_no_line_could(tmp_path: Path, late: str, told: bool) -> None:
    file = tmp_path / "train.py"
    file.write_text(f"schedule = StepLR(optimizer, 5)\nfor batch in data:\n    optimizer.step()\n{late}\n")
    optimizer = replace(SGD, step_location=Location(str(file), 3))
    scheduler = SchedulerInfo(0, "StepLR", 0, Location(str(file), 1), None, {"step_size": 5, "gamma": 0.1})
    plan, rates = replace(PLAN, steps_per_epoch=50), {LEARNING_RATE: [[0.1]] * 300}
    result = verdict_of("P05", run_of(optimizer, plan, scheduler, steps=300, series=rates))
    assert [f.severity for f in result.findings] == ["warn"] * told
    if not told:
        assert result.status == "inconclusive"


FORGOTTEN = """
import torch
from torch import nn
torch.manual_seed(0)

def made(model):
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    first = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.9)
    return [optimizer], [{held}]

model = nn.Linear(4, 1)
(optimizer,), schedulers = made(model)
for epoch in range({epochs}):
    for rows in torch.randperm(128).split(8):
        x = torch.randn(8, 4)
        optimizer.zero_grad()
        (model(x) - x.sum(1, keepdim=True)).square().mean().backward()
        optimizer.step()
    {late}
"""


@pytest.mark.parametrize(
    ("held", "late", "epochs", "told"),
    [
        ("first", "pass", 9, True),
        ("first", "[s.step() for s in schedulers]", 9, False),
        ("first", "[s.step() for s in schedulers if epoch > 40]", 9, False),
        ("torch.optim.lr_scheduler.SequentialLR(optimizer, [first, first], [99])", "pass", 9, False),
        ("first", "pass", 3, False),
    ],
    ids=["forgotten", "called", "to be called", "held by another", "a test of a few steps"],
)
def test_a_schedule_that_nothing_could_call(tmp_path: Path, held: str, late: str, epochs: int, told: bool) -> None:
    script = tmp_path / "train.py"
    script.write_text(FORGOTTEN.format(held=held, late=late, epochs=epochs))
    with flightcheck.watch(runs_dir=tmp_path / "runs", report=False) as watched:
        runpy.run_path(str(script))
    assert watched.run is not None
    found = verdict_of("P05", watched.run).findings
    assert [f.severity for f in found] == ["warn"] * told
    if found:
        assert "whole training of 144 optimizer steps" in found[0].message
        assert found[0].location is not None and found[0].location.code.startswith("first = ")


@pytest.mark.parametrize(
    ("beside", "kind"),
    [("def after(s):\n    s.step()\n", "ExponentialLR(optimizer, gamma=0.9)"), ("", "Own(optimizer)")],
)
def test_a_file_beside_it_or_a_method_of_its_own_could(tmp_path: Path, beside: str, kind: str) -> None:
    (tmp_path / "hooks.py").write_text(beside)
    text = FORGOTTEN.format(held="first", late="pass", epochs=9)
    own = "\nclass Own(torch.optim.lr_scheduler.LRScheduler):\n    def get_lr(self):\n        return self.base_lrs\n"
    made = "torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.9)"
    text = text.replace("\ndef made", own + "\ndef made")
    script = tmp_path / "train.py"
    script.write_text(text.replace(made, kind if kind.startswith("Own") else f"torch.optim.lr_scheduler.{kind}"))
    with flightcheck.watch(runs_dir=tmp_path / "runs", report=False) as watched:
        runpy.run_path(str(script))
    assert watched.run is not None
    assert [s.calls for s in watched.run.schedulers] == [0]
    assert verdict_of("P05", watched.run).findings == ()


@pytest.mark.parametrize(
    ("text", "lines", "expected"),
    [
        ("optimizer.step()\n", [1], False),
        ("scaler.step(\n    optimizer\n)\n", [2], False),
        ("optimizer.step()\nfor s in all:\n    s.step()\n", [1], True),
        ("trainer.fit(model)\n", [1], True),
        ("schedule = StepLR(optimizer, 5)\n", [], False),
        ("not Python (", [1], True),
    ],
    ids=["optimizer", "scaler", "schedules", "a framework", "made elsewhere", "unreadable"],
)
def test_what_could_call_a_schedule(tmp_path: Path, text: str, lines: list[int], expected: bool) -> None:
    file = tmp_path / "train.py"
    file.write_text(text)
    assert steps_elsewhere(str(file), lines) is expected
    assert steps_elsewhere(str(tmp_path / "gone.py"), lines)


def test_unknown_lengths_are_inconclusive() -> None:
    assert verdict("CosineAnnealingLR", 1.0, Plan(steps_per_epoch=100), T_max=30).status == "inconclusive"
    assert verdict("CosineAnnealingLR", 1.0, Plan(epochs=30), T_max=30).status == "inconclusive"


def test_a_training_of_a_number_of_steps() -> None:
    """The loop over epochs is left by a count of steps: those are all that there will be."""
    steps = Plan(rounds=3000, steps_per_epoch=100)
    assert verdict("CosineAnnealingLR", 1.0, steps, T_max=3000).status == "pass"
    assert verdict("CosineAnnealingLR", 1.0, steps, T_max=30).status == "fail"
    assert verdict("LambdaLR", 1.0).status == "inconclusive"


def test_resumed_and_broken_off_passes_are_inconclusive() -> None:
    scheduler = SchedulerInfo(0, "CosineAnnealingLR", 0, None, LINE, {"T_max": 30}, 300, 0, 0, 1.0)
    resumed = replace(SGD, state_loaded=True)
    assert verdict_of("P05", run_of(resumed, PLAN, scheduler)).status == "inconclusive"
    loader = LoaderInfo(0, length=100, iterators=300, batches=300, used_in_training=True)
    assert verdict_of("P05", run_of(SGD, PLAN, scheduler, loader)).status == "inconclusive"


RISE = [1e-3 * (i + 1) for i in range(20)]
WRITE = Location("train.py", 40, code='group["lr"] = rate')
BY_HAND = replace(SGD, groups=[{"lr": 1e-3, "parameters": 1}], given_lr=0.1, lr_write_location=WRITE)


def by_hand(rates: list[float], **changed: Any) -> Verdict:
    run = run_of(replace(BY_HAND, **changed), series={LEARNING_RATE: [[r] for r in rates]}, steps=len(rates))
    return verdict_of("P05", run)


def test_a_warm_up_by_hand_that_begins_anew_in_each_epoch_fails() -> None:
    count = Location("train.py", 30, code="set_rate(i)")
    (finding,) = by_hand(RISE * 5 + RISE[:7], lr_count_location=count, lr_count="i").findings
    assert (finding.location, finding.patch) == (count, "source:carried@i:train.py:30")
    assert (finding.evidence["period"], finding.evidence["rises"]) == (20, 5)
    (finding,) = by_hand(RISE * 5 + RISE[:7]).findings
    assert (finding.location, finding.patch) == (WRITE, "")


@pytest.mark.parametrize(
    "rates",
    [
        RISE * 2,  # once
        (RISE + RISE[::-1]) * 4,  # a cycle down again
        [r + 0.02 for r in RISE] * 4,  # not from zero
        [1e-3 * 1.2**i for i in range(20)] * 4,  # another curve
        [*RISE * 3, *[2 * r for r in RISE], *RISE],  # not the same again
        [1e-3, 2e-3, 3e-3] * 9,  # three rates in turn
        [1e-3 * (i + 1) for i in range(120)],  # as meant
        [1e-3] * 120,
    ],
)
def test_other_rates_by_hand_pass(rates: list[float]) -> None:
    assert by_hand(rates).status == "pass"


def test_a_warm_up_that_gets_near_the_rate_may_begin_anew() -> None:
    assert by_hand(RISE * 5, given_lr=0.03).status == "pass"
    assert by_hand(RISE * 5, groups=[{"lr": 1e-3}, {"lr": 1e-4}]).status == "pass", "each group has a rate of its own"
    assert by_hand(RISE * 5, lr_write_location=None).status == "skipped"


SCRIPT = """
import torch
def warm_up(optimizer, base, warm):
    def set_rate(step):
        for group in optimizer.param_groups:
            group["lr"] = base * min(1.0, (step + 1) / warm)
    return set_rate
torch.manual_seed(0)
x = torch.randn(256, 6)
model = torch.nn.Linear(6, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
set_rate = warm_up(optimizer, 0.2, 100)
step = 0
for epoch in range(6):
    for i, rows in enumerate(torch.randperm(256).split(16)):
        set_rate(COUNT)
        step += 1
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(model(x[rows]).squeeze(1), x[rows].sum(1)).backward()
        optimizer.step()
"""


def test_a_training_that_gives_the_number_of_the_batch_in_its_epoch(tmp_path: Path) -> None:
    def watched(count: str) -> Verdict:
        script = tmp_path / count.replace(" ", "") / "train.py"  # parsed files are kept
        script.parent.mkdir()
        script.write_text(SCRIPT.replace("COUNT", count))
        linecache.clearcache()
        with flightcheck.watch(runs_dir=tmp_path / "runs", report=False) as seen:
            exec(compile(script.read_text(), str(script), "exec"), {})
        assert seen.run is not None
        return verdict_of("P05", seen.run)

    (finding,) = watched("i").findings
    assert finding.location is not None and finding.location.code == "set_rate(i)"
    assert finding.patch == "source:carried@i:train.py:16"
    for right in ("step", "epoch * 16 + i"):
        assert watched(right).status == "pass"


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("for i in range(9):\n  lr = base * i\n  g['lr'] = lr", (2, "i")),
        ("for i, x in enumerate(loader):\n  lr = rate(i)\n  for g in groups:\n    g['lr'] = lr", (2, "i")),
        ("for e in range(3):\n  for i in range(9):\n    g['lr'] = base * (e * 9 + i)", None),
        ("for x in loader:\n  n += 1\n  g['lr'] = base * n", None),
        ("def put(n):\n  g['lr'] = n\nfor i in range(9):\n  put(i)\nfor j in range(9):\n  put(j)", None),
        ("class T:\n  def put(self, n):\n    g['lr'] = n\n  def fit(self):\n    for i in range(9):\n      self.put(i)",
         (6, "i")),
    ],
)  # fmt: skip
def test_the_statement_by_which_a_count_gets_into_a_rate(
    body: str, found: tuple[int, str] | None, tmp_path: Path
) -> None:
    script = tmp_path / "train.py"
    script.write_text(body)
    line = next(n for n, text in enumerate(body.splitlines(), 1) if "['lr'] =" in text)
    count = count_of_rate(str(script), line)
    assert (None if count is None else (count.line, count.counter)) == found


def test_without_a_scheduler_it_is_skipped() -> None:
    assert verdict_of("P05", run_of(SGD, PLAN)).status == "skipped"


def test_the_plan_of_one_training_of_a_script_says_nothing_of_another() -> None:
    scheduler = SchedulerInfo(0, "CosineAnnealingLR", 1, Location("train.py", 8), LINE, {"T_max": 120}, 120, 0, 0, 1.0)
    later = OptimizerInfo(1, "Adam", steps=120, created_at_step=300)
    judged = verdict_of("P05", run_of(SGD, later, PLAN, scheduler, steps=420))
    assert judged.status == "inconclusive"
    assert "several trainings" in judged.reason
    beside = verdict_of("P05", run_of(SGD, replace(later, created_at_step=0), PLAN, scheduler, steps=420))
    assert beside.status == "fail"
