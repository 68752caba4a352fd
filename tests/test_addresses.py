"""Lines by memory."""

from __future__ import annotations

import torch

from flightcheck.adapters.torch.addresses import Addresses
from flightcheck.recording.records import Location

LINE = Location("train.py", 7)


def test_all_tensors_of_a_memory_share_its_line() -> None:
    lines, weight = Addresses(), torch.nn.Parameter(torch.ones(3, 2))
    lines.note(weight.data, LINE)
    assert lines.get(weight) == LINE
    assert lines.get(weight.t()) == LINE
    assert lines.get(torch.ones(3, 2)) is None


def test_a_memory_that_is_used_again_has_no_line() -> None:
    lines = Addresses()
    for _ in range(50):  # the allocator gives the same memory again sooner or later
        lines.note(torch.ones(64), LINE)
        assert lines.get(torch.ones(64)) is None


def test_sparse_tensors_have_none() -> None:
    lines, sparse = Addresses(), torch.eye(3).to_sparse()
    lines.note(sparse, LINE)
    assert lines.get(sparse) is None
