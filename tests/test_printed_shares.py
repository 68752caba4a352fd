"""Accuracies that are divided by something else than how many answers were compared: found, tried, written anew."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flightcheck.checks.base import Verdict
from flightcheck.recording.metrics import MetricInfo
from flightcheck.recording.provenance.divisions import Division, division_of
from flightcheck.recording.records import Location
from flightcheck.recording.rewriting import rewritten
from flightcheck.recording.run import Run
from flightcheck.recording.tallies import Tally
from flightcheck.testing import run_of, verdict_of

COUNTS = Location("train.py", 38, code="correct += (pred == y).sum().item()")
DIVIDES = Location("train.py", 41, code="acc = correct / len(train_loader.dataset)")
TALLY = Tally(
    10,
    COUNTS,
    0,
    calls=6,
    rows=360,
    last_rows=60,
    division=DIVIDES,
    numerator="correct",
    divisor="len(d)",
    divisor_location=DIVIDES,
)
RIGHT = ([50, 51, 49, 52, 55, 50], [55, 55, 56, 57, 57, 54], [58, 59, 60, 57, 58, 60])


def run_with(
    values: Sequence[float], counted: int = 60, right: Sequence[Sequence[int]] = RIGHT, name: str = "test_acc"
) -> Run:
    tallies = [
        replace(TALLY, step=10 * (i + 1), true=list(r), counted=[counted] * len(r))
        for i, r in enumerate(right[: len(values)])
    ]
    metric = MetricInfo(0, name, "printed", len(values))
    run = run_of(metric, *tallies, steps=10 * len(values))
    run.frames[metric.signal] = (
        np.array([t.step for t in tallies]), [np.array([v], np.float32) for v in values]
    )  # fmt: skip
    return run


def verdict(values: Sequence[float], **options: object) -> Verdict:
    return verdict_of("T09", run_with(values, **options))  # type: ignore[arg-type]


def test_another_divisor_fails() -> None:
    values = [round(100 * sum(r) / 1437, 2) for r in RIGHT]
    (finding,) = verdict(values).findings
    assert finding.location == DIVIDES and "divided by 1437" in finding.message
    assert finding.patch == "source:share@38=correct:train.py:41"


def test_the_number_of_batches_fails_after_two_evaluations() -> None:
    (finding,) = verdict([round(sum(r) / 6, 3) for r in RIGHT[:2]]).findings
    assert finding.evidence["divisor"] == 6


def test_a_count_that_goes_on_fails() -> None:
    totals = np.cumsum([sum(r) for r in RIGHT])
    (finding,) = verdict([round(float(t) / 360, 3) for t in totals]).findings
    assert finding.location == COUNTS and finding.evidence["kind"] == "kept"


def test_the_last_batch_alone_fails() -> None:
    last = [[r[-1]] for r in RIGHT]
    (finding,) = verdict([round(r[0] / 360, 4) for r in last], right=last).findings
    assert finding.evidence["kind"] == "last" and "60 of 360" in finding.message


def test_a_model_that_is_called_twice_on_the_same_examples_is_no_other_batch(tmp_path: Path) -> None:
    """For the accuracy, and once more for the loss."""
    script = tmp_path / "train.py"
    script.write_text(
        "import torch\nfrom torch import nn\ntorch.manual_seed(0)\nx = torch.randn(400, 4)\ny = (x[:, 0] > 0).float()\n"
        "model = nn.Linear(4, 1)\noptimizer = torch.optim.SGD(model.parameters(), 0.1)\n"
        "loss_fn = nn.BCEWithLogitsLoss()\n"
        "for epoch in range(6):\n"
        "    for i in range(0, 200, 20):\n"
        "        optimizer.zero_grad()\n"
        "        loss_fn(model(x[i : i + 20]).squeeze(1), y[i : i + 20]).backward()\n"
        "        optimizer.step()\n"
        "    with torch.no_grad():\n"
        "        acc = ((model(x[200:]).squeeze(1) > 0) == (y[200:] > 0.5)).float().mean().item()\n"
        "        loss = loss_fn(model(x[200:]).squeeze(1), y[200:]).item()\n"
        "    print(f'epoch {epoch} val_loss {loss:.4f} val_acc {acc:.4f}')\n"
    )
    command = [sys.executable, "-m", "flightcheck", "check", "--select", "T09", "--lab-budget", "0", "--quiet"]
    done = subprocess.run([*command, script.name], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "values",
    [
        [round(sum(r) / 360, 4) for r in RIGHT],
        [round(100 * sum(r) / 360, 1) for r in RIGHT],
        [round(sum(n / 60 for n in r) / 6, 3) for r in RIGHT],
        [0.71, 0.78, 0.83],  # a mean over classes, for example: nothing explains it exactly
        [round(sum(r) / 1437, 4) for r in RIGHT[:1]],  # one evaluation alone is no proof
    ],
)
def test_right_shares_pass(values: list[float]) -> None:
    assert verdict(values).status in ("pass", "inconclusive")


def test_other_numbers_pass() -> None:
    values = [round(sum(r) / 1437, 4) for r in RIGHT]
    for name in ("train_acc", "balanced_accuracy", "best_acc", "recall"):
        assert verdict(values, name=name).status in ("pass", "inconclusive")


METER = """class M:
    def add(self, p, y):
        self.n += (p == y).sum()
    def share(self, k):
        return self.n / k
print(M().share(len(d)))"""


@pytest.mark.parametrize(
    ("code", "line", "found"),
    [
        (
            "correct += (p == y).sum().item()\nacc = 100.0 * correct / len(loader)",
            1,
            Division(2, "correct", "len(loader)", 2),
        ),
        ("def f():\n    n += (p == y).sum()\n    return n / k\nz = n / 3", 2, Division(3, "n", "k", 3)),
        ("self.hits += (p == y).sum()\nprint(f'{self.hits / n:.3f}')", 1, Division(2, "self.hits", "n", 2)),
        ("a += (p == y).sum()\na /= len(d)", 1, Division(2, "a", "len(d)", 2)),
        ("a += (p == y).sum().item() / 5", 1, Division(1, "", "5", 1)),
        ("n = (p == y).sum()\ntotal += n.item()\nacc = total / k", 1, Division(3, "total", "k", 3)),
        ("a += (p == y).sum()\nb = a * 2", 1, None),
        (METER, 3, Division(5, "self.n", "len(d)", 6)),
    ],
)
def test_where_it_is_divided(tmp_path: Path, code: str, line: int, found: Division | None) -> None:
    (tmp_path / "train.py").write_text(code + "\n")
    assert division_of(str(tmp_path / "train.py"), line) == found


@pytest.mark.parametrize(
    ("code", "new"),
    [
        (
            "acc = 100.0 * correct / len(d)",
            "acc = 100.0 * __flightcheck__.counts.true(3, correct) / __flightcheck__.counts.counted(3, len(d))",
        ),
        (
            "correct /= len(d)",
            "correct = __flightcheck__.counts.true(3, correct) / __flightcheck__.counts.counted(3, len(d))",
        ),
        ("acc = other / len(d)", "acc = other / len(d)"),
    ],
)
def test_written_anew(code: str, new: str) -> None:
    assert rewritten(code + "\n", "share@3=correct", 1).strip() == new


def test_zero_in_the_place_of_a_half() -> None:
    assert rewritten("h = np.where(p > 0.5, 1, 0)\n", "at-zero", 1) == "h = np.where(p > 0.0, 1, 0)\n"
