"""The compiled statistics against a reference in float64, and the same numbers with PyTorch where there is no kernel."""

from __future__ import annotations

import math
import threading
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from flightcheck.adapters.torch.native import library
from flightcheck.adapters.torch.native.library import FIELDS, Kernel
from flightcheck.adapters.torch.native.measures import (
    ABSENT,
    GRADIENT,
    LARGEST,
    NON_FINITE,
    SQUARES,
    SUM,
    TYPES,
    UPDATE,
    WEIGHT,
    ZEROS,
    Look,
    Measures,
    dense,
    readable,
)

KERNEL, REASON = library.load()
needs_kernel = pytest.mark.skipif(KERNEL is None, reason=f"no kernel: {REASON}")
SIZES = [1, 7, 8, 9, 15, 16, 17, 31, 1023, 1024, 1025, 4099, 100_003]
ROUNDING = 2e-6


def reference(values: torch.Tensor) -> list[float]:
    """Sum, squares, largest, zeros, non-finite in float64."""
    x = values.detach().double().reshape(-1)
    return [
        float(x.sum()), float((x * x).sum()), float(x.abs().max()), float((x == 0).sum()),
        float((~torch.isfinite(x)).sum()),
    ]  # fmt: skip


def close(found: list[float], wanted: list[float], scale: float) -> bool:
    """Counts and the largest are exact; sums are as good as float32 allows, beside the sum of magnitudes."""
    same = [f == w or (math.isnan(f) and math.isnan(w)) for f, w in zip(found, wanted)]
    total = same[SUM] or abs(found[SUM] - wanted[SUM]) <= ROUNDING * scale
    squares = same[SQUARES] or abs(found[SQUARES] - wanted[SQUARES]) <= ROUNDING * wanted[SQUARES]
    return total and squares and all(same[LARGEST:])


def rows_of(
    measures: Measures, indices: Sequence[int], parameters: Sequence[torch.Tensor | None], **how: Any
) -> npt.NDArray[np.float64]:
    """The fifteen sums of each parameter; where there is no such tensor, or only its norm, that is in the squares."""
    look = measures.look(Look(len(indices)), indices, parameters, **how)
    rows = look.sums.copy()
    for row, start in enumerate((GRADIENT, WEIGHT, UPDATE)):
        norms = look.norms[row].astype(np.float64)
        by_norm = (norms == ABSENT) | (rows[:, start + SQUARES] == 0)
        rows[by_norm, start + SQUARES] = np.where(norms == ABSENT, ABSENT, norms**2)[by_norm]
        known = ~by_norm & np.isfinite(norms)
        np.testing.assert_allclose(norms[known], np.sqrt(rows[known, start + SQUARES]), rtol=1e-6, atol=1e-44)
    return rows


def parameter(values: torch.Tensor, gradient: torch.Tensor | None = None) -> torch.nn.Parameter:
    made = torch.nn.Parameter(values)
    made.grad = gradient
    return made


