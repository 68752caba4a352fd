"""Where a statement takes the last number of a window of a series."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from flightcheck.recording.provenance.source import Source, line_of, read_source


def last_places(files: Iterable[str]) -> list[tuple[str, int]]:
    """The lines that read an element at a computed place, one before another: ``series[start + size - 1]``."""
    try:
        sources = [s for f in sorted(files) if (s := read_source(f)) is not None]
        return [(s.path, n) for s in sources for n in sorted(_lines(s))]
    except Exception:  # the promise of this package: odd sources have no answer, and are no error
        return []


def _lines(source: Source) -> set[int]:
    found = (n for n in source.nodes if isinstance(n, ast.Subscript) and isinstance(n.ctx, ast.Load))
    return {line_of(n) for n in found if _is_one_before(n.slice) and not _in_forward(source, n)}


def _is_one_before(place: ast.expr) -> bool:
    """``a + b - 1``; ``i - 1`` alone is the element before, and ``len(x) - 1`` that at the end."""
    if not isinstance(place, ast.BinOp) or not isinstance(place.op, ast.Sub):
        return False
    one = isinstance(place.right, ast.Constant) and place.right.value == 1
    return one and isinstance(place.left, ast.BinOp) and isinstance(place.left.op, ast.Add)


def _in_forward(source: Source, node: ast.AST) -> bool:
    return any(isinstance(p, ast.FunctionDef) and p.name == "forward" for p in source.above(node))
