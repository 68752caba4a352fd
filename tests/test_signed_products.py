"""Losses of signs that are written by hand, with labels of 0 and 1, in real trainings; and the trial with signs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import flightcheck
from flightcheck.checks.loss._signs import of_signs
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.records import Location
from flightcheck.recording.signed_products import SignedProduct
from flightcheck.testing import run_of, verdict_of
from tests.lab.made import patched

HERE = Path(__file__).name
X = torch.randn(64, 5, generator=torch.Generator().manual_seed(1))
LABELS = (X[:, 0] > 0.5).float()
Loss = Callable[[Tensor, Tensor], Tensor]


def log_sigmoid(score: Tensor, y: Tensor) -> Tensor:
    return -functional.logsigmoid(y * score).mean()


def softplus_of_minus(score: Tensor, y: Tensor) -> Tensor:
    return functional.softplus(-(y * score)).mean()


def softplus_of_minus_labels(score: Tensor, y: Tensor) -> Tensor:
    return functional.softplus(-y * score).mean()


def written_out(score: Tensor, y: Tensor) -> Tensor:
    return torch.log(1 + torch.exp(-y * score)).mean()


def clamped(score: Tensor, y: Tensor) -> Tensor:
    return torch.clamp(1 - y * score, min=0).mean()


def relu(score: Tensor, y: Tensor) -> Tensor:
    return functional.relu(1.0 - score * y).mean()


def larger(score: Tensor, y: Tensor) -> Tensor:
    return torch.maximum(torch.zeros_like(score), 1 - y * score).mean()


def with_signs(score: Tensor, y: Tensor) -> Tensor:
    return clamped(score, 2 * y - 1)


def of_both(score: Tensor, y: Tensor) -> Tensor:
    """Cross-entropy by hand."""
    return -(y * functional.logsigmoid(score) + (1 - y) * functional.logsigmoid(-score)).mean()


def masked_after(score: Tensor, y: Tensor) -> Tensor:
    return (functional.softplus(-score) * y).sum() / y.sum()


def weighted(score: Tensor, y: Tensor) -> Tensor:
    return -functional.logsigmoid((0.5 * y) * score).mean()


def within(score: Tensor, y: Tensor) -> Tensor:
    """Cut on both sides: no margin."""
    return (torch.clamp(1 - y * score, 0, 5) + score.square()).mean()


def train(loss: Loss, steps: int = 6) -> Tensor:
    torch.manual_seed(0)
    model = nn.Linear(5, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(model(X).squeeze(1), LABELS).backward()
        optimizer.step()
    return model(X).squeeze(1).detach()


def recorded(loss: Loss, folder: Path) -> flightcheck.Run:
    with flightcheck.watch(runs_dir=folder, report=False) as watched:
        train(loss)
    assert watched.run is not None
    assert not watched.run.coverage.blind
    return watched.run


@pytest.mark.parametrize(
    ("loss", "kind"),
    [
        (log_sigmoid, "logistic"), (softplus_of_minus, "logistic"), (softplus_of_minus_labels, "logistic"),
        (written_out, "logistic"), (clamped, "hinge"), (relu, "hinge"), (larger, "hinge"),
    ],
)  # fmt: skip
def test_a_loss_of_signs_with_zeros_and_ones(loss: Loss, kind: str, tmp_path: Path) -> None:
    (found,) = recorded(loss, tmp_path).recorded(SignedProduct)
    ones = int(LABELS.sum())
    assert (found.loss, found.calls, found.ones, found.zeros) == (kind, 6, 6 * ones, 6 * (64 - ones))
    assert "y" in found.location.code and "score" in found.location.code


@pytest.mark.parametrize("loss", [with_signs, of_both, masked_after, weighted, within])
def test_other_losses_are_none(loss: Loss, tmp_path: Path) -> None:
    assert recorded(loss, tmp_path).recorded(SignedProduct) == []


@pytest.mark.parametrize("loss", [log_sigmoid, softplus_of_minus_labels, clamped])
def test_the_trial_with_signs_computes_what_signs_give(loss: Loss, tmp_path: Path) -> None:
    (found,) = recorded(loss, tmp_path / "watched").recorded(SignedProduct)
    scores: list[Tensor] = []
    done = patched(tmp_path / "patched", of_signs(found), lambda: scores.append(train(loss)))
    assert done.applied == {of_signs(found): 6}
    assert torch.equal(scores[0], train(lambda score, y: loss(score, 2 * y - 1)))


FOUND = SignedProduct("hinge", Location("train.py", 31, code="loss = relu(1 - y * s).mean()"), 0, 6, 300, 100)
PROOF = Experiment("L08", of_signs(FOUND), status="confirmed", metric="answers", steps=90, before=0.5, after=0.1)


def test_it_is_told_where_a_trial_showed_it() -> None:
    (finding,) = verdict_of("L08", run_of(FOUND, PROOF, steps=60)).findings
    assert (finding.location, finding.patch) == (FOUND.location, "signed:train.py:31")
    assert "75% of the y here are 0" in finding.message
    logistic = replace(FOUND, loss="logistic")
    (finding,) = verdict_of("L08", run_of(logistic, PROOF, steps=60)).findings
    assert "binary_cross_entropy_with_logits" in finding.fix


def test_a_mask_is_no_label() -> None:
    for records in ((FOUND,), (FOUND, replace(PROOF, status="inconclusive")), (replace(FOUND, calls=2), PROOF)):
        assert not verdict_of("L08", run_of(*records, steps=60)).findings
