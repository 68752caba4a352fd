"""T03 resume-mismatch: what a resumed training lost, and all that only looks like one."""

from __future__ import annotations

import runpy
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

import flightcheck
from flightcheck.recording.records import Location, OptimizerInfo
from flightcheck.recording.run import Run
from flightcheck.recording.states import Resumption
from flightcheck.testing import run_of, verdict_of

LINE, LOOP = Location("train.py", 33), Location("train.py", 40)
ADAM = OptimizerInfo(0, "Adam", LINE, steps=40)
WHOLE = Resumption(
    0, 0, Location("train.py", 28), counter="epoch", count=12, loop_location=LOOP, optimizer_saved=True,
    optimizer_given=True, rate=0.01, saved_rate=0.004, initial_rate=0.01, schedulers=1, schedulers_saved=1,
    scheduler="CosineAnnealingLR", scheduler_location=LINE, scheduler_epoch=12, saved_epoch=12,
    saved_schedule_rate=0.004, same_schedule=True,
)  # fmt: skip
FRESH = replace(WHOLE, scheduler_epoch=0)
EMPTY = replace(WHOLE, optimizer_given=False, optimizer_fresh=True)


def found(resumption: Resumption, optimizer: OptimizerInfo = ADAM) -> list[str | None]:
    return [f.severity for f in verdict_of("T03", run_of(resumption, optimizer, steps=50)).findings]


def test_a_schedule_that_begins_anew_fails() -> None:
    (finding,) = verdict_of("T03", run_of(FRESH, ADAM, steps=50)).findings
    assert (finding.location, finding.severity) == (LINE, None)
    assert "0.01 instead of 0.004" in finding.message
    assert found(replace(FRESH, loop_location=None)) == ["warn"]
    assert found(replace(FRESH, saved_epoch=None, schedulers_saved=0)) == ["warn"], "it was not saved"


def test_a_whole_state_passes() -> None:
    assert verdict_of("T03", run_of(WHOLE, ADAM, steps=50)).status == "pass"
    assert found(replace(FRESH, same_schedule=False)) == []
    assert found(replace(FRESH, scheduler="LambdaLR", rate=0.004)) == [], "the function has an offset"
    assert found(replace(FRESH, saved_epoch=None, schedulers_saved=0, rate=0.004)) == []


def test_an_empty_optimizer_is_told_where_p25_does_not() -> None:
    assert found(EMPTY) == ["warn"]
    assert found(replace(EMPTY, optimizer_saved=False)) == ["warn"]
    assert found(replace(EMPTY, optimizer_saved=None)) == [], "the file is about other optimizers"
    assert found(EMPTY, replace(ADAM, state_read_location=LINE)) == []
    assert found(EMPTY, replace(ADAM, type="SGD", groups=[{"momentum": 0}])) == []


def test_a_new_loss_scale_is_info() -> None:
    assert found(replace(WHOLE, saved_scale=1024.0, scale=65536.0, scaler_fresh=True)) == ["info"]
    assert found(replace(WHOLE, saved_scale=1024.0, scale=1024.0, scaler_fresh=True)) == []


def test_inconclusive_and_skipped() -> None:
    assert verdict_of("T03", run_of(WHOLE, ADAM, steps=0)).status == "inconclusive"
    fine_tuned = replace(EMPTY, loop_location=None, scheduler_epoch=0)
    assert verdict_of("T03", run_of(fine_tuned, ADAM, steps=50)).status == "skipped"
    assert verdict_of("T03", run_of(ADAM, steps=50)).status == "skipped"


