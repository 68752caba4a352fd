"""Where zeros are put in the place of labels that are missing."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from flightcheck.recording.missing_values import lines_of_fills
from flightcheck.recording.provenance.source import read_source
from flightcheck.recording.records import Location

BINARY: Final = ("binary_cross_entropy", "binary_cross_entropy_with_logits")
"""Losses of which a zero is a label."""


def fills_of_missing(function: str, loss: Location | None, target: Location | None) -> list[tuple[str, int]]:
    """Lines of such statements in the file of a loss and in that of its targets.

    Args:
        function: the loss function; none but `BINARY` is looked at.
        loss: the line that calls it.
        target: the line at which its targets were computed. If that is such a line, it stands first.
    """
    if function not in BINARY:
        return []
    files = dict.fromkeys(at.file for at in (target, loss) if at is not None)
    found = [(file, line) for file in files for line in _lines(file)]
    return sorted(found, key=lambda at: target is None or at != (target.file, target.line))


@lru_cache(maxsize=64)
def _lines(file: str) -> tuple[int, ...]:
    try:
        source = read_source(file)
        return tuple(lines_of_fills(source.tree)) if source is not None else ()
    except Exception:  # a file that cannot be read has no such line
        return ()
