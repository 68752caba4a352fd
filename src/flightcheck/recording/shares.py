"""A statement that divides what was counted, with the counts that were seen in the place of its own."""

from __future__ import annotations

import ast
import re
from typing import Final

from flightcheck.recording.separating import HELPER

_RULE: Final = re.compile(r"share@(\d+)=([\w.\[\]'\"]+)")


def line_of_counts(rule: str) -> int | None:
    """The line whose sums a rule ``share@31=correct`` is about; None for another rule."""
    found = _RULE.fullmatch(rule)
    return int(found[1]) if found is not None else None


def with_share(rule: str, statement: ast.stmt, chosen: ast.stmt) -> str:
    """``correct / len(data)`` becomes ``true(31, correct) / counted(31, len(data))``; empty if the rule does not fit.

    Args:
        rule: ``share@31=correct``.
        statement: is changed.
        chosen: the same, as it was.
    """
    found = _RULE.fullmatch(rule)
    if found is None:
        return ""
    line, name = int(found[1]), found[2]
    if isinstance(statement, ast.AugAssign):
        if not isinstance(statement.op, ast.Div) or ast.unparse(statement.target) != name:
            return ""
        counted = ast.unparse(_call("counted", line, statement.value))
        return f"{name} = {HELPER}.counts.true({line}, {name}) / {counted}"
    division = next((n for n in ast.walk(statement) if isinstance(n, ast.BinOp) and _divides(n, name)), None)
    if division is None:
        return ""
    division.left = _Named(name, line).visit(division.left)
    division.right = _call("counted", line, division.right)
    return ast.unparse(ast.fix_missing_locations(statement))


def _divides(node: ast.BinOp, name: str) -> bool:
    held = (ast.unparse(n) for n in ast.walk(node.left) if isinstance(n, ast.Name | ast.Attribute | ast.Subscript))
    return isinstance(node.op, ast.Div) and name in held


def _call(method: str, line: int, value: ast.expr) -> ast.Call:
    counts = ast.Attribute(ast.Name(HELPER, ast.Load()), "counts", ast.Load())
    return ast.Call(ast.Attribute(counts, method, ast.Load()), [ast.Constant(line), value], [])


class _Named(ast.NodeTransformer):
    """Puts the count that was seen in the place of a name."""

    def __init__(self, name: str, line: int) -> None:
        self.name, self.line = name, line

    def generic_visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.Name | ast.Attribute | ast.Subscript) and ast.unparse(node) == self.name:
            return _call("true", self.line, node)
        return super().generic_visit(node)