PARTS = """
import copy, torch
from torch import nn
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
x, y = torch.randn(64, 4), torch.randn(64, 1)

def optimizer_of(model, rate=1e-2):
    return torch.optim.Adam(model.parameters(), lr=rate)

def schedule_of(optimizer, epochs=20):
    return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)

def train(model, optimizer, scheduler, epochs, scaler=None):
    for epoch in epochs:
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        (scaler.scale(loss) if scaler else loss).backward()
        scaler.step(optimizer) if scaler else optimizer.step()
        scaler.update() if scaler else None
        scheduler.step()

optimizer = optimizer_of(model)
scheduler = schedule_of(optimizer)
train(model, optimizer, scheduler, range(8))
path = FOLDER + "/c.pt"
state = {"model": model.state_dict(), "epoch": 8, "optimizer": optimizer.state_dict()}
torch.save({**state, "scheduler": scheduler.state_dict()}, path)
"""
NEW = """
checkpoint = torch.load(path)
model = copy.deepcopy(model)
model.load_state_dict(checkpoint["model"])
optimizer = optimizer_of(model)
scheduler = schedule_of(optimizer)
"""
GIVEN = NEW + 'optimizer.load_state_dict(checkpoint["optimizer"])\n'
GOES_ON = """
start = checkpoint["epoch"]
for epoch in range(start, 20):
    train(model, optimizer, scheduler, [epoch])
"""
FAULTY = {
    "schedule not loaded": (GIVEN + GOES_ON, ["error"]),
    "schedule not loaded, and no counter": (GIVEN + "train(model, optimizer, scheduler, range(9))\n", ["warn"]),
    "moments not loaded, the rate had fallen": (
        NEW + 'scheduler.load_state_dict(checkpoint["scheduler"])\n' + GOES_ON, ["warn"],
    ),
    "moments not saved": ("torch.save({'model': model.state_dict(), 'epoch': 8}, path)\n" + NEW + GOES_ON, ["warn"]),
    "schedule not saved": (
        "torch.save(state, path)\n" + GIVEN.replace("scheduler = schedule_of(optimizer)\n", "")
        + "scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda e: 0.5 ** e)\n" + GOES_ON, ["warn"],
    ),
    "new loss scale": (
        "torch.save({**state, 'scaler': torch.amp.GradScaler('cpu', init_scale=8.0).state_dict() | {'scale': 4.0}}, path)\n"
        + GIVEN + "train(model, optimizer, scheduler, range(9), torch.amp.GradScaler('cpu', init_scale=8.0))\n", ["info"],
    ),
}  # fmt: skip
HEALTHY = {
    "all loaded": GIVEN + 'scheduler.load_state_dict(checkpoint["scheduler"])\n' + GOES_ON,
    "wound forward": GIVEN + "for _ in range(checkpoint['epoch']):\n    scheduler.step()\n" + GOES_ON,
    "fine-tuning": NEW + "train(model, optimizer, scheduler, range(9))\n",
    "fine-tuning at another rate": NEW.replace("(model)\nsch", "(model, 1e-4)\nsch")
    + "print(checkpoint['epoch'])\ntrain(model, optimizer, scheduler, range(9))\n",
    "transfer": NEW + "model[2] = nn.Linear(8, 1)\noptimizer = optimizer_of(model)\nscheduler = schedule_of(optimizer)\n" + GOES_ON,
    "evaluation": NEW + "with torch.no_grad():\n    print(model(x).mean())\n",
    "best weights at the end": "model.load_state_dict(torch.load(path)['model'])\nprint(model(x).mean())\n",
    "restored best, the same optimizer": "checkpoint = torch.load(path)\nmodel.load_state_dict(checkpoint['model'])\n"
    "for epoch in range(checkpoint['epoch'], 20):\n    train(model, optimizer, scheduler, [epoch])\n",
    "back to the best, then another stage": "checkpoint = torch.load(path)\nmodel.load_state_dict(checkpoint['model'])\n"
    "optimizer = optimizer_of(model, 1e-3)\nscheduler = schedule_of(optimizer, 9)\ntrain(model, optimizer, scheduler, range(9))\n",
    "another schedule from here": GIVEN.replace("schedule_of(optimizer)", "schedule_of(optimizer, 12)") + GOES_ON,
    "an offset in the function": GIVEN.replace("schedule_of(optimizer)", "torch.optim.lr_scheduler.LambdaLR("
    "optimizer, lambda e: (e + 8) / 20)") + GOES_ON,
    "folds from one start": "start = copy.deepcopy(model.state_dict())\ntorch.save(start, path)\nfor fold in range(3):\n"
    "    model.load_state_dict(torch.load(path))\n    optimizer = optimizer_of(model)\n    scheduler = schedule_of(optimizer)\n"
    "    train(model, optimizer, scheduler, range(5))\n",
    "reptile": "for task in range(4):\n    before = copy.deepcopy(model.state_dict())\n    inner = optimizer_of(model)\n"
    "    train(model, inner, schedule_of(inner), range(3))\n    after = model.state_dict()\n"
    "    model.load_state_dict({k: before[k] + 0.5 * (after[k] - before[k]) for k in before})\n",
    "a target network": "target = copy.deepcopy(model)\nfor epoch in range(9):\n    train(model, optimizer, scheduler, [epoch])\n"
    "    target.load_state_dict(model.state_dict())\n    target(x)\n",
    "averaged weights": "average = torch.optim.swa_utils.AveragedModel(model)\nfor epoch in range(9):\n"
    "    train(model, optimizer, scheduler, [epoch])\n    average.update_parameters(model)\n"
    "torch.save(average.module.state_dict(), path)\nmodel.load_state_dict(torch.load(path))\n",
    "a search for the learning rate": "train(model, optimizer, scheduler, range(5))\ncheckpoint = torch.load(path)\n"
    "model.load_state_dict(checkpoint['model'])\noptimizer.load_state_dict(checkpoint['optimizer'])\n"
    "train(model, optimizer, scheduler, range(9))\n",
}  # fmt: skip


def watched(folder: Path, code: str) -> Run:
    script = folder / "train.py"
    script.write_text(f"FOLDER = {str(folder)!r}" + PARTS + textwrap.dedent(code))
    with flightcheck.watch(runs_dir=folder / "runs", report=False, select=["T03"]) as watch:
        runpy.run_path(str(script))
    assert watch.run is not None
    assert not [b for b in watch.run.coverage.blind if "of Flightcheck itself" in b]
    return watch.run


@pytest.mark.parametrize(("code", "severities"), FAULTY.values(), ids=FAULTY)
def test_a_script_that_resumes_badly(tmp_path: Path, code: str, severities: list[str]) -> None:
    findings = verdict_of("T03", watched(tmp_path, code)).findings
    assert [f.severity or "error" for f in findings] == severities


@pytest.mark.parametrize("code", HEALTHY.values(), ids=HEALTHY)
def test_a_script_that_does_not(tmp_path: Path, code: str) -> None:
    verdict = verdict_of("T03", watched(tmp_path, code))
    assert verdict.status in ("pass", "skipped"), [f.message for f in verdict.findings]
