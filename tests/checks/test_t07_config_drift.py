"""T07 config-drift: settings that are declared, and what is in effect."""

from __future__ import annotations

import runpy
from dataclasses import replace
from pathlib import Path

import pytest

import flightcheck
from flightcheck.recording.provenance.settings import declared_at, is_taken
from flightcheck.recording.records import LoaderInfo, Location, ModuleInfo, OptimizerInfo, Plan, SchedulerInfo
from flightcheck.recording.states import Resumption
from flightcheck.recording.surroundings import Setting
from flightcheck.testing import run_of, verdict_of

LINE, BUILT = Location("train.py", 8), Location("train.py", 20)
RATE = Setting("learning_rate", "lr", 0.1, "argparse", LINE, taken=False)
ADAM = OptimizerInfo(0, "Adam", BUILT, [{"lr": 0.01, "weight_decay": 0.0, "parameters": 2}], steps=9)


def found(*records: object) -> list[str]:
    return [f.message for f in verdict_of("T07", run_of(*records, steps=9)).findings]


def test_a_setting_that_nothing_uses_fails() -> None:
    (finding,) = verdict_of("T07", run_of(RATE, ADAM, steps=9)).findings
    assert finding.location == LINE
    assert "train.py:20" in finding.message
    assert found(Setting("wd", "weight_decay", 0.1, "dict", LINE, False), ADAM)
    assert found(Setting("momentum", "momentum", 0.9, "dict", LINE, False), replace(ADAM, groups=[{"momentum": 0.0}]))
    loader = LoaderInfo(0, BUILT, batch_size=32, used_in_training=True)
    assert found(Setting("batch_size", "batch_size", 64, "dataclass", LINE, False), loader)
    module = ModuleInfo(0, "net.2", "Dropout", "dropout", 0, BUILT, settings={"p": 0.5})
    assert found(Setting("dropout", "dropout", 0.1, "dict", LINE, False), module)
    assert found(Setting("epochs", "epochs", 90, "argparse", LINE, False), Plan(epochs=10))


def test_what_is_in_effect_or_may_be_passes() -> None:
    assert verdict_of("T07", run_of(RATE, replace(ADAM, groups=[{"lr": 0.1}]), steps=9)).status == "pass"
    assert not found(RATE, replace(ADAM, groups=[{"lr": 0.01, "initial_lr": 0.1}]))
    assert not found(RATE, ADAM, SchedulerInfo(0, "OneCycleLR", 0, settings={"max_lrs": [0.1]}))
    assert not found(replace(RATE, taken=True), ADAM)
    assert not found(Setting("dropout", "dropout", 0.1, "dict", LINE, False), ADAM)
    assert not found(Setting("epochs", "epochs", 90, "argparse", LINE, False), Plan())


def test_a_loaded_state_that_brings_its_own_rate_fails() -> None:
    declared = replace(RATE, taken=True)
    resumed = Resumption(0, 0, optimizer_given=True, constructed_rate=0.1, rate=0.02, saved_rate=0.02)
    (message,) = found(declared, ADAM, resumed)
    assert "0.02" in message
    for other in (
        replace(resumed, initial_rate=0.1), replace(resumed, schedulers=1), replace(resumed, rate=0.1),
        replace(resumed, optimizer_given=False), replace(resumed, constructed_rate=0.2),
    ):  # fmt: skip
        assert not found(declared, ADAM, other)


def test_inconclusive_and_skipped() -> None:
    assert verdict_of("T07", run_of(RATE, ADAM, steps=0)).status == "inconclusive"
    assert verdict_of("T07", run_of(ADAM, steps=9)).status == "skipped"


USES = {
    "optimizer = SGD(model.parameters(), lr=args.lr)": True,
    'optimizer = SGD(model.parameters(), lr=config["lr"])': True,
    "train(**config)": True,
    "train(*args)": True,
    "for k, v in config.items():\n    setattr(self, k, v)": True,
    "model = build(vars(args))": True,
    "rate = getattr(args, 'lr')": True,
    "a, lr = parse()\nSGD(model.parameters(), lr)": True,
    "args.lr = 0.1 * world": True,
    'config["lr"] *= 2': True,
    'print("rate", args.lr)': False,
    'name = f"run-{args.lr}"': False,
    "wandb.init(config=vars(args))": False,
    "print(vars(args))": False,
    "assert args.lr > 0": False,
    'for group in optimizer.param_groups:\n    show(group["lr"])': False,
    "SGD(model.parameters(), lr=0.1)": False,
}


@pytest.mark.parametrize(("code", "taken"), USES.items(), ids=USES)
def test_lines_that_take_a_setting(tmp_path: Path, code: str, taken: bool) -> None:
    file = tmp_path / "train.py"
    file.write_text(code)
    assert is_taken([str(file)], "lr") is taken
    assert is_taken([str(file), str(tmp_path / "gone.py")], "lr")


def test_where_a_setting_is_declared(tmp_path: Path) -> None:
    file = tmp_path / "train.py"
    file.write_text(
        'p.add_argument("-w", "--weight-decay", default=0.1)\nclass C:\n    lr: float = 0.1\n'
        'config = {\n    "momentum": 0.9,\n}\nother = dict(\n    epochs=3)\np.add_argument("--e", dest="bs")\n'
    )
    wanted = {"weight_decay": 1, "lr": 3, "momentum": 5, "epochs": 8, "bs": 9}
    kinds = {"weight_decay": "argparse", "lr": "dataclass", "bs": "argparse"}
    for name, line in wanted.items():
        assert declared_at([str(file)], name, kinds.get(name, "dict")) == (str(file), line)
    assert declared_at([str(file)], "dropout", "argparse") is None


SCRIPT = """
import argparse, torch
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.1)
parser.add_argument("--wd", type=float, default=0.2)
args, rest = parser.parse_known_args(["--lr", "0.3"])
args.wd = 0.0
model = torch.nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for step in range(9):
    optimizer.zero_grad()
    model(torch.ones(8, 4)).pow(2).mean().backward()
    optimizer.step()
"""


def test_what_a_parser_returned(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    with flightcheck.watch(runs_dir=tmp_path, report=False, select=["T07"]) as watch:
        held = runpy.run_path(str(script))
    assert held["args"].lr == 0.3
    assert watch.run is not None
    assert [(s.name, s.value) for s in watch.run.settings] == [("lr", 0.3)], "args.wd was changed on purpose"
    assert not [b for b in watch.run.coverage.blind if "of Flightcheck itself" in b]
