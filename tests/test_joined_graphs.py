"""Batches of graphs: how far their edges reach, whatever way they are joined, passed along and pooled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import flightcheck
from flightcheck.patch import Patch
from flightcheck.recording.joined_graphs import JoinedGraphs
from flightcheck.testing import verdict_of
from tests.lab.made import patched

GRAPHS, EACH = 6, 5
Pass = Callable[[Tensor, Tensor], Tensor]
Pool = Callable[[Tensor], Tensor]


def indexed(h: Tensor, edges: Tensor) -> Tensor:
    return torch.zeros_like(h).index_add(0, edges[1], h[edges[0]])


def scattered(h: Tensor, edges: Tensor) -> Tensor:
    loops = torch.arange(len(h)).repeat(2, 1)
    source, into = torch.cat([edges, loops], dim=1)
    sent = h.index_select(0, source)
    return torch.zeros_like(h).scatter_add_(0, into[:, None].expand_as(sent), sent)


def sparse(h: Tensor, edges: Tensor) -> Tensor:
    return torch.sparse.mm(torch.sparse_coo_tensor(edges, torch.ones(edges.shape[1]), (len(h), len(h))), h)


def dense(h: Tensor, edges: Tensor) -> Tensor:
    matrix = torch.zeros(len(h), len(h))
    matrix[edges[0], edges[1]] = 1
    return matrix @ h


def by_number(h: Tensor) -> Tensor:
    return torch.zeros(GRAPHS, h.shape[1]).index_add(0, torch.arange(GRAPHS).repeat_interleave(EACH), h)


def in_pieces(h: Tensor) -> Tensor:
    return torch.stack([part.sum(0) for part in h.split([EACH] * GRAPHS)])


def by_shape(h: Tensor) -> Tensor:
    return h.view(GRAPHS, EACH, -1).sum(1)


class Net(nn.Module):
    def __init__(self, along: Pass, pool: Pool) -> None:
        super().__init__()
        self.inner, self.out, self.along, self.pool = nn.Linear(3, 4), nn.Linear(4, 1), along, pool

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        h = self.inner(x)
        return self.out(self.pool(h + self.along(h, edges)))


@pytest.mark.parametrize("along", [indexed, scattered, sparse, dense])
@pytest.mark.parametrize("pool", [by_number, in_pieces, by_shape])
@pytest.mark.parametrize("shift", [0, EACH])
def test_edges_of_the_first_graph_alone_are_told(tmp_path: Path, along: Pass, pool: Pool, shift: int) -> None:
    torch.manual_seed(0)
    net = Net(along, pool)
    with flightcheck.watch(runs_dir=tmp_path, report=False) as seen:
        optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
        for _ in range(6):
            edges = torch.cat([torch.randint(EACH, (2, 8)) + shift * g for g in range(GRAPHS)], dim=1)
            optimizer.zero_grad()
            net(torch.randn(GRAPHS * EACH, 3), edges).pow(2).mean().backward()
            optimizer.step()
    assert seen.run is not None
    assert not [b for b in seen.run.coverage.blind if "of Flightcheck itself" in b]
    (found,) = seen.run.recorded(JoinedGraphs)
    assert found.batches >= 4
    assert bool(verdict_of("D27", seen.run).findings) == (shift == 0)


@pytest.mark.parametrize("nodes_first", [True, False])
def test_a_patch_shifts_the_edges_of_each_graph(tmp_path: Path, nodes_first: bool) -> None:
    reached: list[int] = []
    line = 0

    def train() -> None:
        nonlocal line
        net = Net(indexed, by_number)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
        for _ in range(4):
            x = torch.cat([torch.randn(EACH, 3) for _ in range(GRAPHS)]) if nodes_first else None
            edges = torch.cat([torch.randint(EACH, (2, 8)) for _ in range(GRAPHS)], dim=1)
            x = torch.cat([torch.randn(EACH, 3) for _ in range(GRAPHS)]) if x is None else x
            reached.append(int(edges.max()))
            optimizer.zero_grad()
            net(x, edges).pow(2).mean().backward()
            optimizer.step()

    line = train.__code__.co_firstlineno + 6
    done = patched(tmp_path, f"edges:test_joined_graphs.py:{line}", train)
    assert min(reached) >= EACH * (GRAPHS - 1)
    assert sum(done.applied.values()) == 4
    assert str(Patch.parse("edges:train.py:34")) == "edges:train.py:34"
