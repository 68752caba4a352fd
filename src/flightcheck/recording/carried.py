"""A statement that counts on where the loop around it begins anew: ``set_rate(i)`` in each epoch."""

from __future__ import annotations

import ast
import re
from typing import Final

from flightcheck.recording.separating import HELPER

_RULE: Final = re.compile(r"carried@(\w+)")


def is_carried(rule: str) -> bool:
    """A rule such as ``carried@i``."""
    return _RULE.fullmatch(rule) is not None


def carried(rule: str, statement: ast.stmt, chosen: ast.stmt) -> str:
    """``set_rate(i)`` becomes ``set_rate(helper.carried(7, i))``, which begins where the loop before it ended.

    Args:
        rule: ``carried@i``.
        statement: is changed.
        chosen: the same, as it was.
    """
    found = _RULE.fullmatch(rule)
    counting = _Carried(found[1], chosen.lineno) if found is not None else None
    if counting is None:
        return ""
    made = counting.visit(statement)
    return ast.unparse(ast.fix_missing_locations(made)) if counting.found else ""


class _Carried(ast.NodeTransformer):
    """Puts the number of rounds in all loops in the place of a loop's own count."""

    def __init__(self, name: str, line: int) -> None:
        self.name, self.line, self.found = name, line, 0

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id != self.name or not isinstance(node.ctx, ast.Load):
            return node
        self.found += 1
        helper = ast.Attribute(ast.Name(HELPER, ast.Load()), "carried", ast.Load())
        return ast.Call(helper, [ast.Constant(self.line), node], [])
