"""A softmax over the wrong axis is over the classes in the trial, where it stands and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Categorical

from flightcheck.checks.base import Finding
from flightcheck.checks.registry import run_checks
from flightcheck.lab.diffs import diff_of
from flightcheck.patch import Patch
from flightcheck.recording.records import Location
from flightcheck.testing import run_of
from tests.lab.made import CLASSES, FEATURES, Loop, equal, patched

HERE = Path(__file__).name
SOURCE = Path(__file__).read_text(encoding="utf-8")
LINE = next(i for i, text in enumerate(SOURCE.splitlines(), 1) if text.endswith("# over the classes?"))


class Tagger(nn.Module):
    """(batch, time, features) to log-probabilities of (batch, time, classes), with an attention over time."""

    def __init__(self, dim: int, module: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.scores, self.out, self.dim = nn.Linear(FEATURES, 1), nn.Linear(FEATURES, CLASSES), dim
        self.last = nn.LogSoftmax(dim=dim) if module else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + (x * torch.softmax(self.scores(x), dim=1)).sum(1, keepdim=True)
        h = self.out(x)
        return F.log_softmax(h, dim=self.dim) if self.last is None else self.last(h)  # over the classes?


def training(dim: int, module: bool) -> Loop:
    made = torch.Generator().manual_seed(0)
    x = torch.randn(48, 7, FEATURES, generator=made)
    y = x[..., :CLASSES].argmax(-1)

    def loss(out: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return F.nll_loss(out.reshape(-1, CLASSES), target.reshape(-1))

    return Loop(Tagger(dim, module), loss, pairs=list(zip(x.split(6), y.split(6), strict=True)))


@pytest.mark.parametrize("module", [False, True], ids=["call", "module"])
def test_the_training_that_was_meant(tmp_path: Path, module: bool) -> None:
    right, wrong, mended = (training(dim, module) for dim in (-1, 1, 1))
    right()
    found = patched(tmp_path, "", wrong).run
    ((finding,),) = (v.findings for v in run_checks(found, ["L06"]))
    assert finding.patch == f"axes:softmax=-1:{HERE}:{LINE}"
    done = patched(tmp_path, finding.patch, mended)
    assert done.applied == {finding.patch: 8}
    assert equal(mended.weights, right.weights)
    assert not equal(wrong.weights, right.weights)


def test_another_line_is_left_alone(tmp_path: Path) -> None:
    control, loop = training(1, False), training(1, False)
    control()
    done = patched(tmp_path, f"axes:softmax=-1:{HERE}:{LINE + 1}", loop)
    assert done.applied == {}
    assert equal(control.weights, loop.weights)


@pytest.mark.parametrize(
    ("code", "new"),
    [
        ("return F.log_softmax(self.fc(h), dim=1)", "return F.log_softmax(self.fc(h), dim=-1)"),
        ("p = torch.softmax(self.fc(h), 0)", "p = torch.softmax(self.fc(h), -1)"),
        ("self.last = nn.LogSoftmax(0)", "self.last = nn.LogSoftmax(dim=-1)"),
        ("self.last = nn.Softmax()", "self.last = nn.Softmax(dim=-1)"),
        ("return self.last(h)", "# the same over the classes: dim=-1"),
    ],
)
def test_the_line_over_the_classes(code: str, new: str) -> None:
    finding = Finding("", Location("train.py", 4, "f", code))
    assert diff_of([Patch.parse("axes:softmax=-1:train.py:4")], finding, run_of()) == f"- {code}\n+ {new}"


@pytest.mark.parametrize("acting", [False, True], ids=["in the loss", "and to act without gradients"])
def test_a_distribution_gets_the_logits_that_its_policy_made_probabilities_of(tmp_path: Path, acting: bool) -> None:
    def training(soft: bool) -> Loop:
        torch.manual_seed(0)
        policy = nn.Sequential(nn.Linear(FEATURES, CLASSES), nn.Softmax(dim=-1) if soft else nn.Identity())

        def loss(out: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
            taken = torch.zeros(6)
            if acting:
                with torch.no_grad():
                    taken = Categorical(logits=policy(torch.ones(6, FEATURES))).probs[:, 0]
            chances = Categorical(logits=out)
            return -(chances.log_prob(torch.arange(6) % CLASSES) * (1 + taken)).mean() - chances.entropy().mean()

        return Loop(policy, loss)

    right, wrong, mended = training(False), training(True), training(True)
    right()
    wrong()
    done = patched(tmp_path, "drop-module:softmax", mended)
    assert done.applied["drop-module:softmax"] >= 8
    assert mended.losses == pytest.approx(right.losses)
    assert wrong.losses != pytest.approx(right.losses)


class Looking(nn.Module):
    """An attention over its own input, and a softmax in the place of an activation."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.query, self.key, self.out = (nn.Linear(FEATURES, n) for n in (8, 8, CLASSES))
        self.seen: list[torch.Tensor] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores = self.query(x) @ self.key(x).T
        weights = torch.softmax(scores, dim=-1)  # the attention
        self.seen += [scores.detach(), weights.detach()]
        return self.out(torch.softmax(weights @ x, dim=-1))  # the activation


def line_of(comment: str) -> int:
    return next(i for i, text in enumerate(SOURCE.splitlines(), 1) if text.endswith(f"# {comment}"))


def looked(folder: Path, patches: str) -> tuple[Looking, dict[str, int]]:
    net = Looking()

    def loop() -> None:
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            F.cross_entropy(net(torch.randn(6, FEATURES)), torch.randint(CLASSES, (6,))).backward()
            optimizer.step()

    return net, patched(folder, patches, loop).applied


def test_the_scores_of_one_line_get_another_scale(tmp_path: Path) -> None:
    patch = f"attention-scale:{HERE}:{line_of('the attention')}=0.25"
    net, applied = looked(tmp_path, patch)
    assert applied == {patch: 3}
    for scores, weights in zip(net.seen[::2], net.seen[1::2]):
        assert torch.equal(weights, torch.softmax(scores * 0.25, dim=-1))


def test_a_softmax_between_layers_gives_way_to_relu(tmp_path: Path) -> None:
    patch = f"swap-activation:softmax@{HERE}:{line_of('the activation')}"
    net, applied = looked(tmp_path, patch)
    assert applied == {patch: 3}
    for scores, weights in zip(net.seen[::2], net.seen[1::2]):
        assert torch.equal(weights, torch.softmax(scores, dim=-1)), "the attention stays"
