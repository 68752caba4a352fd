"""What watching cost, in words."""

from __future__ import annotations


def cost_in_words(overhead: float | None) -> str:
    """The share of the training's time, as it was measured; empty where it was not.

    Nothing costs less than nothing: such a number says that our clock is wrong, and not that watching was free.
    """
    if overhead is None:
        return ""
    if not overhead >= 0.0:
        return f"unknown: {overhead * 100:.1f} % was measured, which is an error of Flightcheck"
    return f"{overhead * 100:.1f} %"
