"""Where data are put on another scale: by a scaler, or by subtracting and dividing."""

from __future__ import annotations

import ast
from typing import Final

from flightcheck.recording.provenance.source import Source, last_name, line_of, read_source

_SCALES: Final = {"fit_transform", "transform", "zscore", "standardize", "standardise"}
"""Functions that give back data on another scale."""


def only_scaling(file: str) -> tuple[str, int] | None:
    """The line that puts data on another scale, where the file has no second one: then the other data keep theirs.

    A function of the user that does it counts where it is called.
    """
    try:
        source = read_source(file)
        lines = _scaling_lines(source) if source is not None else set()
        return (file, lines.pop()) if len(lines) == 1 else None
    except Exception:  # the promise of this package: odd sources have no answer, and are no error
        return None


def _scaling_lines(source: Source) -> set[int]:
    lines: set[int] = set()
    makers: set[str] = set()
    for node in source.nodes:
        if not scales(node):
            continue
        scope = source.scope(node)
        if isinstance(scope, ast.FunctionDef) and any(isinstance(p, ast.Return) for p in source.above(node)):
            makers.add(scope.name)
        else:
            lines.add(line_of(node))
    return lines | {line_of(c) for c in source.calls if last_name(c.func) in makers}


def scales(node: ast.AST) -> bool:
    """``scaler.transform(x)``, ``(x - mean) / std``."""
    if isinstance(node, ast.Call):
        return last_name(node.func) in _SCALES and bool(node.args)
    subtracted = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and node.left
    return isinstance(subtracted, ast.BinOp) and isinstance(subtracted.op, ast.Sub)
