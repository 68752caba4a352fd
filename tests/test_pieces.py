"""Large tensors are looked at piece by piece."""

from __future__ import annotations

import math

import pytest
import torch

from flightcheck.adapters.torch import pieces as module
from flightcheck.adapters.torch.loose_leaves import _values
from flightcheck.adapters.torch.native.measures import squares_of
from flightcheck.adapters.torch.nonfinite import _finite
from flightcheck.adapters.torch.pieces import pieces


@pytest.mark.parametrize("tensor", [torch.randn(7, 5), torch.randn(5, 7).T, torch.randn(3, 4, 5).transpose(0, 2),
                                    torch.randn(1, 40), torch.ones(0), torch.tensor(2.0)])  # fmt: skip
def test_every_element_once(tensor: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST", 10)
    found = torch.cat([p.reshape(-1) for p in pieces(tensor)])
    assert torch.equal(found.sort().values, tensor.reshape(-1).sort().values)
    assert all(p.numel() <= 10 for p in pieces(tensor)) or not tensor.is_contiguous()


@pytest.mark.parametrize("value", [0.0, 1e-30, 1e30, math.inf, math.nan])
def test_what_is_computed_of_pieces(value: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST", 10)
    tensor = torch.full((8, 8), 1.0 if math.isfinite(value) else value) * (value if math.isfinite(value) else 1.0)
    expected = float(tensor.double().norm()) ** 2
    assert squares_of([tensor]) == [pytest.approx(expected, nan_ok=True)]
    assert _finite(tensor) == math.isfinite(value)
    if math.isfinite(value):
        assert _values(tensor) == pytest.approx((float(tensor.double().sum()), expected))
