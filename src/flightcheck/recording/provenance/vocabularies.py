"""Where a function that makes a vocabulary of data is called a second time, for what a model is given."""

from __future__ import annotations

import ast
from typing import Final

from flightcheck.recording.places import known_result
from flightcheck.recording.provenance.source import Source, end_of, last_name, line_of, read_source

_DEEPEST: Final = 6


def second_making(file: str, line: int) -> tuple[int, str] | None:
    """The line of a call among what makes the arguments at a line, and the name of what the same function made before.

    Args:
        file: the source file.
        line: the line that calls the model.

    Returns:
        For ``tensors(rows, vocabulary(rows))`` after ``words = vocabulary(train)`` the line and ``words``; None where
        no function of the file is called again.
    """
    try:
        source = read_source(file)
        if source is None:
            return None
        calls = [c for c in source.calls if c.lineno <= line <= end_of(c)]
        return next((found for c in calls for a in c.args if (found := _within(source, a, line, 0))), None)
    except Exception:  # the promise of this package: odd sources have no answer, and are no error
        return None


def _within(source: Source, value: ast.AST, line: int, depth: int) -> tuple[int, str] | None:
    if depth > _DEEPEST:
        return None
    for node in ast.walk(value):
        if isinstance(node, ast.Call):
            known = known_result(source.tree, node)
            if known is not None and depth and _is_nested(source, node):
                return line_of(node), ast.unparse(known)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            bindings = source.bindings(source.scope(node)).get(node.id, [])
            before = [b for b in bindings if b.line < line and b.inside is None]
            found = _within(source, before[-1].node, before[-1].line, depth + 1) if before else None
            if found is not None:
                return found
    return None


def _is_nested(source: Source, call: ast.Call) -> bool:
    """What it makes is given to another function of the file: it is no example that a model is given itself."""
    for parent in source.above(call):
        if isinstance(parent, ast.Call):
            return last_name(parent.func) in source.functions
        if isinstance(parent, ast.Assign) and len(parent.targets) == 1 and isinstance(parent.targets[0], ast.Name):
            name = parent.targets[0].id
            own = (c for c in source.calls if last_name(c.func) in source.functions)
            given = (a for c in own for a in (*c.args, *(k.value for k in c.keywords)))
            return any(isinstance(a, ast.Name) and a.id == name for a in given)
        if isinstance(parent, ast.stmt):
            return False
    return False
