"""Cross-validations that go on with the model of the fold before."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

import flightcheck
from flightcheck.recording.fold_loops import FoldLoop
from flightcheck.recording.provenance.folds import fold_loop_around
from flightcheck.recording.records import Location, RootInfo
from flightcheck.testing import run_of, verdict_of

SCRIPT = """
import numpy as np, torch
from torch import nn
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import StratifiedKFold
torch.manual_seed(0)
X, y = load_breast_cancer(return_X_y=True)
X = torch.tensor((X - X.mean(0)) / X.std(0), dtype=torch.float32)
y = torch.tensor(y)
{above}
cv = StratifiedKFold(n_splits=3, shuffle=True, random_state=1)
for k, (train_rows, held_out) in enumerate(cv.split(X, y)):
    {inside}
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for epoch in range(6):
        for rows in torch.randperm(len(train_rows)).split(32):
            rows = torch.tensor(train_rows)[rows]
            loss = nn.functional.cross_entropy(model(X[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        print(k, (model(X[held_out]).argmax(1) == y[held_out]).float().mean().item())
"""
MADE = "model = nn.Sequential(nn.Linear(30, 32), nn.ReLU(), nn.Linear(32, 2))"


def loop_of(tmp_path: Path, text: str, line: str = "loss.backward()", made: str = "Net()") -> int | None:
    file = tmp_path / "train.py"
    file.write_text(text)
    lines = text.splitlines()
    at = next(i for i, found in enumerate(lines, 1) if line in found)
    return fold_loop_around(str(file), at, next(i for i, found in enumerate(lines, 1) if made in found))


def in_functions(reset: str = "", folds: str = "KFold(5)", body: str = "") -> str:
    return f"""
def fit(net, data):
    {body or "pass"}
    for batch in data:
        loss = net(batch).sum()
        loss.backward()

def main():
    net = Net()
    folds = {folds}
    for train, test in folds.split(data):
        {reset or "pass"}
        fit(net, train)
"""


def test_a_model_that_is_made_before_the_folds_is_told_in_functions_too(tmp_path: Path) -> None:
    assert loop_of(tmp_path, in_functions()) == 11
    assert loop_of(tmp_path, in_functions().replace("folds.split", "KFold(3).split")) == 11
    assert loop_of(tmp_path, in_functions().replace("in folds.split(data)", "in halves(data)")) is None
    shards = in_functions().replace("for train, test in folds.split(data)", "for fold in range(5)")
    assert loop_of(tmp_path, shards) is None, "parts of one training set may be called folds"
    assert loop_of(tmp_path, "def broken(:\n # Net() loss.backward()") is None


@pytest.mark.parametrize(
    ("reset", "folds", "body"),
    [
        ("net.load_state_dict(first)", "KFold(5)", ""),
        ("net = copy.deepcopy(net)", "KFold(5)", ""),
        ("", "KFold(5)", "net.apply(weights_again)"),
        ("", "TimeSeriesSplit(5)", ""),
        ("reset_weights(net)", "KFold(5)", ""),
        ("net.layer.weight.data = first", "KFold(5)", ""),
    ],
)
def test_weights_that_may_be_made_anew_are_silent(reset: str, folds: str, body: str, tmp_path: Path) -> None:
    assert loop_of(tmp_path, in_functions(reset, folds, body)) is None


def test_a_model_of_each_fold_is_silent(tmp_path: Path) -> None:
    text = in_functions(reset="net = Net()").replace("    net = Net()\n    folds", "    folds")
    assert loop_of(tmp_path, text) is None
    several = text.replace("def main():", "make = lambda: Net()\n\ndef main():").replace("net = Net()", "net = make()")
    assert loop_of(tmp_path, several) is None
    built = in_functions(reset="net = build()").replace("    net = Net()\n    folds", "    folds")
    assert loop_of(tmp_path, "def build():\n    return Net()\n" + built) is None


def test_the_finding_names_the_line_of_the_model_and_the_loop() -> None:
    made, loop = Location("train.py", 10), Location("train.py", 14)
    records = [RootInfo(0, "model", "Net", location=made), FoldLoop(0, loop)]
    (finding,) = verdict_of("D08", run_of(*records)).findings
    assert finding.location == made and "train.py:14" in finding.message
    assert verdict_of("D08", run_of(records[0])).status != "fail"


@pytest.mark.parametrize(("above", "inside", "told"), [(MADE, "pass", True), ("", MADE, False)])
def test_a_cross_validation_with_one_model_is_told(above: str, inside: str, told: bool, tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(SCRIPT.format(above=above, inside=inside))
    with flightcheck.watch(runs_dir=tmp_path / "runs", report=False) as watched:
        runpy.run_path(str(script))
    assert watched.diagnosis is not None
    failed = [v.info.code for v in watched.diagnosis.verdicts if v.status == "fail"]
    assert ("D08" in failed) is told
