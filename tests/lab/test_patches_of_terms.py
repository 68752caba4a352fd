"""The gradient of each term of a loss by itself: what is measured, and that nothing is changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from flightcheck.adapters.torch.probes.terms import shares
from flightcheck.checks.base import Finding
from flightcheck.lab.diffs import diff_of
from flightcheck.patch import Patch
from flightcheck.recording.records import Location
from flightcheck.testing import run_of
from tests.lab.made import CLASSES, FEATURES, Loop, batches, equal, patched

LINES = {
    mark: i
    for i, line in enumerate(Path(__file__).read_text(encoding="utf-8").splitlines(), 1)
    for mark in ("kind", "size", "narrow")
    if line.endswith(f"# {mark}")
}


class Heads(nn.Module):
    """Two outputs of one body."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Linear(FEATURES, 16), nn.Tanh())
        self.kind, self.size = nn.Linear(16, CLASSES), nn.Linear(16, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        h = self.body(x)
        return self.kind(h), self.size(h).squeeze(1)


class Both(Loop):
    """A sum of two losses, the second with a weight."""

    def __init__(self, weight: Any) -> None:
        super().__init__(Heads(), pairs=batches(96) * 10)
        self.weight = weight

    def step(self, x: torch.Tensor, y: torch.Tensor) -> None:
        kinds, sizes = self.model(x)
        one = F.cross_entropy(kinds, y)  # kind
        other = F.mse_loss(sizes, x.mean(1))  # size
        loss = one + self.weight * other
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


def looks(folder: Path, loop: Loop) -> list[dict[str, Any]]:
    found = [p.result for p in patched(folder, "probe:terms", loop, steps=120).run.probes]
    return list(found[0]["looks"]) if found else []


@pytest.mark.parametrize("weight", [1e-3, torch.tensor(1e-3)], ids=["number", "tensor"])
def test_shares_of_two_terms(tmp_path: Path, weight: Any) -> None:
    ends = []
    for probed in (True, False):
        loop = Both(weight)
        found = looks(tmp_path, loop) if probed else patched(tmp_path, "", loop, steps=120) and []
        ends.append([*loop.weights, torch.rand(3)])
        if probed:
            assert [look["step"] for look in found] == [0, 20, 40, 60, 80, 100]
            for look in found:
                kind, size = look["terms"]
                assert (kind["line"], size["line"]) == (LINES["kind"], LINES["size"])
                assert kind["share"] + size["share"] == pytest.approx(1.0)
                assert size["share"] < 0.05
                assert kind["toward"] + size["toward"] == pytest.approx(1.0, abs=1e-4)
                assert kind["value"] > 0
    assert equal(*ends), "nothing is changed"


def test_the_factor_of_a_term_is_in_its_share() -> None:
    w = torch.tensor([1.0, 2.0], requires_grad=True)
    one, other = (w * torch.tensor([1.0, 0.0])).sum() ** 2, (w * torch.tensor([0.0, 1.0])).sum() ** 2
    loss = one + 3 * other
    nodes = [one.grad_fn, other.grad_fn]
    first, second = shares(loss, nodes, [w])
    assert (first["norm"], second["norm"]) == pytest.approx((2.0, 12.0))
    assert second["share"] == pytest.approx(12 / 14)
    loss.backward()  # the graph is still there, and has no hooks
    assert w.grad is not None
    assert w.grad.tolist() == pytest.approx([2.0, 12.0])


def test_terms_without_shared_weights_are_not_compared() -> None:
    a, b = (torch.tensor([1.0], requires_grad=True) for _ in range(2))
    one, other = a.sum() ** 2, b.sum() ** 2
    assert shares(one + other, [one.grad_fn, other.grad_fn], [a, b]) == []


def test_a_single_term_is_not_asked(tmp_path: Path) -> None:
    assert looks(tmp_path, Loop(pairs=batches(96) * 3)) == []


def test_a_term_with_another_weight(tmp_path: Path) -> None:
    by_hand, at = Both(0.5), f"{Path(__file__).name}:{LINES['size']}"
    by_hand()
    tried = Both(2.0)
    done = patched(tmp_path, f"term:2@{at} x0.25", tried)
    assert done.applied[f"term:2@{at} x0.25"] == len(by_hand.pairs)
    assert not done.errors
    for one, other in zip(tried.weights, by_hand.weights, strict=True):
        assert torch.allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("number", [1, 3])
def test_a_term_that_stands_elsewhere_is_left_alone(tmp_path: Path, number: int) -> None:
    control, tried = Both(0.5), Both(0.5)
    control()
    done = patched(tmp_path, f"term:{number}@{Path(__file__).name}:{LINES['size']} x0.25", tried)
    assert not any(done.applied.values())
    assert equal(control.weights, tried.weights)


class Narrow(Both):
    """What the second term is made of is a part of the first one, too."""

    def step(self, x: torch.Tensor, y: torch.Tensor) -> None:
        h = self.model.body(x)
        one = F.cross_entropy(self.model.kind(h), y)
        other = torch.sum(h.exp() - h)  # narrow
        loss = one + self.weight * other
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


def test_only_the_term_has_another_weight_where_terms_share_their_inputs(tmp_path: Path) -> None:
    by_hand, tried = Narrow(0.001), Narrow(0.1)
    by_hand()
    done = patched(tmp_path, f"term:2@{Path(__file__).name}:{LINES['narrow']} x0.01", tried)
    assert any(done.applied.values())
    for one, other in zip(tried.weights, by_hand.weights, strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_the_weight_as_a_user_would_write_it() -> None:
    def told(code: str, line: int = 21) -> str:
        finding = Finding("", Location("train.py", 20), evidence={"other_code": code, "other_line": line})
        return diff_of([Patch("term", "2@train.py:21 x0.02")], finding, run_of())

    assert told("kl = a.sum(1).mean()  # nats") == "- kl = a.sum(1).mean()  # nats\n+ kl = 0.02 * (a.sum(1).mean())"
    assert told("return rec, a.mean()") == "+ 0.02 * (the term in line 21)"
    assert told("kl = a.sum(") == "+ 0.02 * (the term in line 21)"
    assert told("loss = rec + kl", line=20) == "+ 0.02 * (the term in line 20)"
