"""The kernel for graphics cards: one launch reads all gradients and weights of an optimizer, whatever their number.

The same fifteen numbers for each parameter as kernel.cpp gives, from a table of addresses. Every program of the first
kernel takes one piece of one tensor; the second adds the pieces up in a fixed order, so the same numbers come out each
time. Imported only where Triton is installed (it comes with PyTorch's builds for CUDA).
"""

from __future__ import annotations

from typing import Any, Final

import triton
import triton.language as tl

from flightcheck.adapters.torch.native.on_device import ROOM

TABLE: Final = 5
"""Numbers of a parameter in the table: elements, addresses of gradient, weight and copy (0: there is none), and
whether the weight is compared with its copy."""
PIECE: Final = 32_768
"""Elements that one program reads."""
BLOCK: Final = 512
"""Elements read at once; each lane sums 64 of a piece in float32, and the lanes are added up in float64."""
MANY: Final = 32
"""Pieces that are added up at once."""


@triton.jit
def _put(out, sums, squares, largest, zeros, non_finite):
    """Five numbers of what the lanes found; `largest` holds the bits of magnitudes: NaN lies above infinity."""
    most = tl.max(largest)
    tl.store(out, tl.sum(sums.to(tl.float64)))
    tl.store(out + 1, tl.sum(squares.to(tl.float64)))
    tl.store(out + 2, most.to(tl.float32, bitcast=True).to(tl.float64))
    tl.store(out + 3, tl.sum(zeros).to(tl.float64))
    tl.store(out + 4, tl.sum(non_finite).to(tl.float64))
    return most


@triton.jit
def _leaves_float32(most):
    """The squares of numbers below 1e-14 and above 1e17 leave the range of float32."""
    return (most > 0) & ((most < 0x283424DC) | ((most > 0x5BB1A2BC) & (most < 0x7F800000)))


@triton.jit
def pieces_kernel(
    table, of_tensor, starts, out,
    TYPE: tl.constexpr, PIECE: tl.constexpr, BLOCK: tl.constexpr, TABLE: tl.constexpr, ROOM: tl.constexpr,
):  # fmt: skip
    """Fifteen numbers of one piece: of gradient, weight, and weight minus copy, which the weight then overwrites.

    Each lane sums every `BLOCK`th element in float32; the rare piece whose squares leave its range is read once more.
    """
    program = tl.program_id(0)
    row = table + tl.load(of_tensor + program) * TABLE
    start = tl.load(starts + program)
    elements = tl.load(row)
    gradient = tl.load(row + 1)
    weight = tl.load(row + 2)
    before = tl.load(row + 3)
    compare = tl.load(row + 4)
    out = out + program * ROOM
    lanes = tl.arange(0, BLOCK)
    end = tl.minimum(start + PIECE, elements)

    sums = tl.zeros((BLOCK,), tl.float32)
    squares = tl.zeros((BLOCK,), tl.float32)
    largest = tl.zeros((BLOCK,), tl.int32)
    zeros = tl.zeros((BLOCK,), tl.int32)
    non_finite = tl.zeros((BLOCK,), tl.int32)
    if gradient != 0:
        source = gradient.to(tl.pointer_type(TYPE))
        for at in range(start, end, BLOCK):
            inside = at + lanes < end
            x = tl.load(source + at + lanes, mask=inside, other=0.0).to(tl.float32)
            bits = x.to(tl.int32, bitcast=True) & 0x7FFFFFFF
            sums += x
            squares += x * x
            largest = tl.maximum(largest, bits)
            zeros += ((bits == 0) & inside).to(tl.int32)
            non_finite += (bits >= 0x7F800000).to(tl.int32)
    most = _put(out, sums, squares, largest, zeros, non_finite)
    if _leaves_float32(most):
        source = gradient.to(tl.pointer_type(TYPE))
        wide = tl.zeros((BLOCK,), tl.float64)
        for at in range(start, end, BLOCK):
            x = tl.load(source + at + lanes, mask=at + lanes < end, other=0.0).to(tl.float64)
            wide += x * x
        tl.store(out + 1, tl.sum(wide))

    sums = tl.zeros((BLOCK,), tl.float32)
    squares = tl.zeros((BLOCK,), tl.float32)
    largest = tl.zeros((BLOCK,), tl.int32)
    zeros = tl.zeros((BLOCK,), tl.int32)
    non_finite = tl.zeros((BLOCK,), tl.int32)
    moved_sums = tl.zeros((BLOCK,), tl.float32)
    moved_squares = tl.zeros((BLOCK,), tl.float32)
    moved_largest = tl.zeros((BLOCK,), tl.int32)
    moved_zeros = tl.zeros((BLOCK,), tl.int32)
    moved_non_finite = tl.zeros((BLOCK,), tl.int32)
    moved_wide = tl.zeros((BLOCK,), tl.float64)
    if weight != 0:
        source = weight.to(tl.pointer_type(TYPE))
        kept = before.to(tl.pointer_type(TYPE))
        for at in range(start, end, BLOCK):
            inside = at + lanes < end
            stored = tl.load(source + at + lanes, mask=inside, other=0.0)
            x = stored.to(tl.float32)
            bits = x.to(tl.int32, bitcast=True) & 0x7FFFFFFF
            sums += x
            squares += x * x
            largest = tl.maximum(largest, bits)
            zeros += ((bits == 0) & inside).to(tl.int32)
            non_finite += (bits >= 0x7F800000).to(tl.int32)
            if before != 0:
                if compare != 0:
                    d = x - tl.load(kept + at + lanes, mask=inside, other=0.0).to(tl.float32)
                    bits = d.to(tl.int32, bitcast=True) & 0x7FFFFFFF
                    moved_sums += d
                    moved_squares += d * d
                    moved_wide += d.to(tl.float64) * d.to(tl.float64)  # the copy is gone when a second look is due
                    moved_largest = tl.maximum(moved_largest, bits)
                    moved_zeros += ((bits == 0) & inside).to(tl.int32)
                    moved_non_finite += (bits >= 0x7F800000).to(tl.int32)
                tl.store(kept + at + lanes, stored, mask=inside)
    most = _put(out + 5, sums, squares, largest, zeros, non_finite)
    if _leaves_float32(most):
        source = weight.to(tl.pointer_type(TYPE))
        wide = tl.zeros((BLOCK,), tl.float64)
        for at in range(start, end, BLOCK):
            x = tl.load(source + at + lanes, mask=at + lanes < end, other=0.0).to(tl.float64)
            wide += x * x
        tl.store(out + 6, tl.sum(wide))
    most = _put(out + 10, moved_sums, moved_squares, moved_largest, moved_zeros, moved_non_finite)
    if _leaves_float32(most):
        tl.store(out + 11, tl.sum(moved_wide))


