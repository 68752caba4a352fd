"""Labels that evaluations look up among others: of the nearest, or by mistake of the farthest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import flightcheck
from flightcheck.testing import verdict_of

X = torch.randn(40, 4, generator=torch.Generator().manual_seed(0))
LABELS = (X[:, 0] > 0).long()
BANK = torch.arange(40)


def squares(one: Tensor, other: Tensor) -> Tensor:
    return ((one[:, None] - other[None]) ** 2).sum(-1)


def of_copy(one: Tensor, other: Tensor) -> Tensor:
    return squares(one, other).sqrt().cpu()


FARTHEST: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "topk": lambda a, b: LABELS[torch.cdist(a, b).topk(3, dim=1).indices].mode(dim=1).values,
    "argmax of squares": lambda a, b: LABELS[squares(a, b).argmax(dim=1)],
    "max": lambda a, b: LABELS[of_copy(a, b).max(1)[1]],
    "smallest nearness": lambda a, b: LABELS[(-torch.cdist(a, b)).topk(1, 1, False)[1].squeeze(1)],
}
MEANT: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "nearest": lambda a, b: LABELS[torch.cdist(a, b).topk(3, dim=1, largest=False).indices].mode(dim=1).values,
    "argmin": lambda a, b: LABELS[squares(a, b).argmin(1)],
    "largest nearness": lambda a, b: LABELS[(-torch.cdist(a, b)).argmax(1)],
    "who, and no label": lambda a, b: torch.cdist(a, b).argmax(1),
    "the largest of all": lambda a, b: torch.cdist(a, b).max(),
    "scores": lambda a, b: LABELS[(a @ b.T).argmax(1)],
    "vectors": lambda a, b: X[torch.cdist(a, b).argmax(1)],
}


def findings_with(vote: Callable[[Tensor, Tensor], Tensor], folder: Path) -> list[str]:
    model = nn.Linear(4, 2)
    with flightcheck.watch(runs_dir=folder, report=False) as watched:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(4):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(X), LABELS).backward()
            optimizer.step()
            model.eval()
            with torch.no_grad():
                (vote(model(X[:8]), model(X)) == LABELS[:8]).float().mean().item() if vote is not MEANT[
                    "vectors"
                ] else vote(model(X[:8]), model(X))
            model.train()
    assert watched.run is not None
    return [str(f.patch) for f in verdict_of("T09", watched.run).findings]


@pytest.mark.parametrize("name", FARTHEST)
def test_labels_of_the_farthest_are_seen(name: str, tmp_path: Path) -> None:
    (patch,) = findings_with(FARTHEST[name], tmp_path)
    assert patch.startswith("metric:nearest:test_neighbours.py:")


@pytest.mark.parametrize("name", MEANT)
def test_what_is_meant_is_not(name: str, tmp_path: Path) -> None:
    assert findings_with(MEANT[name], tmp_path) == []
