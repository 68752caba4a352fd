"""Where the numbers that a line subtracts were made a tensor."""

from __future__ import annotations

import ast
from typing import Final

from flightcheck.recording.provenance.source import Source, last_name, line_of, read_source

_CONVERTS: Final = {
    "tensor", "as_tensor", "FloatTensor", "Tensor", "from_numpy", "float", "float32", "astype", "to", "type", "stack",
    "asarray", "array",
}  # fmt: skip
_DEEPEST: Final = 5


def converted_before(file: str, line: int) -> tuple[str, int] | None:
    """The last conversion before a line, of what that line uses.

    Args:
        file: the source file.
        line: a line that computes a difference.

    Returns:
        For ``gaps = times.diff()`` after ``times = torch.tensor(log)`` the latter's place; None where none is found.
    """
    try:
        source = read_source(file)
        if source is None:
            return None
        inside = source.around(line, ast.stmt)
        statement = max(inside, key=line_of, default=None)
        found = _conversion(source, statement, line, 0) if statement is not None else 0
        return (file, found) if found else None
    except Exception:  # the promise of this package: odd sources have no answer, and are no error
        return None


def _conversion(source: Source, node: ast.AST, line: int, depth: int) -> int:
    for given in _given(source, node):
        if own := _converts(given):
            return line_of(own)
        named = given
        while isinstance(named, ast.Subscript | ast.Attribute):
            named = named.value
        if not isinstance(named, ast.Name) or depth > _DEEPEST:
            continue
        bindings = [b for b in source.bindings(source.scope(named)).get(named.id, []) if b.line < line]
        for binding in reversed(bindings):
            if own := _converts(binding.node):
                return line_of(own)
            if found := _conversion(source, binding.node, binding.line, depth + 1):
                return found
    return 0


def _given(source: Source, node: ast.AST) -> list[ast.AST]:
    """What is subtracted in a statement, what methods belong to, and what comprehensions go through."""
    found: list[ast.AST] = [node] if isinstance(node, ast.Name | ast.Subscript) else []
    for inner in ast.walk(node):
        if isinstance(inner, ast.BinOp) and isinstance(inner.op, ast.Sub):
            found += [n for n in ast.walk(inner) if isinstance(n, ast.Name)]
        elif isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute):
            found += [inner.func.value, *inner.args]
        elif isinstance(inner, ast.ListComp | ast.GeneratorExp):
            found += [g.iter for g in inner.generators]
    return found


def _converts(node: ast.AST) -> ast.Call | None:
    return next((c for c in ast.walk(node) if isinstance(c, ast.Call) and last_name(c.func) in _CONVERTS), None)
