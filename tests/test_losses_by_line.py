"""What the first steps show of losses: dropped ones, weights after the mean, the axis of a softmax, what lies before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import flightcheck
from flightcheck.recording.dropped_losses import DroppedLoss
from flightcheck.recording.normalized_axes import NormalizedAxis
from flightcheck.recording.run import Run

ROWS, TIME, FEATURES, CLASSES = 6, 3, 5, 4
Step = Callable[[nn.Module, torch.Tensor], torch.Tensor]


def run_of_training(step: Step, folder: Path, model: nn.Module | None = None) -> Run:
    """Ten steps on numbers of the shape (ROWS, TIME, FEATURES)."""
    torch.manual_seed(0)
    model = model or nn.Linear(FEATURES, CLASSES)
    with flightcheck.watch(runs_dir=folder, report=False) as watched:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for _ in range(10):
            optimizer.zero_grad()
            step(model, torch.randn(ROWS, TIME, FEATURES)).backward()
            optimizer.step()
    assert watched.run is not None
    assert not [b for b in watched.run.coverage.blind if "of Flightcheck itself" in b]
    return watched.run


def labels() -> torch.Tensor:
    return torch.randint(0, CLASSES, (ROWS, TIME))


def only_the_last(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    y = labels()
    for t in range(TIME):
        loss = F.cross_entropy(model(x[:, t]), y[:, t])
    return loss


def added_up(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    loss, y = torch.zeros(()), labels()
    for t in range(TIME):
        loss = loss + F.cross_entropy(model(x[:, t]), y[:, t])
    return loss


def kept_in_a_list(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    losses, y = [], labels()
    for t in range(TIME):
        loss = F.cross_entropy(model(x[:, t]), y[:, t])
        losses.append(loss)
    return torch.stack(losses).mean()


def one_target(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    y = labels()[:, 0]
    for t in range(TIME):
        loss = F.cross_entropy(model(x[:, t]), y)
    return loss


@pytest.mark.parametrize(("step", "dropped"), [(only_the_last, 1), (added_up, 0), (kept_in_a_list, 0), (one_target, 0)])
def test_losses_of_which_the_last_alone_is_used(step: Step, dropped: int, tmp_path: Path) -> None:
    found = run_of_training(step, tmp_path).recorded(DroppedLoss)
    assert [(f.name, f.calls, f.dropped == f.rounds) for f in found] == [("loss", TIME, True)] * dropped


def test_inner_loops_that_ask_for_gradients_drop_nothing(tmp_path: Path) -> None:
    def step(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
        y = labels()
        for t in range(TIME):
            loss = F.cross_entropy(model(x[:, t]), y[:, t])
            torch.autograd.grad(loss, list(model.parameters()), retain_graph=True)
        return loss

    assert run_of_training(step, tmp_path).recorded(DroppedLoss) == []


WEIGHTED: dict[str, tuple[bool, Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]]] = {
    "mean": (True, lambda p, y, w: (F.cross_entropy(p, y) * w).mean()),
    "masked": (True, lambda p, y, w: ((w > 0.5) * F.cross_entropy(p, y)).sum() / w.sum()),
    "by hand": (True, lambda p, y, w: (w * (p - F.one_hot(y, CLASSES)).square().mean()).mean()),
    "each": (False, lambda p, y, w: (F.cross_entropy(p, y, reduction="none") * w).mean()),
    "equal": (False, lambda p, y, w: (F.cross_entropy(p, y) * torch.ones(ROWS)).mean()),
    "number": (False, lambda p, y, w: F.cross_entropy(p, y) * w[0]),
    "outputs": (False, lambda p, y, w: (p.mean(1) * w).mean()),
}


@pytest.mark.parametrize("name", WEIGHTED)
def test_weights_after_the_mean(name: str, tmp_path: Path) -> None:
    after, loss = WEIGHTED[name]
    run = run_of_training(lambda model, x: loss(model(x[:, 0]), labels()[:, 0], torch.rand(ROWS)), tmp_path)
    assert {tuple(t.weights_after) for t in run.loss_terms} == ({(ROWS,)} if after else {()})


class Attention(nn.Module):
    """Attention over time."""

    def __init__(self, axis: int, kind: str) -> None:
        super().__init__()
        self.q, self.k, self.out = (nn.Linear(FEATURES, n) for n in (8, 8, CLASSES))
        self.score, self.drop = nn.Linear(FEATURES, 1), nn.Dropout(0.1)
        self.axis, self.kind = axis, kind

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.kind == "pooled":
            return self.out((torch.softmax(self.score(x), dim=self.axis) * x).sum(1))
        if self.kind == "clusters":  # an assignment: its scores come from a layer
            return self.out((self.q(x).softmax(self.axis).transpose(1, 2) @ x).mean(1))
        scores = (self.q(x) @ self.k(x).transpose(1, 2)).div(8**0.5).masked_fill(torch.zeros(TIME, TIME) > 0, -1e9)
        weights = F.softmax(scores, dim=self.axis)
        if self.kind == "again":
            weights = weights / weights.sum(-1, keepdim=True)
        return self.out((self.drop(weights) @ x)[:, -1])


@pytest.mark.parametrize(
    ("kind", "axis", "found"),
    [
        ("attention", 1, "product"), ("attention", 2, ""), ("attention", -1, ""), ("again", 1, ""), ("clusters", 2, ""),
        ("pooled", 2, "single"), ("pooled", 1, ""),
    ],
)  # fmt: skip
def test_the_axis_of_a_softmax(kind: str, axis: int, found: str, tmp_path: Path) -> None:
    run = run_of_training(lambda m, x: F.cross_entropy(m(x), labels()[:, 0]), tmp_path, Attention(axis, kind))
    told = run.recorded(NormalizedAxis)
    assert [(t.kind, t.wrong == t.calls, t.axis) for t in told] == [(found, True, axis)] * bool(found)


@pytest.mark.parametrize(("axis", "wrong"), [(0, 1), (1, 0)])
def test_vectors_that_are_normalized_over_the_batch(axis: int, wrong: int, tmp_path: Path) -> None:
    def step(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
        z = F.normalize(model(x[:, 0]), dim=axis)
        return F.cross_entropy(z @ z.t(), torch.arange(ROWS))

    found = run_of_training(step, tmp_path).recorded(NormalizedAxis)
    assert [f.kind for f in found] == ["vectors"] * wrong


@pytest.mark.parametrize(
    ("loss", "function", "expected"),
    [
        (lambda p, y: F.nll_loss(F.relu(p).log_softmax(1), y), "nll_loss", "ReluBackward0"),
        (lambda p, y: F.nll_loss(p.log_softmax(1), y), "nll_loss", "AddmmBackward0"),
        (lambda p, y: F.binary_cross_entropy(p[:, 0].sigmoid().sigmoid(), y % 2.0), "binary_cross_entropy", "Sigmoid"),
        (lambda p, y: F.cross_entropy(F.relu(p), y), "cross_entropy", ""),
    ],
)
def test_what_a_softmax_or_a_sigmoid_was_given(loss: Any, function: str, expected: str, tmp_path: Path) -> None:
    run = run_of_training(lambda model, x: loss(model(x[:, 0]), labels()[:, 0]), tmp_path)
    calls = run.training_calls(function)
    assert calls
    assert all(c.scores_op.startswith(expected) and bool(c.scores_op) == bool(expected) for c in calls)


BY_HAND: dict[str, tuple[str, str, Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]]] = {
    "log of softmax": ("nll_loss", "", lambda p, hot, t: -(hot * torch.log(p.softmax(0) + 1e-9)).sum(1).mean()),
    "half": ("binary_cross_entropy", "log p", lambda p, hot, t: -(t * torch.log(p[:, 0].sigmoid() + 1e-7)).mean()),
    "whole": ("", "", lambda p, hot, t: -(t * p[:, 0].sigmoid().log() + (1 - t) * (1 - p[:, 0].sigmoid()).log()).mean()),
    "apart": ("", "", lambda p, hot, t: -(t * p[:, 0].sigmoid().log()).mean() - ((1 - t) * (1 - p[:, 0].sigmoid()).log()).mean()),
}  # fmt: skip


@pytest.mark.parametrize("name", BY_HAND)
def test_cross_entropies_written_by_hand(name: str, tmp_path: Path) -> None:
    function, part, loss = BY_HAND[name]

    def step(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
        y = torch.arange(ROWS) % CLASSES
        return loss(model(x[:, 0]), F.one_hot(y, CLASSES).float(), (y % 2).float())

    run = run_of_training(step, tmp_path)
    assert [(s.function, s.settings["part"]) for s in run.loss_sites] == [(function, part)] * bool(function)
    assert all(c.input_op == "LogSoftmaxBackward0" and c.value > 0 for c in run.training_calls("nll_loss"))
    assert bool([a for a in run.loss_axes if a.softmax_dim == 0]) == (name == "log of softmax")


@pytest.mark.parametrize(("normalized", "off"), [(True, False), (False, True)])
def test_logits_into_a_ctc_loss(normalized: bool, off: bool, tmp_path: Path) -> None:
    def step(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
        out = model(x).transpose(0, 1)
        lengths, targets = torch.full((ROWS,), TIME), torch.ones(ROWS, 1, dtype=torch.long)
        out = out.log_softmax(-1) if normalized else out
        return nn.CTCLoss()(out, targets, lengths, torch.ones(ROWS, dtype=torch.long))

    calls = run_of_training(step, tmp_path).training_calls("ctc_loss")
    assert calls
    assert all(c.log_sum_error is not None and (c.log_sum_error > 0.05) == off for c in calls)
