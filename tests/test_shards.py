"""Parameters that are spread over processes (FSDP2): only what lies here is read, and nothing is asked of others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.nn.functional import cross_entropy

import flightcheck
from flightcheck.adapters.torch.shards import at_hand, given_back
from flightcheck.adapters.torch.watch import is_plain_tensor
from flightcheck.recording.signals import GRAD_NORM, UPDATE_NORM, WEIGHT_NORM

fsdp = pytest.importorskip("torch.distributed.fsdp")
STEPS = 14


@pytest.fixture
def alone() -> Iterator[None]:
    """A group of one process: memory is given back and gathered as in a larger one."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def trained() -> nn.Module:
    torch.manual_seed(0)
    mesh = init_device_mesh("cpu", (1,))
    model = nn.Sequential(nn.Linear(8, 8), nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 8)), nn.Linear(8, 3))
    fsdp.fully_shard(model[0], mesh=mesh)
    fsdp.fully_shard(model[1], mesh=mesh)
    fsdp.fully_shard(model, mesh=mesh)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(STEPS):
        x = torch.randn(16, 8)
        optimizer.zero_grad()
        cross_entropy(model(x), (x.sum(1) > 0).long()).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return model


def test_a_model_under_fsdp(alone: None, tmp_path: Path) -> None:
    bare = [p.to_local().clone() for p in trained().parameters()]  # type: ignore[attr-defined]
    with flightcheck.watch(runs_dir=tmp_path, report=False) as seen:
        model = trained()
    assert all(torch.equal(p, q.to_local()) for p, q in zip(bare, model.parameters()))  # type: ignore[attr-defined]
    run = seen.run
    assert run is not None
    assert [b for b in run.coverage.blind if "spread over processes" not in b] == []
    assert run.coverage.modules_seen == run.coverage.modules == 4
    assert len(run.parameters) == len(bare), "what FSDP puts in the place of a shard is no parameter of its own"
    assert all(p.in_graph and p.optimizers for p in run.parameters)
    for signal in (GRAD_NORM, WEIGHT_NORM, UPDATE_NORM):
        assert (run.table(signal).values[:10] > 0).any(0).all(), signal.name
    assert seen.diagnosis is not None
    assert [f.code for f in seen.diagnosis.roots if f.info.severity != "info"] == []


def test_memory_that_was_given_back_is_not_read() -> None:
    tensor = torch.ones(8)
    assert is_plain_tensor(tensor) and at_hand(tensor) is tensor
    tensor.untyped_storage().resize_(0)
    assert given_back(tensor)
    assert not is_plain_tensor(tensor)
    assert at_hand(tensor) is None
    assert is_plain_tensor(torch.ones(0))
    assert at_hand(None) is None
