"""Losses that a script writes by hand are recorded as the function that they are."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import flightcheck
from flightcheck.recording.run import Run
from flightcheck.recording.signals import ERROR
from tests.lab.made import patched

SCRIPT = """
import torch
import torch.nn.functional as F
from torch import nn
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
anchors = [p.detach() + 1 for p in model.parameters()]
for step in range(STEPS):
    x, y, ids = torch.randn(8, 4), torch.randn(8, 3), torch.randint(0, 3, (8,))
    x.requires_grad_(GRADIENT)
    optimizer.zero_grad()
    p = model(x)
    loss = LOSS
    loss.backward()
    optimizer.step()
"""
LINE = 14
LOG = "F.log_softmax(p, 1)"
ROWS = "F.one_hot(ids, 3).float()"
LOSSES = {
    "(p - y).pow(2).mean()": ("mse_loss", "mean"),
    "((p - y) ** 2).mean()": ("mse_loss", "mean"),
    "torch.mean((y - p) ** 2)": ("mse_loss", "mean"),
    "torch.square(p - y).mean()": ("mse_loss", "mean"),
    "((p - y) * (p - y)).mean()": ("mse_loss", "mean"),
    "((p - y) ** 2).mean(1).mean()": ("mse_loss", "mean"),
    "((p - y) ** 2).sum() / p.numel()": ("mse_loss", "mean"),
    "((p - y) ** 2).flatten().sum() / 24": ("mse_loss", "mean"),
    "((p - y) ** 2).sum(1).mean()": ("mse_loss", "batchmean"),
    "((p - y) ** 2).sum() / len(x)": ("mse_loss", "batchmean"),
    "(p - y).pow(2).sum()": ("mse_loss", "sum"),
    "0.5 * ((p - y) ** 2).mean()": ("mse_loss", "mean"),
    "(0.5 * (p - y) ** 2).mean()": ("mse_loss", "mean"),
    "torch.sqrt(((p - y) ** 2).mean())": ("mse_loss", "mean"),
    "((torch.sigmoid(p) * 2 - y) ** 2).mean()": ("mse_loss", "mean"),
    "((p - y) ** 2).mean() + 0.1 * p.exp().mean()": ("mse_loss", "mean"),
    "(p - y).abs().mean()": ("l1_loss", "mean"),
    "abs(y - p).sum()": ("l1_loss", "sum"),
    f"-{LOG}[range(8), ids].mean()": ("nll_loss", "mean"),
    f"-{LOG}[torch.arange(8), ids].mean()": ("nll_loss", "mean"),
    f"(-{LOG}[torch.arange(8), ids]).mean()": ("nll_loss", "mean"),
    f"-({LOG}.gather(1, ids[:, None])).mean()": ("nll_loss", "mean"),
    "-torch.log_softmax(p, -1).gather(dim=1, index=ids.view(-1, 1)).squeeze(1).mean()": ("nll_loss", "mean"),
    f"-({ROWS} * {LOG}).sum(1).mean()": ("nll_loss", "mean"),
    f"(-{ROWS} * {LOG}).sum(1).mean()": ("nll_loss", "mean"),
    f"-({LOG} * {ROWS}).sum() / 8": ("nll_loss", "mean"),
    f"-1 * {LOG}[range(8), ids].sum()": ("nll_loss", "sum"),
}  # fmt: skip
OTHERS = {
    "a weight penalty": "p.sum() + sum(((w - a) ** 2).sum() for w, a in zip(model.parameters(), anchors))",
    "a gradient penalty": (
        "((torch.autograd.grad(p.sum(), x, create_graph=True)[0].norm(2, 1) - torch.ones(8)) ** 2).mean()"
    ),
    "forces": "((torch.autograd.grad(p.sum(), x, create_graph=True)[0] - x.detach()) ** 2).mean()",
    "a divergence": "-0.5 * (1 + p - p.pow(2) - p.exp()).mean()",
    "a target of the model": "((p[:, 0] - (1 + 0.9 * p[:, 1])) ** 2).mean()",
    "a product with noise": "((p * model(x) - y) ** 2).mean()",
    "a metric": "(p.exp().mean(), ((p - y) ** 2).mean().item())[0]",
    "weights": "(torch.rand(8, 3) * (p - y) ** 2).mean()",
    "a mask": "((p - y)[ids > 0] ** 2).mean()",
    "broadcasting": "((p - y[:, :1]) ** 2).mean()",
    "a policy gradient": f"-({LOG}[range(8), ids] * y[:, 0]).mean()",
    "a likelihood that is minimized": f"{LOG}[range(8), ids].mean()",
    "an entropy": f"-({LOG}.exp() * {LOG}).sum(1).mean()",
    "smooth labels": f"-((0.9 * {ROWS} + 0.1 / 3) * {LOG}).sum(1).mean()",
    "other rows": f"-{LOG}[torch.tensor([0, 0, 1, 1, 2, 2, 3, 3]), ids].mean()",
}  # fmt: skip


CHECKED = """
import torch
from torch import nn
torch.manual_seed(0)
weights = torch.randn(6, 1)
model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 1))
nn.init.constant_(model[2].bias, 90.0)
optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
for step in range(200):
    x = torch.randn(32, 6)
    optimizer.zero_grad()
    ((model(x) - x @ weights) ** 2).mean().backward()
    optimizer.step()
