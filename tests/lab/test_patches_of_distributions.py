"""Losses over distributions and over several labels: log-probabilities for a divergence, a yes or no for each output."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from flightcheck.checks.base import Finding
from flightcheck.checks.registry import run_checks
from flightcheck.lab.agenda import investigate
from flightcheck.lab.diffs import diff_of
from flightcheck.lab.experiments import Lab
from flightcheck.lab.trials import Trial
from flightcheck.patch import Patch
from flightcheck.recording.printed import PrintedNumber
from flightcheck.recording.records import Location
from flightcheck.testing import run_of
from tests.lab.made import CLASSES, FEATURES, Loop, data, equal, patched
from tests.lab.test_experiments import Numbers, candidate, watched

X, _ = data(48)
SHARES = (2 * X[:, :CLASSES]).softmax(1)
TAGS = (X[:, :CLASSES] > 3.0).float()


def training(target: torch.Tensor, loss: Any) -> Loop:
    torch.manual_seed(0)
    return Loop(nn.Linear(FEATURES, CLASSES), loss, pairs=list(zip(X.split(6), target.split(6), strict=True)))


@pytest.mark.parametrize("probabilities", [True, False])
def test_a_divergence_gets_log_probabilities(tmp_path: Path, probabilities: bool) -> None:
    def of(kind: str) -> Loop:
        def loss(out: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            given = {"log": lambda: out.log_softmax(1), "probabilities": lambda: out.softmax(1), "": lambda: out}
            return F.kl_div(given[kind](), y, reduction="batchmean")

        return training(SHARES, loss)

    right, wrong, mended = of("log"), *(of("probabilities" if probabilities else "") for _ in range(2))
    expected, control = patched(tmp_path, "", right), patched(tmp_path, "", wrong)
    if probabilities:
        assert {f.patch for v in run_checks(control.run, ["L05"]) for f in v.findings} == {"loss:log_softmax"}
    done = patched(tmp_path, "loss:log_softmax", mended)
    assert done.applied == {"loss:log_softmax": 8}
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(mended.weights, right.weights, strict=True))
    errors = [r.trained.series("error") for r in (expected, control, done)]
    assert errors[0][0] == pytest.approx(errors[1][0], rel=1e-4), "one error for both, of the same first weights"
    assert errors[2] == pytest.approx(errors[0], rel=1e-4)


def test_several_labels_get_a_yes_or_no_each(tmp_path: Path) -> None:
    right, mended, wrong = (
        training(TAGS, loss) for loss in (F.binary_cross_entropy_with_logits, *[F.cross_entropy] * 2)
    )
    right()
    control = patched(tmp_path, "", wrong)
    ((finding,),) = (v.findings for v in run_checks(control.run, ["L12"]))
    assert finding.patch == "loss:several"
    done = patched(tmp_path, finding.patch, mended)
    assert done.applied == {"loss:several": 8}
    assert equal(mended.weights, right.weights)
    assert not equal(wrong.weights, right.weights)


@pytest.mark.parametrize(("gain", "status"), [(0.2, "confirmed"), (-0.2, "refuted")])
def test_another_task_is_judged_by_what_the_script_prints(gain: float, status: str) -> None:
    """The error falls in any case: it is another one."""

    def printed(trial: Trial) -> list[Any]:
        better = gain if trial.patches else 0.0
        return [PrintedNumber(i, "val f1", 0.5 + better + 0.01 * i + 0.001 * trial.seed, True) for i in range(8)]

    runner = Numbers({"loss:several": 0.1})
    runner.more = printed
    (found, *_) = investigate(Lab(runner, 60.0), watched(), [candidate("L08", "loss:several")])
    assert (found.metric, found.status) == ("printed val f1", status)
    runner.more = lambda trial: [replace(n, name="val loss", value=1 - n.value) for n in printed(trial)]
    (found, *_) = investigate(Lab(runner, 60.0), watched(), [candidate("L08", "loss:several")])
    assert found.status == "untested", "another loss has other values"
    (found, *_) = investigate(Lab(Numbers({"loss:several": 0.1}), 60.0), watched(), [candidate("L08", "loss:several")])
    assert found.status == "untested", "it prints nothing that tells"


@pytest.mark.parametrize(
    ("patch", "code", "new"),
    [
        ("loss:log_softmax", "p = F.softmax(scores, dim=1)", "p = F.log_softmax(scores, dim=1)"),
        ("loss:log_softmax", "self.last = nn.Softmax(dim=1)", "self.last = nn.LogSoftmax(dim=1)"),
        ("loss:log_softmax", "loss = F.kl_div(out, share)", "# the same of F.log_softmax(scores, dim=-1)"),
        ("loss:several", "criterion = nn.CrossEntropyLoss()", "criterion = nn.BCEWithLogitsLoss()"),
        ("loss:several", "loss = criterion(o, y)", "# the same with nn.BCEWithLogitsLoss() as the loss"),
        ("loss:several", "loss = F.cross_entropy(o, y)", "loss = F.binary_cross_entropy_with_logits(o, y)"),
    ],
)
def test_the_lines(patch: str, code: str, new: str) -> None:
    finding = Finding("", Location("train.py", 4, "f", code))
    assert diff_of([Patch.parse(patch)], finding, run_of()) == f"- {code}\n+ {new}"
