"""Losses of pairs and triplets: what is to be near and what is to be far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import flightcheck
from flightcheck.checks.base import Verdict
from flightcheck.checks.loss._pairs import ROLES, stuck_pairs
from flightcheck.lab.diffs import diff_of
from flightcheck.patch import Patch
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.loss_records import LossCall, LossSite
from flightcheck.recording.records import Location, RunInfo
from flightcheck.testing import run_of, verdict_of
from tests.lab.made import patched

LINE = Location("train.py", 71, code="loss = F.triplet_margin_loss(a, n, p, margin=0.4)")
TRIPLETS = LossSite(0, "triplet_margin_loss", LINE, {"margin": 0.4, "as_given": True}, train_calls=300)
SIGNS = LossSite(0, "cosine_embedding_loss", LINE, {"margin": 0.1}, train_calls=300)
PROOF = Experiment("L08", ROLES, status="confirmed", metric="loss", before=0.4, after=0.05, steps=80)
INFO = RunInfo("r", "train.py", "train.py", steps=300, evaluations=3)


def calls(value: float, *, target_mean: float = 0.0, start: int = 0) -> list[LossCall]:
    call = LossCall(0, 0, True, [32, 8], [32, 8], [], "float32", "float32", value, -1, 1, -1, 1)
    return [replace(call, step=step, target_mean=target_mean) for step in range(start, start + 150, 10)]


def verdict(*records: Any) -> Verdict:
    return verdict_of("L08", run_of(INFO, *records))


def test_a_loss_at_its_margin_that_falls_with_the_roles_exchanged() -> None:
    run = run_of(INFO, TRIPLETS, *calls(0.39), PROOF)
    (finding,) = verdict_of("L08", run).findings
    assert (finding.location, finding.severity, finding.patch) == (LINE, None, ROLES)
    assert "positive and negative" in diff_of([Patch.parse(ROLES)], finding, run)
    assert verdict(TRIPLETS, *calls(0.39)).findings == (), "no trial, no finding"
    assert verdict(TRIPLETS, *calls(0.39), replace(PROOF, status="inconclusive")).findings == ()


@pytest.mark.parametrize(
    "records",
    [
        (TRIPLETS, *calls(0.30)),
        (TRIPLETS, *calls(0.39, start=-100)),
        (replace(TRIPLETS, settings={"margin": 0.4, "as_given": False}), *calls(0.39)),
        (replace(TRIPLETS, settings={"margin": 0.4, "as_given": True, "reduction": "sum"}), *calls(12.0)),
        (replace(TRIPLETS, function="mse_loss"), *calls(0.39)),
    ],
    ids=["below the margin", "the first steps", "hard negatives", "a sum", "no pairs"],
)
def test_what_is_not_asked(records: tuple[Any, ...]) -> None:
    assert stuck_pairs(run_of(INFO, *records)) == []


def test_evaluations_in_each_step_may_choose_the_pairs() -> None:
    assert stuck_pairs(run_of(replace(INFO, evaluations=290), TRIPLETS, *calls(0.39))) == []


def test_the_constant_answer_knows_the_share_of_near_pairs() -> None:
    (even,) = stuck_pairs(run_of(INFO, SIGNS, *calls(0.44)))
    assert even.constant == pytest.approx(0.45)
    (few,) = stuck_pairs(run_of(INFO, SIGNS, *calls(0.2, target_mean=-0.6)))
    assert few.constant == pytest.approx(0.18)
    assert stuck_pairs(run_of(INFO, SIGNS, *calls(0.3))) == []


def whole(net: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    return [F.normalize(net(part), dim=1) for part in x.chunk(3)]


def slices(net: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    z = net(x)
    return [z[:4], z[4:8], z[8:]]


def picked(net: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    z = net(x)
    hardest = torch.cdist(z[:4], z).argmax(1)
    return [z[:4], z[hardest], z[8:]]


@pytest.mark.parametrize("embed", [whole, slices, picked])
def test_who_chose_the_triplets(embed: Callable[..., Any], tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with flightcheck.watch(runs_dir=tmp_path, report=False) as watched:
        for _ in range(2):
            optimizer.zero_grad()
            F.triplet_margin_loss(*embed(net, torch.rand(12, 3)), margin=0.3).backward()
            optimizer.step()
    assert watched.run is not None
    (site,) = watched.run.loss_sites
    assert site.settings["margin"] == pytest.approx(0.3)
    assert site.settings["as_given"] is (embed is not picked)


A, B, C, SIGN = torch.rand(4, 2), torch.rand(4, 2), torch.rand(4, 2), torch.tensor([1.0, -1.0, 1.0, 1.0])
CALLS: dict[str, tuple[Callable[[torch.Tensor], torch.Tensor], Callable[[torch.Tensor], torch.Tensor]]] = {
    "triplets": (lambda a: F.triplet_margin_loss(a, B, C, 0.3), lambda a: F.triplet_margin_loss(a, C, B, 0.3)),
    "by name": (
        lambda a: nn.TripletMarginLoss(margin=0.3)(anchor=a, negative=C, positive=B),
        lambda a: F.triplet_margin_loss(a, C, B, 0.3),
    ),
    "cosine": (lambda a: F.cosine_embedding_loss(a, B, SIGN), lambda a: F.cosine_embedding_loss(a, B, -SIGN)),
    "hinge": (
        lambda a: F.hinge_embedding_loss((a - B).norm(dim=1), target=SIGN),
        lambda a: F.hinge_embedding_loss((a - B).norm(dim=1), -SIGN),
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_trial_exchanges_near_and_far(name: str, tmp_path: Path) -> None:
    given, exchanged = CALLS[name]
    losses: list[float] = []

    def loop() -> None:
        torch.manual_seed(0)
        net = nn.Linear(2, 2)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        for _ in range(2):
            loss = given(net(A))
            losses.append(loss.item())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    done = patched(tmp_path, ROLES, loop)
    assert done.applied[ROLES] == 2
    torch.manual_seed(0)
    assert losses[0] == pytest.approx(exchanged(nn.Linear(2, 2)(A)).item())


RANKED = LossSite(0, "margin_ranking_loss", LINE, {"margin": 1.0}, train_calls=300)
OF_DISTANCES = LossCall(
    0, 0, True, [32], [32], [], "float32", "float32", 0.9, 0.1, 3.0, 1.0, 1.0, input_op="SqrtBackward0"
)  # fmt: skip


def ranked(call: LossCall = OF_DISTANCES, proof: Experiment = PROOF) -> Verdict:
    return verdict(RANKED, *(replace(call, step=i) for i in range(8)), replace(proof, metric="printed test auc"))


def test_the_larger_of_two_distances_is_asked_for_where_a_trial_showed_the_other_order_to_be_right() -> None:
    (finding,) = ranked().findings
    assert (finding.location, finding.patch) == (LINE, ROLES)
    assert "the test auc after 80 steps is 0.05, and not 0.4" in finding.message
    for fine in (
        ranked(proof=replace(PROOF, status="inconclusive")),  # the farther pair is given first
        ranked(replace(OF_DISTANCES, target_min=-1.0, target_max=-1.0)),
        ranked(replace(OF_DISTANCES, target_min=-1.0)),
        ranked(replace(OF_DISTANCES, input_op="MulBackward0")),  # similarities
        ranked(replace(OF_DISTANCES, input_min=-0.5)),
    ):
        assert not fine.findings


def test_the_target_of_a_ranking_gets_the_other_sign(tmp_path: Path) -> None:
    ends: list[torch.Tensor] = []

    def train(sign: float = 1.0) -> None:
        torch.manual_seed(0)
        net = nn.Linear(3, 2)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        for _ in range(4):
            near, far = net(torch.randn(8, 3)).norm(dim=1), net(torch.randn(8, 3)).norm(dim=1)
            optimizer.zero_grad()
            F.margin_ranking_loss(near, far, sign * torch.ones(8), margin=1.0).backward()
            optimizer.step()
        ends.append(net.weight.detach().clone())

    assert patched(tmp_path, ROLES, train).applied == {ROLES: 4}
    train(-1.0)
    assert torch.equal(*ends)