"""


def program(folder: Path, loss: str, steps: int) -> Callable[[], object]:
    """A training with this loss, compiled from a file."""
    script = folder / "train.py"
    gradient = "autograd.grad" in loss
    script.write_text(SCRIPT.replace("LOSS", loss).replace("STEPS", str(steps)).replace("GRADIENT", str(gradient)))
    code = compile(script.read_text(), str(script), "exec")
    return lambda: exec(code, {})


def watched(folder: Path, loss: str, steps: int = 3) -> Run:
    """The record of a training with this loss."""
    train = program(folder, loss, steps)
    with flightcheck.watch(runs_dir=folder / "runs", report=False) as seen:
        train()
    assert seen.run is not None
    assert not [b for b in seen.run.coverage.blind if "of Flightcheck itself" in b]
    return seen.run


@pytest.mark.parametrize("loss", LOSSES)
def test_a_loss_is_recorded_as_the_function_that_it_is(tmp_path: Path, loss: str) -> None:
    function, reduction = LOSSES[loss]
    run = watched(tmp_path, loss)
    (site,) = run.loss_sites
    assert (site.function, site.settings["reduction"], site.train_calls) == (function, reduction, 3)
    assert site.settings["handmade"]
    assert site.location is not None
    assert site.location.line == LINE
    calls = run.training_calls(function)
    assert len(calls) == 3
    assert calls[0].input_shape == [8, 3]
    assert calls[0].target_shape == ([8] if function == "nll_loss" else [8, 3])
    assert "own-loss" not in run.plan.regimes


@pytest.mark.parametrize("pair", [
    ("((p - y) ** 2).mean()", "F.mse_loss(p, y)"),
    ("2 * (p - y).abs().mean()", "2 * F.l1_loss(p, y)"),
    ("((p - y) ** 2).sum()", "F.mse_loss(p, y, reduction='sum')"),
    (f"-({ROWS} * {LOG}).sum(1).mean()", f"F.nll_loss({LOG}, ids)"),
])  # fmt: skip
def test_it_says_the_same_as_the_function(tmp_path: Path, pair: tuple[str, str]) -> None:
    both = [watched(tmp_path, loss, 20) for loss in pair]
    by_hand, called = (run.training_calls() for run in both)
    assert by_hand[-1].step >= 9  # after the learning pass
    steps = {c.step: c for c in called}
    for one in by_hand:
        other = steps[one.step]
        assert one.value == pytest.approx(other.value, rel=1e-5)
        assert one == dataclasses.replace(other, value=one.value)
    relations = [[(a.relation, a.producer) for a in run.loss_axes] for run in both]
    assert relations[0] == relations[1]


@pytest.mark.parametrize("what", OTHERS)
def test_what_is_no_such_loss(tmp_path: Path, what: str) -> None:
    run = watched(tmp_path, OTHERS[what])
    assert run.loss_sites == []
    assert "own-loss" in run.plan.regimes


def test_a_function_of_the_framework_is_counted_once(tmp_path: Path) -> None:
    run = watched(tmp_path, "F.mse_loss(p, y)")
    assert [(s.train_calls, s.settings.get("handmade")) for s in run.loss_sites] == [(3, None)]


def test_two_terms_are_two_sites(tmp_path: Path) -> None:
    run = watched(tmp_path, "((p - y) ** 2).mean() + (p - y).abs().mean() - 0.5 * (1 + p - p.exp()).mean()")
    assert [(s.function, s.train_calls) for s in run.loss_sites] == [("mse_loss", 3), ("l1_loss", 3)]


def test_a_metric_of_the_same_form_beside_the_loss(tmp_path: Path) -> None:
    run = watched(tmp_path, "[((p - y) ** 2).mean(), (p - y).abs().mean().item()][0]")
    assert [s.function for s in run.loss_sites] == ["mse_loss"]


def test_too_many_for_one_round(tmp_path: Path) -> None:
    run = watched(tmp_path, "sum(((p[i % 8] - y[i % 8]) ** 2).mean() for i in range(70))")
    assert run.loss_sites == []


def test_every_round_of_a_trial_has_an_error(tmp_path: Path) -> None:
    train = program(tmp_path, "((p - y) ** 2).mean()", 30)
    run = patched(tmp_path / "trials", "", train).run
    assert len(run.series(ERROR)) == 30


def test_a_check_names_the_cause(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(CHECKED)
    command = [sys.executable, "-m", "flightcheck", "check", "--lab-budget", "0", "--json", "out.json", str(script)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=120, env=environment, check=False)
    found = [f for f in json.loads((tmp_path / "out.json").read_text())["findings"] if f["root"]]
    assert [(f["code"], f["location"]["line"]) for f in found] == [("L01", 7)]


def test_errors_of_classes_and_of_numbers_are_not_mixed(tmp_path: Path) -> None:
    likelihood, distance = f"-{LOG}[range(8), ids].mean()", "((p - 1e-6 * y) ** 2).mean()"
    errors = []
    for loss in (likelihood, f"{distance} + {likelihood}", "F.mse_loss(p, 1e-6 * y) + F.cross_entropy(p, ids)"):
        run = patched(tmp_path / "trials", "", program(tmp_path, loss, 3)).run
        errors.append(run.series(ERROR).values)
    assert errors[0][0] == pytest.approx(errors[1][0])
    assert errors[1] == pytest.approx(errors[2])
