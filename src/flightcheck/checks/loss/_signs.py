"""Labels of 0 and 1 in losses of signs that are written by hand: L08."""

from __future__ import annotations

from pathlib import PurePath
from typing import Final

from flightcheck.recording.run import Run
from flightcheck.recording.signed_products import SignedProduct

_CALLS: Final = 3
"""Of the line."""


def without_signs(run: Run) -> SignedProduct | None:
    """The first line that multiplies scores with zeros and ones for such a loss."""
    return next((p for p in run.recorded(SignedProduct) if p.calls >= _CALLS), None)


def of_signs(product: SignedProduct) -> str:
    """The patch that makes them -1 and 1."""
    return f"signed:{PurePath(product.location.file).name}:{product.location.line}"
