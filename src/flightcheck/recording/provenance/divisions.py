"""Where a count of right answers is divided."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from flightcheck.frozen import frozen
from flightcheck.recording.provenance.source import (
    Source,
    given_argument,
    last_name,
    line_of,
    parameter_names,
    read_source,
)


@frozen
class Division:
    """``correct / total``, of what one line counts."""

    line: int
    numerator: str
    """The name in the numerator that the line adds to; empty where that line divides itself."""
    divisor: str
    given: int = 0
    """The line of the only call that gives the divisor as an argument; else that of the division."""


def division_of(file: str, line: int) -> Division | None:
    """The first division, from a line on and in its function, of what the statement of that line computes.

    Args:
        file: of the user's code.
        line: that adds up truth values.
    """
    try:
        source = read_source(file)
        return _division(source, line) if source is not None else None
    except Exception:  # the user's code is read here, not run: whatever it holds, nothing is known then
        return None


def _division(source: Source, line: int) -> Division | None:
    statement = _statement(source, line)
    if statement is None:
        return None
    inside = next((d for n in ast.walk(statement) if (d := _parts(n)) is not None and _counts(d[0])), None)
    if inside is not None:
        return Division(line_of(statement), "", ast.unparse(inside[1]), line_of(statement))
    names = set(_targets(statement))
    scope = source.scope(statement)
    for node in sorted(_nodes(scope), key=line_of):
        if line_of(node) < line_of(statement):
            continue
        parts = _parts(node)
        if parts is not None and (name := _held(parts[0], names)):
            return _found(source, node, name, parts[1])
        if isinstance(node, ast.Assign | ast.AugAssign) and _held(node.value, names):
            names |= set(_targets(node))  # total += loss.item()
    for node in source.nodes:  # in another method
        parts = _parts(node)
        if parts is not None and (name := _held(parts[0], {n for n in names if n.startswith("self.")})):
            return _found(source, node, name, parts[1])
    return None


def _found(source: Source, node: ast.AST, numerator: str, divisor: ast.expr) -> Division:
    line, scope = line_of(node), source.scope(node)
    name = divisor.id if isinstance(divisor, ast.Name) else ""
    if not isinstance(scope, ast.FunctionDef) or name not in parameter_names(scope):
        return Division(line, numerator, ast.unparse(divisor), line)
    calls = [c for c in source.calls if last_name(c.func) == scope.name]
    given = given_argument(source, scope, name, calls[0]) if len(calls) == 1 else None
    return Division(line, numerator, ast.unparse(given[0] if given else divisor), line_of(given[0]) if given else line)


def _held(node: ast.expr, names: set[str]) -> str:
    """The first of these names that stands in an expression."""
    held = (ast.unparse(n) for n in ast.walk(node) if isinstance(n, ast.Name | ast.Attribute))
    return next((h for h in held if h in names), "")


def _statement(source: Source, line: int) -> ast.stmt | None:
    found = [
        n
        for n in source.nodes
        if isinstance(n, ast.Assign | ast.AugAssign | ast.Return | ast.Expr | ast.AnnAssign)
        and n.lineno <= line <= (n.end_lineno or n.lineno)
    ]
    return found[-1] if found else None


def _nodes(scope: ast.AST) -> Iterator[ast.AST]:
    return (n for n in ast.walk(scope) if hasattr(n, "lineno"))


def _parts(node: ast.AST) -> tuple[ast.expr, ast.expr] | None:
    """Numerator and divisor."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div | ast.FloorDiv):
        return node.left, node.right
    if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Div):
        return node.target, node.value
    return None


def _counts(node: ast.expr) -> bool:
    """It holds the sum itself."""
    return any(isinstance(n, ast.Call) for n in ast.walk(node))


def _targets(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, ast.Assign):
        for target in statement.targets:
            yield from (ast.unparse(t) for t in (target.elts if isinstance(target, ast.Tuple) else [target]))
    elif isinstance(statement, ast.AugAssign | ast.AnnAssign):
        yield ast.unparse(statement.target)
