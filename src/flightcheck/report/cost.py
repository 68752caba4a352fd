"""What watching cost, in words."""

from __future__ import annotations

from typing import Final

from flightcheck.recording.records import RunInfo

_MUCH: Final = 0.02
"""A share from which on it is said how little it may be: two percent of a short step are nothing that can be done."""
_LITTLE: Final = 200e-6


def cost_in_words(info: RunInfo) -> str:
    """The share of the training's time, as it was measured; empty where it was not. Beside very short steps it is
    large however little we do: there the time is said as well.

    Nothing costs less than nothing: such a number says that our clock is wrong, and not that watching was free.
    """
    overhead, each = info.overhead, info.overhead_seconds
    if overhead is None:
        return ""
    if not overhead >= 0.0:
        return f"unknown: {overhead * 100:.1f} % was measured, which is an error of Flightcheck"
    share = f"{overhead * 100:.1f} %"
    return f"{share} ({each * 1e6:.0f} µs a step)" if each and overhead > _MUCH and each < _LITTLE else share
