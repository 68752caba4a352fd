"""Arrays that hold values of a tensor: what a trial of ``keep-graph`` makes of functions that PyTorch does not know."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from flightcheck.adapters.torch.patching.selections import selected
from tests.lab.made import patched


def highest(x: Any) -> Any:
    """The largest of each value and its two neighbours, by NumPy alone."""
    padded = np.pad(x, ((0, 0), (1, 1)), constant_values=-np.inf)
    return np.lib.stride_tricks.sliding_window_view(padded, 3, axis=1).max(-1)


def kept(x: torch.Tensor) -> torch.Tensor:
    """A tensor with a history."""
    return x.clone().requires_grad_().clone()


@pytest.mark.parametrize(
    ("by_numpy", "by_torch"),
    [
        (highest, lambda x: F.max_pool1d(x, 3, stride=1, padding=1)),
        (lambda x: np.sort(x, axis=1), lambda x: x.sort(1).values),
        (lambda x: np.roll(x, 2, axis=1), lambda x: x.roll(2, 1)),
        (lambda x: np.median(x, axis=1), lambda x: x.median(1).values),
        (lambda x: np.pad(x, ((0, 0), (0, 3))), lambda x: F.pad(x, (0, 3))),
        (lambda x: np.maximum(x, 0)[:, ::2], lambda x: x.relu()[:, ::2]),
    ],
)
def test_a_selection_has_the_gradient_of_what_was_taken(
    by_numpy: Callable[[Any], Any], by_torch: Callable[[torch.Tensor], torch.Tensor]
) -> None:
    torch.manual_seed(0)
    x, y = (torch.randn(12, 9) for _ in range(2))
    a, b = kept(x), kept(x)
    found = selected(by_numpy(a.detach().numpy()), [kept(y), a])
    wanted = by_torch(b)
    assert found is not None and torch.equal(found, wanted)
    weights = torch.randn(wanted.shape)
    gradients = [torch.autograd.grad((out * weights).sum(), given)[0] for out, given in ((found, a), (wanted, b))]
    assert torch.allclose(*gradients)


def test_anything_else_is_none() -> None:
    x = kept(torch.randn(12, 9))
    plain = x.detach().numpy()
    for other in (plain * 2, plain.mean(1), np.arange(12), np.zeros((4, 4)), plain[:1, :3], plain[:0]):
        assert selected(other, [x]) is None
    mixed = plain.copy()
    mixed[0, 0] += 1
    assert selected(mixed, [x]) is None, "one value is none of the tensor's"
    assert selected(np.repeat([0.0, 1.0], 8), [kept(torch.tensor([0.0, 1.0] * 8))]) is None, "values of many elements"


def test_a_trial_sends_the_gradient_through(tmp_path: Path) -> None:
    torch.manual_seed(0)
    first, last = nn.Linear(6, 10), nn.Linear(10, 3)
    x, y = torch.randn(24, 6), torch.randint(3, (24,))
    optimizer = torch.optim.SGD([*first.parameters(), *last.parameters()], lr=0.1)
    before = first.weight.detach().clone()

    def loop() -> None:
        for _ in range(4):
            h = torch.from_numpy(highest(first(x).detach().numpy()))
            optimizer.zero_grad()
            F.cross_entropy(last(h), y).backward()
            optimizer.step()

    patched(tmp_path, "", loop)
    assert torch.equal(before, first.weight)
    line = loop.__code__.co_firstlineno + 2
    patch = f"keep-graph:{Path(__file__).name}:{line}"
    assert patched(tmp_path, patch, loop).applied == {patch: 8}, "where it was detached, and where it came back"
    assert not torch.equal(before, first.weight)
