"""Likelihoods that are written by hand: what do they take for probabilities?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import flightcheck
from flightcheck.checks.loss.l05_logits_into_probability_loss import likelihood, made_probable
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.likelihoods import Likelihood
from flightcheck.recording.loss_records import LossSite
from flightcheck.recording.records import Location
from flightcheck.recording.run import Run
from flightcheck.report.experiments import patch_in_words
from flightcheck.testing import run_of, verdict_of
from tests.lab.made import patched

CLASSES = 4
Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class Net(nn.Module):
    def __init__(self, activation: str) -> None:
        super().__init__()
        self.inp, self.out, self.activation = nn.Linear(3, 8), nn.Linear(8, CLASSES), activation

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores = self.out(self.inp(x).relu())
        if self.activation == "softmax":
            return scores.softmax(1)
        return getattr(scores, self.activation)() if self.activation else scores  # ACTIVATION


def gathered(p: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return -torch.log(p.gather(1, y.unsqueeze(1)).squeeze(1) + 1e-7).mean()


def indexed(p: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return -(p[torch.arange(len(y)), y].clamp_min(1e-7)).log().mean()


def cut(p: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return -(F.one_hot(y, CLASSES) * p.clamp(1e-7, 1 - 1e-7).log()).sum(1).mean()


def cut_both(p: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    t, p = F.one_hot(y, CLASSES), torch.clip(p, min=0.0001, max=0.9999)
    return -(t * torch.log(p) + (1 - t) * torch.log(1 - p)).mean()


def hazards(p: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Of survival: the event happens at y, and not before."""
    before = torch.arange(CLASSES) < y.unsqueeze(1)
    return -(torch.log(p.gather(1, y.unsqueeze(1)) + 1e-7) + ((1 - p).log() * before).sum(1, keepdim=True)).mean()


def heads(p: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """A head for each class, and a label of its own: right or not."""
    own = p.gather(1, y.unsqueeze(1)).squeeze(1)
    real = torch.arange(len(y)) % 2
    return -(real * torch.log(own + 1e-7) + (1 - real) * torch.log(1 - own + 1e-7)).mean()


def values(q: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Of actions."""
    return F.mse_loss(q.gather(1, y.unsqueeze(1)).squeeze(1), torch.ones(len(y)))


def drawn(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Pictures whose values are cut to what can be shown."""
    return F.mse_loss(x.clamp(0, 1), torch.rand(len(y), CLASSES))


def train(net: Net, loss: Loss, steps: int = 12) -> None:
    torch.manual_seed(0)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    for _ in range(steps):
        x = torch.randn(16, 3)
        optimizer.zero_grad()
        loss(net(x), x.sum(1).gt(0).long() + 2 * x[:, 0].gt(0).long()).backward()
        optimizer.step()


def watched(folder: Path, activation: str, loss: Loss) -> Run:
    with flightcheck.watch(runs_dir=folder, report=False) as watched:
        train(Net(activation), loss)
    assert watched.run is not None and watched.run.coverage.blind == []
    return watched.run


@pytest.mark.parametrize(
    ("activation", "loss", "picked", "rest"),
    [
        ("sigmoid", gathered, True, False), ("sigmoid", indexed, True, False), ("relu", gathered, True, False),
        ("", indexed, True, False), ("relu", cut, False, False), ("relu", cut_both, False, True),
        ("", cut_both, False, True), ("tanh", cut, False, False),
    ],
)  # fmt: skip
def test_what_is_no_probability(activation: str, loss: Loss, picked: bool, rest: bool, tmp_path: Path) -> None:
    run = watched(tmp_path, activation, loss)
    (found,) = run.recorded(Likelihood)
    assert (found.picked, found.rest, found.classes) == (picked, rest, CLASSES) and found.calls >= 3
    assert likelihood(run) == found and found.made_at is not None


@pytest.mark.parametrize(
    ("activation", "loss"),
    [
        ("softmax", gathered), ("softmax", indexed), ("softmax", cut), ("sigmoid", cut), ("sigmoid", cut_both),
        ("sigmoid", hazards), ("sigmoid", heads), ("", values), ("relu", values), ("", drawn), ("relu", drawn),
    ],
)  # fmt: skip
def test_what_is_one(activation: str, loss: Loss, tmp_path: Path) -> None:
    assert watched(tmp_path, activation, loss).recorded(Likelihood) == []


LINE = Location("train.py", 31, "loss_fn", "q = p.gather(1, y)")


def seen(*more: Experiment, **other: object) -> Run:
    fields = {"activation": "SigmoidBackward0", "picked": True, "calls": 5, "classes": 3, **other}
    return run_of(LossSite(0, "mse_loss", Location("train.py", 50)), Likelihood(LINE, **fields), *more, steps=9)  # type: ignore[arg-type]


@pytest.mark.parametrize(("status", "told"), [("confirmed", True), ("refuted", False), ("untested", False)])
def test_a_trial_decides(status: str, told: bool) -> None:
    tried = Experiment("L05", "loss:softmax:train.py:31", status=status)
    found = verdict_of("L05", seen(tried)).findings
    assert [f.patch for f in found] == ["loss:softmax:train.py:31"] * told
    assert not found or "nothing keeps the others down" in found[0].message


def test_what_is_tried() -> None:
    use = likelihood(seen())
    assert use is not None and made_probable(use) == ["loss:softmax:train.py:31"]
    for rest, first in ((True, "sigmoid"), (False, "softmax")):
        use = likelihood(seen(picked=False, activation="ReluBackward0", rest=rest))
        assert use is not None and made_probable(use)[0] == f"loss:{first}:train.py:31" and len(made_probable(use)) == 2
    assert likelihood(seen(calls=2)) is None


@pytest.mark.parametrize(("activation", "loss"), [("sigmoid", gathered), ("", indexed), ("relu", gathered)])
def test_with_the_patch_it_is_the_cross_entropy(activation: str, loss: Loss, tmp_path: Path) -> None:
    text = Path(__file__).read_text().splitlines()
    line = next(i for i, code in enumerate(text, 1) if code.startswith(f"def {loss.__name__}(")) + 1
    weights: list[list[torch.Tensor]] = []

    def run() -> None:
        torch.manual_seed(1)
        net = Net(activation)
        train(net, loss)
        weights.append([p.detach().clone() for p in net.parameters()])

    assert patched(tmp_path, f"loss:softmax:test_likelihoods.py:{line}", run).applied
    torch.manual_seed(1)
    right = Net("")
    train(right, F.cross_entropy)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(weights[0], right.parameters()))


def test_what_was_tried_is_told_in_words() -> None:
    assert patch_in_words("loss:softmax:train.py:31", seen()) == "a softmax before line 31"
