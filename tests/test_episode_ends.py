"""Which targets of a value function count what would come after an end, and which flags are ends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import flightcheck
from flightcheck.recording.episode_ends import UnendedTarget
from flightcheck.testing import verdict_of

ROWS = 64
Rows = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]


def memory(number: int) -> Rows:
    """States, actions, rewards, next states, whether these fell, whether time was over."""
    draw = torch.Generator().manual_seed(number)
    state = torch.randn(ROWS, 2, generator=draw)
    following = state + 0.5 * torch.randn(ROWS, 2, generator=draw)
    action = torch.randint(2, (ROWS,), generator=draw)
    late = torch.rand(ROWS, generator=draw) < 0.1
    return state, action, torch.randn(ROWS, generator=draw), following, following[:, 0].abs() > 1.8, late


def columns(rows: Rows, flag: Callable[[Rows], Tensor]) -> list[Tensor]:
    """As a memory of one table gives them."""
    table = torch.cat([rows[0], rows[1][:, None], rows[2][:, None], rows[3], flag(rows).float()[:, None]], 1)
    table = table[torch.arange(ROWS)]
    return [table[:, :2], table[:, 2].long(), table[:, 3], table[:, 4:6], table[:, 6]]


def forgotten(r: Tensor, v: Tensor, end: Tensor) -> Tensor:
    return r + 0.9 * v


def multiplied(r: Tensor, v: Tensor, end: Tensor) -> Tensor:
    return r + 0.9 * v * (1 - end)


def discounts(r: Tensor, v: Tensor, end: Tensor) -> Tensor:
    return r + 0.9 * (1 - end) * v


def chosen(r: Tensor, v: Tensor, end: Tensor) -> Tensor:
    return torch.where(end > 0, r, r + 0.9 * v)


def set_to_nothing(r: Tensor, v: Tensor, end: Tensor) -> Tensor:
    v = v.clone()
    v[end > 0] = 0
    return r + 0.9 * v


def fell(rows: Rows) -> Tensor:
    return rows[4]


def goes_on(rows: Rows) -> Tensor:
    return ~rows[4]


def late(rows: Rows) -> Tensor:
    return rows[5]


@pytest.mark.parametrize(
    ("target", "flag", "told"),
    [
        (forgotten, fell, True),
        (forgotten, goes_on, True),
        (forgotten, late, False),
        (multiplied, fell, False),
        (discounts, fell, False),
        (chosen, fell, False),
        (set_to_nothing, fell, False),
    ],
)
def test_which_targets_are_told(
    tmp_path: Path, target: Callable[[Tensor, Tensor, Tensor], Tensor], flag: Callable[[Rows], Tensor], told: bool
) -> None:
    torch.manual_seed(0)
    net, slow = nn.Linear(2, 2), nn.Linear(2, 2)
    with flightcheck.watch(runs_dir=tmp_path, report=False) as seen:
        optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
        for i in range(6):
            s, a, r, s2, end = columns(memory(i), flag)
            with torch.no_grad():
                wanted = target(r, slow(s2).amax(1), end)
            optimizer.zero_grad()
            F.smooth_l1_loss(net(s).gather(1, a[:, None]).squeeze(1), wanted).backward()
            optimizer.step()
    assert seen.run is not None
    assert not [b for b in seen.run.coverage.blind if "of Flightcheck itself" in b]
    assert all(bool(found.masked) == (target is not forgotten) for found in seen.run.recorded(UnendedTarget))
    assert bool(verdict_of("L25", seen.run).findings) == told
