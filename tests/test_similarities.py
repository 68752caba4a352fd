"""Cosines are followed to the softmax of a loss, however they are normalized, scaled and compared."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import flightcheck
from flightcheck.recording.similarities import ScaledSimilarity
from flightcheck.testing import verdict_of

ROWS = 24


def one_way(a: Tensor, b: Tensor) -> Tensor:
    logits = F.normalize(a, dim=1) @ F.normalize(b, dim=1).t()
    logits *= 0.1
    return F.cross_entropy(logits, torch.arange(ROWS))


def all_views(a: Tensor, b: Tensor) -> Tensor:
    z = torch.cat([a, b])
    z = z / z.norm(dim=1, keepdim=True)
    scores = torch.einsum("id,jd->ij", z, z) / 10.0
    scores = scores.masked_fill(torch.eye(2 * ROWS, dtype=torch.bool), float("-inf"))
    partner = torch.arange(2 * ROWS).roll(ROWS)
    return -scores.log_softmax(1)[torch.arange(2 * ROWS), partner].mean()


def by_hand(a: Tensor, b: Tensor) -> Tensor:
    similar = torch.exp(F.cosine_similarity(a[:, None], b[None], dim=-1) * 0.07)
    return -torch.log(similar.diagonal() / similar.sum(1)).mean()


def by_logarithms(a: Tensor, b: Tensor) -> Tensor:
    scores = 0.07 * F.cosine_similarity(a[:, None], b[None], dim=-1)
    return (scores.logsumexp(1) - scores.diagonal()).mean()


def kernel(a: Tensor, b: Tensor) -> Tensor:
    """How evenly points lie on the sphere: a wide kernel, and nothing that is to be told apart."""
    z = F.normalize(torch.cat([a, b]), dim=1)
    return (0.25 * (z @ z.t())).exp().mean().log()


def divided(a: Tensor, b: Tensor) -> Tensor:
    logits = F.normalize(a, dim=1) @ F.normalize(b, dim=1).t() / 0.1
    return F.cross_entropy(logits, torch.arange(ROWS))


def of_any_length(a: Tensor, b: Tensor) -> Tensor:
    return F.cross_entropy(a @ b.t() * 0.1, torch.arange(ROWS))


def halved(a: Tensor, b: Tensor) -> Tensor:
    """The factor is one of the loss, and not of the scores."""
    logits = F.normalize(a, dim=1) @ F.normalize(b, dim=1).t() / 0.2
    return 0.1 * (F.cross_entropy(logits, torch.arange(ROWS)) + F.cross_entropy(logits.t(), torch.arange(ROWS)))


def learned(a: Tensor, b: Tensor) -> Tensor:
    scale = nn.Parameter(torch.tensor(0.1))
    return F.cross_entropy(F.normalize(a, dim=1) @ F.normalize(b, dim=1).t() * scale, torch.arange(ROWS))


@pytest.mark.parametrize(
    ("loss", "scale"),
    [
        (one_way, 0.1),
        (all_views, 0.1),
        (by_hand, 0.07),
        (by_logarithms, 0.07),
        (kernel, 0),
        (divided, 0),
        (of_any_length, 0),
        (halved, 0),
        (learned, 0),
    ],
)
def test_which_scales_are_found(tmp_path: Path, loss: Callable[[Tensor, Tensor], Tensor], scale: float) -> None:
    torch.manual_seed(0)
    left, right = nn.Linear(6, 8), nn.Linear(5, 8)
    with flightcheck.watch(runs_dir=tmp_path, report=False) as seen:
        optimizer = torch.optim.SGD([*left.parameters(), *right.parameters()], lr=0.01)
        for _ in range(5):
            optimizer.zero_grad()
            loss(left(torch.randn(ROWS, 6)), right(torch.randn(ROWS, 5))).backward()
            optimizer.step()
    assert seen.run is not None
    assert not [b for b in seen.run.coverage.blind if "of Flightcheck itself" in b]
    assert [f.scale for f in seen.run.recorded(ScaledSimilarity)] == pytest.approx([scale] if scale else [])
    assert len(verdict_of("L24", seen.run).findings) == bool(scale)
