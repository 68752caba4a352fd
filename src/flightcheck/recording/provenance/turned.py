"""Lines that turn images over."""

from __future__ import annotations

import ast
from typing import Final

from flightcheck.recording.provenance.source import last_name, line_of, read_source

_TURNS: Final = {
    "flip", "fliplr", "flipud", "hflip", "vflip", "rot90", "RandomHorizontalFlip", "RandomVerticalFlip",
    "HorizontalFlip", "VerticalFlip", "RandomRotate90", "horizontal_flip", "vertical_flip",
}  # fmt: skip


def turning_lines(file: str) -> list[tuple[str, int]]:
    """The lines that call something that turns images over, or read an axis backwards."""
    try:
        source = read_source(file)
        nodes = source.nodes if source else []
        lines = {line_of(n) for n in nodes if isinstance(n, ast.Call) and last_name(n.func) in _TURNS}
        lines |= {
            line_of(n) for n in nodes
            if isinstance(n, ast.Slice) and n.step is not None and ast.unparse(n.step) == "-1"
        }  # fmt: skip
        return [(file, n) for n in sorted(lines)]
    except Exception:  # the promise of this package: odd sources have no answer, and are no error
        return []
