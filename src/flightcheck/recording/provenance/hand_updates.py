"""Updates of parameters that a script writes by hand: where the size of the steps is written."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from flightcheck.recording.provenance.follower import Follower
from flightcheck.recording.provenance.source import Source, Value, constant_of, end_of, line_of, read_source


def step_size(file: str, line: int) -> tuple[tuple[str, int], float | None] | None:
    """The number by which a hand-written update multiplies a gradient: ``w -= lr * w.grad``.

    Args:
        file: the source file.
        line: of the update.

    Returns:
        File and line at which the number is written, and its value where that is a literal; None if the statement has
        no such factor.
    """
    try:
        source = read_source(file)
        factor = next(_factors(source, line), None) if source else None
        if source is None or factor is None:
            return None
        found = Follower(line).literal(Value(source, factor))
        if found is None:
            return (file, line_of(factor)), None
        value = constant_of(found.node)
        return found.place, float(value) if isinstance(value, (int, float)) else None
    except Exception:  # the promise of this package: odd sources have no origin, and are no error
        return None


def names_gradients(file: str) -> bool:
    """A source file reads or writes ``.grad`` by itself."""
    try:
        source = read_source(file)
        return source is not None and any(isinstance(n, ast.Attribute) and n.attr == "grad" for n in source.nodes)
    except Exception:  # the promise of this package: odd sources have no answer, and are no error
        return True


def _factors(source: Source, line: int) -> Iterator[ast.AST]:
    """What stands beside a gradient in a product, or is given as ``alpha``, in the statement of a line."""
    statements = (ast.Assign, ast.AugAssign, ast.Expr)
    here = source.around(line, *statements)
    for statement in sorted(here, key=lambda n: end_of(n) - n.lineno):
        for node in ast.walk(statement):
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
                sides = (node.left, node.right)
                for one, other in (sides, sides[::-1]):
                    if _is_gradient(other) and not _is_gradient(one):
                        yield one.operand if isinstance(one, ast.UnaryOp) else one
            if isinstance(node, ast.Call):
                for k in (k for k in node.keywords if k.arg == "alpha"):
                    yield k.value.operand if isinstance(k.value, ast.UnaryOp) else k.value


def _is_gradient(node: ast.AST) -> bool:
    """It names a gradient: ``w.grad``, ``p.grad.data``, ``g``, ``dw``, ``grads[i]``."""
    for part in ast.walk(node):
        name = part.attr if isinstance(part, ast.Attribute) else part.id if isinstance(part, ast.Name) else ""
        if "grad" in name.lower() or name in ("g", "d"):
            return True
    return False
