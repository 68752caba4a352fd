"""Outputs of modules: the kernel and PyTorch give the same numbers."""

from __future__ import annotations

import pytest
import torch

from flightcheck.adapters.torch.native import library
from flightcheck.adapters.torch.native.outputs import Outputs

KERNEL, REASON = library.load()


@pytest.mark.skipif(KERNEL is None, reason=f"no kernel: {REASON}")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64], ids=str)
@pytest.mark.parametrize(
    ("shape", "units"),
    [
        ((9,), -1),
        ((1, 7), 1),
        ((32, 7), 1),
        ((5, 6, 4, 3), 1),
        ((5, 6, 1, 1), 1),
        ((100, 3, 8), 2),
        ((3, 16, 9, 64), 1),
    ],
    ids=str,
)
def test_the_same_numbers(dtype: torch.dtype, shape: tuple[int, ...], units: int) -> None:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(3)) + 3.0
    if len(shape) > 1:
        x.select(units, 2).abs_().neg_()
    x = x.to(dtype)
    one, other = Outputs(KERNEL).look(x, units), Outputs(None).look(x, units)
    assert one.rms == pytest.approx(other.rms, rel=1e-5)
    assert one.rms == pytest.approx(Outputs(KERNEL).rms(x), rel=1e-6)
    assert Outputs(None).rms(x) == pytest.approx(Outputs(KERNEL).rms(x), rel=1e-5)
    assert (one.spread is None) == (other.spread is None)
    if one.spread is not None and other.spread is not None:
        assert one.spread == pytest.approx(other.spread, rel=1e-4)
    assert (one.fired is None) == (other.fired is None) == (units < 0)
    if one.fired is not None and other.fired is not None:
        assert one.fired.tolist() == other.fired.tolist()
        assert not one.fired[2]


def test_a_value_that_is_not_finite_stays_one() -> None:
    x = torch.ones(8, 4)
    x[3, 1] = float("nan")
    for kernel in (KERNEL, None):
        seen = Outputs(kernel).look(x, 1)
        assert seen.rms != seen.rms
        assert seen.spread != seen.spread


@pytest.mark.parametrize("kernel", [KERNEL, None] if KERNEL else [None])
def test_layouts_with_gaps(kernel: library.Kernel | None) -> None:
    x = torch.randn(12, 10)[:, ::2]
    seen = Outputs(kernel).look(x, 1)
    assert seen.rms == pytest.approx(float(x.square().mean().sqrt()), rel=1e-5)
    assert seen.spread == pytest.approx(float(x.std(0).mean()), rel=1e-5)