@needs_kernel
@pytest.mark.parametrize("dtype", list(TYPES), ids=str)
@pytest.mark.parametrize("size", SIZES)
def test_statistics_of_gradient_weight_and_update(dtype: torch.dtype, size: int) -> None:
    generator = torch.Generator().manual_seed(size)
    gradient = torch.randn(size, generator=generator).to(dtype)
    gradient[:: max(1, size // 5)] = 0.0
    weight = parameter(torch.randn(size, generator=generator).to(dtype), gradient)
    measures = Measures(KERNEL)
    row = rows_of(measures, [0], [weight], gradients=True, weights=True)[0].copy()
    scale = float(gradient.double().abs().sum()) + float(weight.detach().double().abs().sum())
    assert close(list(row[:5]), reference(gradient), scale)
    assert close(list(row[WEIGHT:UPDATE]), reference(weight), scale)
    assert row[UPDATE + SQUARES] == ABSENT
    before = weight.detach().clone()
    with torch.no_grad():
        weight[: size // 2] += 0.125
    row = rows_of(measures, [0], [weight], gradients=False, weights=True, compared=[True])[0]
    moved = weight.detach().float() - before.float() if dtype is not torch.float64 else weight.detach() - before
    assert close(list(row[UPDATE:]), reference(moved), scale)
    assert row[GRADIENT + SQUARES] == ABSENT
    assert rows_of(measures, [0], [weight], gradients=False, weights=True, compared=[True])[0][UPDATE + ZEROS] == size


@needs_kernel
@pytest.mark.parametrize("dtype", list(TYPES), ids=str)
@pytest.mark.parametrize(
    "special",
    [
        [math.nan], [math.inf], [-math.inf, math.inf], [math.nan, math.inf, -0.0], [-0.0], [0.0], [6e-8], [1e-30],
        [1e-42], [6e4], [1e19, -2e19], [3e38],
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("rest", [0, 5, 2000])
def test_special_numbers(dtype: torch.dtype, special: list[float], rest: int) -> None:
    values = torch.cat([torch.tensor(special, dtype=torch.float64), torch.zeros(rest, dtype=torch.float64)]).to(dtype)
    weight = parameter(torch.zeros_like(values), values)
    row = rows_of(Measures(KERNEL), [0], [weight], gradients=True, weights=False)[0]
    wanted = reference(values)
    assert close(list(row[:5]), wanted, float(values.double().abs().sum()) or 1.0), (list(row[:5]), wanted)


@needs_kernel
def test_every_half_precision_number() -> None:
    bits = np.arange(65536, dtype=np.uint16)
    for dtype in (torch.float16, torch.bfloat16):
        every = torch.from_numpy(bits.view(np.int16)).view(dtype)
        finite = every[torch.isfinite(every)]
        for values in finite.split(1013):
            row = rows_of(Measures(KERNEL), [0], [parameter(values)], gradients=False, weights=True)[0]
            assert close(list(row[WEIGHT:UPDATE]), reference(values), float(values.double().abs().sum()))


@needs_kernel
def test_layouts_that_fill_their_memory() -> None:
    base = torch.randn(4, 6, 5, 3)
    assert KERNEL is not None
    for view in (base.to(memory_format=torch.channels_last), base.transpose(0, 2), base.permute(3, 1, 0, 2), base[1:3]):
        assert readable(view)
        measures = Measures(KERNEL)
        weight = parameter(view.detach())
        calls = KERNEL.calls
        rows_of(measures, [0], [weight], gradients=False, weights=True)
        with torch.no_grad():
            weight += 2.0
        row = rows_of(measures, [0], [weight], gradients=False, weights=True, compared=[True])[0]
        assert KERNEL.calls == calls + 2
        assert row[UPDATE + SUM] == pytest.approx(2.0 * view.numel(), rel=1e-5)
        assert close(list(row[WEIGHT:UPDATE]), reference(weight), float(weight.detach().abs().sum()))


def test_layouts_with_gaps_or_overlaps_are_left_to_pytorch() -> None:
    base = torch.randn(8, 8)
    for view in (base[:, :4], base[::2], base[0].expand(3, 8), base.as_strided((3, 3), (1, 1))):
        assert not dense(view) or view.is_contiguous()
        assert not readable(view)
        row = rows_of(Measures(KERNEL), [0], [parameter(view)], gradients=False, weights=True)[0]
        assert row[WEIGHT + SQUARES] == pytest.approx(float(view.double().square().sum()))


def mixed() -> list[torch.nn.Parameter]:
    torch.manual_seed(0)
    found = [
        parameter(torch.randn(64, 32), torch.randn(64, 32)),
        parameter(torch.randn(64), None),
        parameter(torch.randn(33).bfloat16(), torch.randn(33).bfloat16()),
        parameter(torch.randn(3, 5), torch.full((3, 5), 1e-25)),
        parameter(torch.randn(3, 5), torch.full((3, 5), 1e25)),
        parameter(torch.randn(2, 2), torch.tensor([[1.0, math.nan], [0.0, 1.0]])),
        parameter(torch.randn(2, 2).double(), torch.zeros(2, 2).double()),
        parameter(torch.randn(0, 4), torch.randn(0, 4)),
    ]
    return [*found, parameter(torch.randn(5, 4), torch.randn(5, 4).to_sparse())]


@needs_kernel
def test_the_same_norms_without_the_kernel() -> None:
    with_kernel, without = Measures(KERNEL), Measures(None)
    parameters = mixed()
    indices = list(range(len(parameters)))
    for compared in ([], [True] * len(parameters)):
        one = rows_of(with_kernel, indices, parameters, gradients=True, weights=True, compared=compared)
        other = rows_of(without, indices, parameters, gradients=True, weights=True, compared=compared)
        for start in (GRADIENT, WEIGHT, UPDATE):
            a, b = one[:, start + SQUARES], other[:, start + SQUARES]
            a, b = np.where(a == ABSENT, 0.0, a), np.where(b == ABSENT, 0.0, b)
            np.testing.assert_allclose(a, b, rtol=2e-6)
        with torch.no_grad():
            for p in parameters:
                p.mul_(1.01)


@needs_kernel
def test_one_call_for_all_parameters() -> None:
    assert KERNEL is not None
    parameters = [parameter(torch.randn(10, 3), torch.randn(10, 3)) for _ in range(50)]
    measures = Measures(KERNEL)
    calls = KERNEL.calls
    rows = rows_of(measures, range(50), parameters, gradients=True, weights=True)
    assert KERNEL.calls == calls + 1
    assert measures.one_pass
    assert rows[:, WEIGHT + SQUARES].tolist() == pytest.approx([float(p.detach().square().sum()) for p in parameters])


@needs_kernel
def test_it_changes_no_bit_of_what_it_reads() -> None:
    values = torch.randn(5000)
    values[::7] = math.nan
    before = values.clone()
    weight = parameter(values, values.clone())
    measures = Measures(KERNEL)
    version = weight._version
    for _ in range(3):
        rows_of(measures, [0], [weight], gradients=True, weights=True, compared=[True])
    assert torch.equal(weight.detach().view(torch.int32), before.view(torch.int32))
    assert weight.grad is not None
    assert torch.equal(weight.grad.view(torch.int32), before.view(torch.int32))
    assert weight._version == version


@needs_kernel
def test_a_weight_that_was_replaced_is_not_compared_with_its_copy() -> None:
    weight = parameter(torch.randn(6, 4))
    measures = Measures(KERNEL)
    rows_of(measures, [0], [weight], gradients=False, weights=True)
    weight.data = torch.randn(4, 6)
    row = rows_of(measures, [0], [weight], gradients=False, weights=True, compared=[True])[0]
    assert row[UPDATE + SQUARES] == ABSENT
    row = rows_of(measures, [0], [weight], gradients=False, weights=True, compared=[True])[0]
    assert row[UPDATE + SQUARES] == 0.0


@pytest.mark.parametrize("kernel", [KERNEL, None] if KERNEL else [None])
def test_large_weights_are_sampled_beyond_the_room_for_copies(
    monkeypatch: pytest.MonkeyPatch, kernel: Kernel | None
) -> None:
    from flightcheck.adapters.torch.native import measures as module

    monkeypatch.setattr(module, "_MOST_COPIED", 1000)
    weight = parameter(torch.randn(1_100_001))
    measures = Measures(kernel)
    rows_of(measures, [0], [weight], gradients=False, weights=True)
    with torch.no_grad():
        weight += 0.5
    row = rows_of(measures, [0], [weight], gradients=False, weights=True, compared=[True])[0]
    assert row[UPDATE + SQUARES] == pytest.approx(0.25 * weight.numel(), rel=1e-3)
    assert not measures.one_pass


@needs_kernel
def test_several_threads_at_once() -> None:
    wrong: list[int] = []

    def work(seed: int) -> None:
        values = torch.full((20_000,), float(seed))
        measures = Measures(KERNEL)
        for _ in range(50):
            row = rows_of(measures, [0], [parameter(values)], gradients=False, weights=True)[0]
            if row[WEIGHT + SQUARES] != 20_000.0 * seed * seed:
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(1, 9)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert wrong == []


@needs_kernel
def test_no_second_openmp_and_no_pytorch_inside() -> None:
    content = library.FILE.read_bytes()
    assert b"libgomp" not in content
    assert b"libtorch" not in content
    assert b"GOMP_" not in content


@needs_kernel
def test_outputs_of_modules() -> None:
    assert KERNEL is not None
    generator = torch.Generator().manual_seed(0)
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        for shape, channel_first in (((9, 21), False), ((6, 5, 4, 3), True), ((5, 7, 12), False)):
            x = (torch.randn(shape, generator=generator) + 100).to(dtype)
            x[:, 2] = -x[:, 2].abs() if channel_first or len(shape) == 2 else x[:, 2]
            x[..., 3 % shape[-1]] = 0.0
            units = shape[1] if channel_first else shape[-1]
            inner = math.prod(shape[2:]) if channel_first else 0
            width = x[0].numel()
            highest = np.zeros(units + 8, dtype=np.float32)
            room, out = np.zeros(3 * width, dtype=np.float32), array("d", [0.0] * 6)
            KERNEL.output(
                TYPES[dtype], x.data_ptr(), len(x), width, len(x), 1, units, inner,
                highest.ctypes.data, room.ctypes.data, out.buffer_info()[0],
            )  # fmt: skip
            assert close(list(out[:5]), reference(x), float(x.double().abs().sum()))
            assert out[5] == pytest.approx(float(x.double().flatten(1).std(0).mean()), rel=1e-4)
            dim = 1 if channel_first or len(shape) == 2 else len(shape) - 1
            fired = (x.transpose(0, dim).reshape(x.shape[dim], -1) > 0).any(1)
            assert (highest[:units] > 0).tolist() == fired.tolist()


# -- the library that is not there, or not right ------------------------------------------------------------------------


def test_the_fields_are_those_of_the_kernel() -> None:
    assert FIELDS == ("sum", "squares", "largest", "zeros", "non_finite")
    assert tuple(range(5)) == (SUM, SQUARES, LARGEST, ZEROS, NON_FINITE)


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(library, "load", library.load.__wrapped__)
    monkeypatch.delenv(library.SWITCH, raising=False)
    return monkeypatch


def test_no_library(fresh: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fresh.setattr(library, "FILE", tmp_path / "none.so")
    assert library.load() == (None, "it was installed without a C++ compiler")


def test_no_library_of_this_kind(fresh: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bad.so").write_bytes(b"not a library")
    fresh.setattr(library, "FILE", tmp_path / "bad.so")
    kernel, reason = library.load()
    assert kernel is None
    assert "cannot be loaded" in reason


def test_switched_off(fresh: pytest.MonkeyPatch) -> None:
    fresh.setenv(library.SWITCH, "0")
    assert library.load() == (None, "FLIGHTCHECK_NATIVE is 0")


@needs_kernel
def test_a_library_that_computes_wrong_numbers(fresh: pytest.MonkeyPatch) -> None:
    original = Kernel.step

    def wrong(self: Kernel, count: int, table: int, out: int, *rest: int) -> None:
        original(self, count, table, out, *rest)
        np.ctypeslib.as_array((np.ctypeslib.ctypes.c_double * 15).from_address(out))[6] += 1

    fresh.setattr(Kernel, "step", wrong)
    kernel, reason = library.load()
    assert kernel is None
    assert "wrong numbers" in reason


# -- tables that are used again -----------------------------------------------------------------------------------------


def _trained(count: int = 4) -> list[torch.nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    return [
        parameter(torch.randn(8, k + 1, generator=generator), torch.randn(8, k + 1, generator=generator))
        for k in range(count)
    ]


def _again(parameters: Sequence[torch.nn.Parameter]) -> None:
    """What a step leaves: other weights in the same memory, other gradients in another."""
    for p in parameters:
        p.data.mul_(1.01)
        p.grad = torch.randn_like(p)


def _norms(measures: Measures, look: Look, parameters: Sequence[torch.Tensor | None]) -> npt.NDArray[np.float32]:
    measures.look(look, range(len(parameters)), parameters, gradients=True, weights=True, compared=[True] * 4)
    return look.norms.copy()


def _wanted(parameters: Sequence[torch.nn.Parameter], before: Sequence[torch.Tensor]) -> list[list[float]]:
    gradients = [float(p.grad.norm()) if p.grad is not None else ABSENT for p in parameters]
    moves = [float((p.detach() - b).norm()) for p, b in zip(parameters, before)]
    return [gradients, [float(p.detach().norm()) for p in parameters], moves]


def _three_looks(change: Any) -> tuple[Look, npt.NDArray[np.float32], list[list[float]]]:
    """The last of three looks, before which something happens that the table of the second does not know."""
    measures, look, parameters = Measures(KERNEL), Look(4), _trained()
    for _ in range(2):
        _norms(measures, look, parameters)
        _again(parameters)
    before = [p.detach().clone() for p in parameters]
    _norms(measures, look, parameters)
    assert look.prepared is not None
    _again(parameters)
    change(measures, parameters)
    return look, _norms(measures, look, parameters), _wanted(parameters, before)


@needs_kernel
def test_a_table_is_used_again_with_the_addresses_of_new_gradients() -> None:
    look, found, wanted = _three_looks(lambda measures, parameters: None)
    assert look.prepared is not None
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def _no_gradient(measures: Measures, parameters: list[torch.nn.Parameter]) -> None:
    parameters[1].grad = None


def _other_layout(measures: Measures, parameters: list[torch.nn.Parameter]) -> None:
    parameters[2].grad = torch.randn(3, 8).t()


def _other_memory(measures: Measures, parameters: list[torch.nn.Parameter]) -> None:
    parameters[3].data = parameters[3].data.clone()


def _sparse(measures: Measures, parameters: list[torch.nn.Parameter]) -> None:
    parameters[0].grad = torch.randn(8, 1).to_sparse()


@needs_kernel
@pytest.mark.parametrize("change", [_no_gradient, _other_layout, _other_memory, _sparse])
def test_a_table_is_not_used_for_what_has_changed(change: Any) -> None:
    _, found, wanted = _three_looks(change)
    if change is _sparse:
        wanted[0][0] = float(found[0, 0])  # its gradient is measured by PyTorch, as other tests hold
        assert wanted[0][0] > 0
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


@needs_kernel
def test_memory_of_a_copy_that_was_given_up_is_not_written_to() -> None:
    measures, look, parameters = Measures(KERNEL), Look(4), _trained()
    for _ in range(3):
        _norms(measures, look, parameters)
    kept = measures._copies[0].values
    assert look.prepared is not None
    measures._drop(0)
    untouched = kept.copy()
    _again(parameters)
    _norms(measures, look, parameters)
    assert (kept == untouched).all()
