"""Statements behind a test that comes true after the end of their loop: ``if step % 10_000 == 0`` in 5,000 rounds."""

from __future__ import annotations

import ast

from flightcheck.recording.provenance.rounds import range_of
from flightcheck.recording.provenance.source import Source, constant_of


def never_reached(source: Source, node: ast.AST) -> ast.If | None:
    """The ``if count % every == 0`` around a node, in a loop over a ``range`` that ends before `every`.

    In the round 0 such a test is true: what it guards runs once, before anything was learned.
    """
    for test in source.above(node):
        if isinstance(test, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            return None
        if isinstance(test, ast.If) and (counted := _counted(test.test)) is not None:
            name, every = counted
            period, rounds = _number(source, every), _rounds(source, test, name)
            if period is not None and rounds is not None and rounds <= period:
                return None if any(node is n for s in test.orelse for n in ast.walk(s)) else test
    return None


def _counted(test: ast.expr) -> tuple[str, ast.expr] | None:
    """The name and the number of ``name % number == 0`` or ``not name % number``."""
    if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq):
        if constant_of(test.comparators[0]) != 0:
            return None
        test = test.left
    elif isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        test = test.operand
    else:
        return None
    remains = isinstance(test, ast.BinOp) and isinstance(test.op, ast.Mod)
    return (test.left.id, test.right) if remains and isinstance(test.left, ast.Name) else None  # type: ignore[attr-defined]


def _rounds(source: Source, node: ast.AST, name: str) -> int | None:
    """Where the loop that counts this name ends: the number behind its last one."""
    for loop in source.above(node):
        if isinstance(loop, ast.For) and isinstance(loop.target, ast.Name) and loop.target.id == name:
            call = range_of(loop)
            bounds = call.args if call is not None and not call.keywords else []
            return _number(source, bounds[min(1, len(bounds) - 1)]) if 0 < len(bounds) < 3 else None
    return None


def _number(source: Source, node: ast.expr) -> int | None:
    """A whole number: written here, or given once to a name of the file; also that plus or minus one."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        left, right = _number(source, node.left), constant_of(node.right)
        if left is None or not isinstance(right, int):
            return None
        return left + right if isinstance(node.op, ast.Add) else left - right
    value = constant_of(node)
    if isinstance(node, ast.Name):
        bound = [b for s in (source.scope(node), source.tree) for b in source.bindings(s).get(node.id, [])]
        given = {constant_of(b.node) if not b.path and b.inside is None else None for b in bound}
        value = given.pop() if len(given) == 1 else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None
