"""Loads the compiled kernel (kernel.cpp) and tries it out before anything relies on it."""

from __future__ import annotations

import ctypes
import math
import os
from array import array
from functools import cache
from pathlib import Path
from typing import Final

FILE: Final = Path(__file__).with_name("_kernel.so")
SWITCH: Final = "FLIGHTCHECK_NATIVE"
"""Set to 0 in the environment: do not use the kernel."""
ABI: Final = 2
FLOAT32, BFLOAT16, FLOAT16, FLOAT64 = range(4)
TABLE: Final = 8
"""Numbers that the kernel is given for each parameter."""
TALLIES: Final = ("gradients_seen", "gradients_nonzero", "update_checks", "updates_nonzero")
"""What it counts for each."""
FIELDS: Final = ("sum", "squares", "largest", "zeros", "non_finite")
COLUMNS: Final = 3 * len(FIELDS)
"""Numbers that the kernel gives for each: the five of the gradient, of the weight and of the update."""


class Kernel:
    """The functions of the library. ctypes lets other threads run meanwhile, and a call uses only its arguments."""

    def __init__(self, file: Path) -> None:
        library = ctypes.CDLL(str(file))
        # Without declared types, ctypes cuts addresses off to 32 bits.
        self.abi = library.flightcheck_abi
        self.abi.argtypes, self.abi.restype = [], ctypes.c_int64
        self._step = library.flightcheck_step
        self._step.argtypes, self._step.restype = [ctypes.c_int64, *[ctypes.c_void_p] * 5], None
        self._output = library.flightcheck_output
        self._output.argtypes = [ctypes.c_int64, ctypes.c_void_p, *[ctypes.c_int64] * 6, *[ctypes.c_void_p] * 3]
        self._output.restype = None
        self.calls = 0

    def step(self, count: int, table: int, *places: int) -> None:
        """Statistics of `count` parameters; the rest are addresses, those of `flightcheck_step` in kernel.cpp."""
        self.calls += 1
        self._step(count, table, *places)

    def output(self, *arguments: int) -> None:
        """Statistics of a module's output; the arguments are those of ``flightcheck_output`` in kernel.cpp."""
        self.calls += 1
        self._output(*arguments)


@cache
def load() -> tuple[Kernel | None, str]:
    """The kernel, or None and the reason in words. Tried out once per process."""
    if os.environ.get(SWITCH) == "0":
        return None, f"{SWITCH} is 0"
    if not FILE.is_file():
        return None, "it was installed without a C++ compiler"
    try:
        kernel = Kernel(FILE)
        if kernel.abi() != ABI:
            return None, "the library is of another version"
        wrong = tried(kernel)
    except (OSError, AttributeError) as e:
        return None, f"the library cannot be loaded: {e}"
    return (None, f"it computes wrong numbers here: {wrong}") if wrong else (kernel, "")


_ORDINARY: Final = [0.5, -2.0, 0.0, -0.0, 1.25, 3.0, -0.375, 8.0, 0.0, 1.0, -6.0]
_SPECIAL: Final = [1.0, math.inf, -3.0, math.nan, 0.0, -math.inf, 2.0, 2.0, 2.0]


def tried(kernel: Kernel) -> str:
    """What the kernel gets wrong on numbers whose statistics are known; empty if nothing."""
    for name, code in (("float32", FLOAT32), ("bfloat16", BFLOAT16), ("float16", FLOAT16), ("float64", FLOAT64)):
        values, special = _ORDINARY * 7, _encoded(code, _SPECIAL)
        # 7 times 11 elements: whole vectors, and a rest; the copy is off by one everywhere.
        weight, before = _encoded(code, values), _encoded(code, [v - 1 for v in values])
        table = array("q", [_at(special), len(special), code, _at(weight), len(weight), code, _at(before), 1])
        out = array("d", [math.inf] * COLUMNS)
        norms, tallies, totals = array("f", [0.0] * 3), array("q", [5] * 4), array("d", [9.0] * 2)
        kernel.step(1, _at(table), _at(out), _at(norms), _at(tallies), _at(totals))
        squares = sum(v * v for v in values)
        wanted = [sum(values), squares, 8.0, 21.0, 0.0, 77.0, 77.0, 1.0, 0.0, 0.0]
        if list(out[5:]) != wanted or before != weight:
            return f"{name}: {list(out[5:])} for {wanted}"
        if not (math.isnan(out[1]) and math.isnan(out[2]) and list(out[3:5]) == [1.0, 3.0]):
            return f"{name} with NaN: {list(out[:5])}"
        counted = (list(tallies), totals[0], norms[1] ** 2)
        if counted[:2] != ([6, 6, 6, 6], 1.0) or not math.isclose(counted[2], squares, rel_tol=1e-6):
            return f"{name}, counted: {counted}"
    return ""


def _at(values: array[float] | array[int]) -> int:
    return values.buffer_info()[0]


def _encoded(code: int, values: list[float]) -> array[float] | array[int]:
    """The values as the type stores them. They are short enough to be exact in all four."""
    if code == FLOAT64:
        return array("d", values)
    singles = array("f", values)
    if code == FLOAT32:
        return singles
    if code == BFLOAT16:
        return array("H", [b >> 16 for b in memoryview(singles.tobytes()).cast("I")])
    return array("H", b"".join(_half(v) for v in values))


def _half(value: float) -> bytes:
    import struct

    return struct.pack("e", value)
