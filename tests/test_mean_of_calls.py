"""The mean loss of an evaluation."""

from __future__ import annotations

import pytest
import torch

from flightcheck.adapters.torch.losses import MeanOfCalls

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"))]


@pytest.mark.parametrize("device", DEVICES)
def test_mean(device: str) -> None:
    mean, value = MeanOfCalls(), torch.tensor([2.0], device=device)
    assert mean.take() is None
    mean.add(value)
    value += 100.0  # the script goes on with its tensor
    mean.add(torch.tensor(4.0, device=device))
    assert mean.take() == 3.0
    assert mean.take() is None


@pytest.mark.parametrize("device", DEVICES)
def test_forgotten(device: str) -> None:
    mean = MeanOfCalls()
    mean.add(torch.tensor(4.0, device=device))
    mean.forget()
    assert mean.take() is None
