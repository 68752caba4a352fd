"""Pairs whose halves are equal are known by their numbers, however a loss compares them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import flightcheck
from flightcheck.testing import verdict_of

ROWS = 16
OWN = torch.arange(ROWS)
Loss = Callable[[Tensor, Tensor], Tensor]


def info_nce(a: Tensor, b: Tensor) -> Tensor:
    logits = F.normalize(a, dim=1) @ F.normalize(b, dim=1).t() / 0.1
    return (F.cross_entropy(logits, OWN) + F.cross_entropy(logits.t(), OWN)) / 2


def nt_xent(a: Tensor, b: Tensor) -> Tensor:
    z = F.normalize(torch.cat([a, b]))
    scores = (z @ z.T / 0.5).masked_fill(torch.eye(2 * ROWS, dtype=torch.bool), -1e9)
    return F.cross_entropy(scores, torch.arange(2 * ROWS).roll(ROWS))


def by_hand(a: Tensor, b: Tensor) -> Tensor:
    similar = torch.exp(F.cosine_similarity(a[:, None], b[None], dim=-1) / 0.3)
    return -torch.log(similar.diagonal() / similar.sum(1)).mean()


def picked(a: Tensor, b: Tensor) -> Tensor:
    return -torch.einsum("id,jd->ij", a, b).log_softmax(1)[OWN, OWN].mean()


def twins(a: Tensor, b: Tensor) -> Tensor:
    """Barlow Twins."""
    one, other = ((z - z.mean(0)) / (z.std(0) + 1e-6) for z in (a, b))
    related = one.T @ other / ROWS
    return ((related.diagonal() - 1) ** 2).sum() + 0.01 * related.triu(1).pow(2).sum()


def embedded(a: Tensor, b: Tensor) -> Tensor:
    signs = torch.ones(2 * ROWS).masked_fill(torch.arange(2 * ROWS) >= ROWS, -1)
    return nn.CosineEmbeddingLoss()(torch.cat([a, a]), torch.cat([b, b.roll(1, 0)]), signs)


def triplets(a: Tensor, b: Tensor) -> Tensor:
    return nn.TripletMarginLoss()(a, b, b.roll(1, 0))


def squares(a: Tensor, b: Tensor) -> Tensor:
    return F.mse_loss(a, b) + torch.relu(1 - a.std(0)).mean()


LOSSES = [info_nce, nt_xent, by_hand, picked, twins, embedded, triplets, squares]


def findings(folder: Path, loss: Callable[[nn.Module, Tensor], Tensor], net: nn.Module | None = None) -> int:
    torch.manual_seed(0)
    net = net or nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 8))
    with flightcheck.watch(runs_dir=folder, report=False) as seen:
        optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
        for _ in range(5):
            optimizer.zero_grad()
            loss(net, torch.randn(ROWS, 6)).backward()
            optimizer.step()
    assert seen.run is not None
    assert not [b for b in seen.run.coverage.blind if "of Flightcheck itself" in b]
    verdict = verdict_of("L27", seen.run)
    assert all(f.location is not None and "net(" in f.location.code for f in verdict.findings)
    return len(verdict.findings)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_same_view_twice(tmp_path: Path, loss: Loss) -> None:
    assert findings(tmp_path, lambda net, x: loss(net(x), net(x))) == 1


@pytest.mark.parametrize("loss", LOSSES)
def test_two_views(tmp_path: Path, loss: Loss) -> None:
    assert not findings(tmp_path, lambda net, x: loss(net(x), net(x + 0.1 * torch.randn_like(x))))


@pytest.mark.parametrize("loss", LOSSES)
def test_dropout_makes_two_views(tmp_path: Path, loss: Loss) -> None:
    noisy = nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Dropout(0.1), nn.Linear(12, 8))
    assert not findings(tmp_path, lambda net, x: loss(net(x), net(x)), noisy)


def test_one_batch_that_holds_each_twice(tmp_path: Path) -> None:
    assert findings(tmp_path, lambda net, x: nt_xent(*net(torch.cat([x, x])).chunk(2))) == 1


def test_one_embedding_beside_itself(tmp_path: Path) -> None:
    def loss(net: nn.Module, x: Tensor) -> Tensor:
        z = net(x)
        return info_nce(z, z)

    assert findings(tmp_path, loss) == 1


def spread(net: nn.Module, x: Tensor) -> Tensor:
    """A classifier whose embeddings are also to lie apart."""
    z = net(x)
    return F.cross_entropy(z, OWN % 8) + 0.1 * info_nce(z, z)


def covariance(net: nn.Module, x: Tensor) -> Tensor:
    z = net(x) - net(x).mean(0)
    own = z.T @ z / ROWS
    return own.pow(2).sum() - own.diagonal().pow(2).sum() + (own.diagonal() - 1).pow(2).sum()


def once(net: nn.Module, x: Tensor) -> Tensor:
    z = net(x)
    own = (z - z.mean(0)).T @ (z - z.mean(0)) / ROWS
    return own.pow(2).sum() - own.diagonal().pow(2).sum() + (own.diagonal() - 1).pow(2).sum()


def twice_for_two_terms(net: nn.Module, x: Tensor) -> Tensor:
    return F.cross_entropy(net(x), OWN % 8) + 0.01 * net(x).pow(2).mean()


def neighbours(net: nn.Module, x: Tensor) -> Tensor:
    """The right partner has the same label, and nobody is their own."""
    z = F.normalize(net(x))
    scores = (z @ z.t()).masked_fill(torch.eye(ROWS, dtype=torch.bool), -1e9)
    return F.cross_entropy(scores, OWN ^ 1)


def attention(net: nn.Module, x: Tensor) -> Tensor:
    z = net(x)
    return F.mse_loss((z @ z.t()).softmax(1) @ z, x.sum(1, keepdim=True).expand(-1, 8))


def gram(net: nn.Module, x: Tensor) -> Tensor:
    z = net(x)
    return F.mse_loss(z.t() @ z, torch.eye(8))


@pytest.mark.parametrize("loss", [spread, covariance, once, twice_for_two_terms, neighbours, attention, gram])
def test_what_looks_like_it(tmp_path: Path, loss: Callable[[nn.Module, Tensor], Tensor]) -> None:
    assert not findings(tmp_path, loss)


def test_scores_of_more_rows_than_classes_are_no_error(tmp_path: Path) -> None:
    """A classifier written by hand: its scores are a product of features and weights, 32 rows and 4 classes."""
    weights = torch.randn(4, 8, requires_grad=True)
    with flightcheck.watch(runs_dir=tmp_path, report=False) as seen:
        optimizer = torch.optim.SGD([weights], lr=0.1)
        for _ in range(12):
            x = torch.randn(32, 8)
            optimizer.zero_grad()
            F.cross_entropy(x @ weights.t(), x.argmax(1) % 4).backward()
            optimizer.step()
    assert seen.run is not None
    assert not [b for b in seen.run.coverage.blind if "Flightcheck itself" in b]
