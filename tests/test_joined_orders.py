"""A condition and what is to have it, given to one model: from two tables, in one order or in two."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import flightcheck
from flightcheck.recording.joined_orders import JoinedOrders
from flightcheck.testing import verdict_of

N, BATCH = 256, 64
Pairs = Iterator[tuple[torch.Tensor, torch.Tensor]]
GENERATOR = torch.Generator().manual_seed(0)
CONDITIONS = torch.rand(N, 1, generator=GENERATOR)
RESPONSES = torch.cat([CONDITIONS.square(), torch.rand(N, 1, generator=GENERATOR)], 1)
ELSEWHERE = torch.rand(N, 2, generator=GENERATOR)
SORTED = torch.arange(N).float()[:, None] / N


def loaders(one: torch.Tensor, other: torch.Tensor) -> Pairs:
    first, second = (DataLoader(TensorDataset(t), batch_size=BATCH, shuffle=True) for t in (one, other))
    for _ in range(4):
        for (a,), (b,) in zip(first, second):
            yield a, b


def apart() -> Pairs:
    return loaders(CONDITIONS, RESPONSES)


def picked_apart() -> Pairs:
    for _ in range(16):
        c = CONDITIONS[torch.randint(N, (BATCH,))]
        yield c, RESPONSES[torch.randint(N, (BATCH,))]


def one_loader() -> Pairs:
    for _ in range(4):
        yield from DataLoader(TensorDataset(CONDITIONS, RESPONSES), batch_size=BATCH, shuffle=True)


def picked_together() -> Pairs:
    for _ in range(16):
        rows = torch.randint(N, (BATCH,))
        yield CONDITIONS[rows], RESPONSES[rows]


def unpaired() -> Pairs:
    """Two domains: no row of one belongs to a row of the other."""
    return loaders(CONDITIONS, ELSEWHERE)


def rare() -> Pairs:
    """Two domains, with a rare word each that one row has by chance in both."""
    one, other = torch.zeros(N, 1), torch.zeros(N, 2)
    one[[3, 90, 170]] = 1
    other[[3, 40, 200]] = 1
    return loaders(one, other)


def both_sorted() -> Pairs:
    """Two domains, each stored in the order of its classes."""
    return loaders(SORTED, SORTED.square())


def train(pairs: Pairs, total: Callable[..., torch.Tensor]) -> None:
    torch.manual_seed(0)
    judge = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 1))
    optimizer = torch.optim.SGD(judge.parameters(), lr=0.1)
    for condition, response in pairs:
        optimizer.zero_grad()
        total(judge, condition, response).backward()
        optimizer.step()


def likely(judge: nn.Module, condition: torch.Tensor, response: torch.Tensor) -> torch.Tensor:
    padded = response if response.shape[1] == 2 else response.expand(-1, 2)
    return nn.functional.softplus(-judge(torch.cat([condition, padded], dim=1))).mean()


def information(judge: nn.Module, condition: torch.Tensor, response: torch.Tensor) -> torch.Tensor:
    """Rows that belong together, and rows that do not (Belghazi et al. 2018)."""
    rows, others = torch.randint(N, (BATCH,)), torch.randint(N, (BATCH,))
    joint = judge(torch.cat([CONDITIONS[rows], RESPONSES[rows]], 1)).mean()
    return judge(torch.cat([CONDITIONS[rows], RESPONSES[others]], 1)).exp().mean().log() - joint


def found(pairs: Pairs, folder: Path, total: Callable[..., torch.Tensor] = likely) -> flightcheck.Run:
    with flightcheck.watch(runs_dir=folder, report=False) as watched:
        train(pairs, total)
    assert watched.run is not None
    assert not watched.run.coverage.blind
    return watched.run


@pytest.mark.parametrize("pairs", [apart, picked_apart])
def test_conditions_of_other_rows(pairs: Callable[[], Pairs], tmp_path: Path) -> None:
    run = found(pairs(), tmp_path)
    (finding,) = verdict_of("D07", run).findings
    assert finding.location is not None
    assert finding.location.function == {"apart": "<genexpr>", "picked_apart": "picked_apart"}[pairs.__name__]
    (joined,) = run.recorded(JoinedOrders)
    assert joined.related > 0.8 > 0.3 > joined.joined


@pytest.mark.parametrize("pairs", [one_loader, picked_together, unpaired, rare, both_sorted])
def test_rows_that_are_joined_rightly(pairs: Callable[[], Pairs], tmp_path: Path) -> None:
    assert not verdict_of("D07", found(pairs(), tmp_path)).findings


def test_rows_that_are_parted_on_purpose(tmp_path: Path) -> None:
    run = found(picked_together(), tmp_path, information)
    assert len(run.recorded(JoinedOrders)) == 2
    assert not verdict_of("D07", run).findings


def test_losses_that_are_added_and_rows_below_each_other_are_no_joins(tmp_path: Path) -> None:
    def apart_losses(judge: nn.Module, condition: torch.Tensor, response: torch.Tensor) -> torch.Tensor:
        padded = condition.expand(-1, 3)
        below = torch.cat([padded, torch.cat([response, response[:, :1]], 1)], dim=-2)
        return judge(below).mean() + judge(padded).square().mean() + response.square().mean()

    run = found(apart(), tmp_path, apart_losses)
    assert not run.recorded(JoinedOrders)
    assert not verdict_of("D07", run).findings


def test_marginals_beside_a_table_that_holds_both(tmp_path: Path) -> None:
    """The rows of the first table hold the others already."""
    table = torch.cat([CONDITIONS, RESPONSES], 1)

    def marginals(judge: nn.Module, packed: torch.Tensor, response: torch.Tensor) -> torch.Tensor:
        return judge(torch.cat([packed[:, :1], response], 1)).exp().mean().log() - judge(packed).mean()

    assert not verdict_of("D07", found(loaders(table, RESPONSES), tmp_path, marginals)).findings