@triton.jit
def totals_kernel(pieces, firsts, out, ROOM: tl.constexpr, MANY: tl.constexpr):
    """The numbers of one tensor from those of its pieces: sums, and of column 2, 7 and 12 the largest."""
    tensor = tl.program_id(0)
    first = tl.load(firsts + tensor)
    last = tl.load(firsts + tensor + 1)
    columns = tl.arange(0, ROOM)
    known = columns < ROOM - 1
    total = tl.zeros((ROOM,), tl.float64)
    largest = tl.zeros((ROOM,), tl.float64)
    not_numbers = tl.zeros((ROOM,), tl.int32)
    for begin in range(first, last, MANY):
        rows = begin + tl.arange(0, MANY)
        inside = (rows < last)[:, None] & known[None, :]
        here = tl.load(pieces + rows[:, None] * ROOM + columns[None, :], mask=inside, other=0.0)
        total += tl.sum(here, 0)
        not_a_number = here != here
        not_numbers += tl.sum(not_a_number.to(tl.int32), 0)
        largest = tl.maximum(largest, tl.max(tl.where(not_a_number, 0.0, here), 0))
    is_largest = (columns == 2) | (columns == 7) | (columns == 12)
    largest = tl.where(not_numbers > 0, float("nan"), largest)
    tl.store(out + tensor * ROOM + columns, tl.where(is_largest, largest, total), mask=known)


def launch(table: Any, of_tensor: Any, starts: Any, firsts: Any, pieces: Any, out: Any, type_name: str) -> None:
    """Measure.

    Args:
        table: int64, (tensors, `TABLE`).
        of_tensor: int32, the tensor of each piece.
        starts: int64, the first element of each piece.
        firsts: int32, (tensors + 1), the first piece of each tensor.
        pieces: float64 room, (pieces, `ROOM`).
        out: float64, (tensors, `ROOM`): sum, sum of squares, largest magnitude, zeros and numbers that are not
            finite, of the gradient, the weight and the update.
        type_name: ``float32``, ``bfloat16`` or ``float16``: that of all tensors.
    """
    of_type = {"float32": tl.float32, "bfloat16": tl.bfloat16, "float16": tl.float16}[type_name]
    pieces_kernel[(of_tensor.shape[0],)](
        table, of_tensor, starts, pieces, TYPE=of_type, PIECE=PIECE, BLOCK=BLOCK, TABLE=TABLE, ROOM=ROOM
    )
    totals_kernel[(firsts.shape[0] - 1,)](pieces, firsts, out, ROOM=ROOM, MANY=MANY)
