"""Is what a line uses a share of something: divided on its way there?"""

from __future__ import annotations

import ast
from typing import Final

from flightcheck.recording.provenance.source import Source, line_of, read_source

_DEEPEST: Final = 4


def divided_before(file: str, line: int) -> bool:
    """A division stands in the statement of a line, or where the names that it uses get their values in its function.

    Args:
        file: the source file.
        line: a line that calls ``backward``. True, too, if it cannot be read.
    """
    try:
        source = read_source(file)
        inside = source.around(line, ast.stmt) if source is not None else []
        if source is None or not inside:
            return True
        return _divides(source, max(inside, key=line_of), 0)
    except Exception:  # the promise of this package: odd sources have no answer, and are no error
        return True


def _divides(source: Source, node: ast.AST, depth: int) -> bool:
    if any(isinstance(n, ast.BinOp | ast.AugAssign) and isinstance(n.op, ast.Div) for n in ast.walk(node)):
        return True
    if depth >= _DEEPEST:
        return False
    for name in (n for n in ast.walk(node) if isinstance(n, ast.Name)):
        scope = source.scope(name)
        changed = [
            n for n in source.nodes
            if isinstance(n, ast.AugAssign) and isinstance(n.target, ast.Name) and n.target.id == name.id
        ]  # fmt: skip
        bound = [b.node for b in source.bindings(scope).get(name.id, []) if b.node is not node]
        if any(_divides(source, other, depth + 1) for other in (*bound, *changed) if other is not node):
            return True
    return False
