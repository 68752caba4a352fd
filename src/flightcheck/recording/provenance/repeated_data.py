"""Lines that repeat data: each row several times, or the whole."""

from __future__ import annotations

import ast
from typing import Final

from flightcheck.recording.provenance.source import last_name, line_of, read_source

_REPEATING: Final = {"repeat", "repeat_interleave", "tile"}


def repeating_line(file: str, before: int) -> int:
    """The last line above another that calls ``repeat``, ``repeat_interleave`` or ``tile``, or has a comprehension in
    which a loop only counts (``[w for w in words for _ in range(n)]``); 0 if there is none.

    Args:
        file: the source file.
        before: line at which the data are in use.
    """
    try:
        source = read_source(file)
        found = [line_of(n) for n in source.nodes if _repeats(n)] if source is not None else []
        return max((line for line in found if line <= before), default=0)
    except Exception:  # the promise of this package: odd sources have no answer, and are no error
        return 0


def _repeats(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        return last_name(node.func) in _REPEATING and bool(node.args or node.keywords)
    if not isinstance(node, ast.ListComp | ast.GeneratorExp) or len(node.generators) < 2:
        return False
    return any(_only_counts(g, node.elt) for g in node.generators)


def _only_counts(loop: ast.comprehension, element: ast.expr) -> bool:
    over = loop.iter
    counted = isinstance(over, ast.Call) and last_name(over.func) == "range" and isinstance(loop.target, ast.Name)
    used = {n.id for n in ast.walk(element) if isinstance(n, ast.Name)}
    return counted and isinstance(loop.target, ast.Name) and loop.target.id not in used
