"""Statements that put a zero in the place of what is missing: found in a source, and written anew so that it shows.

The zero becomes `MARK`, a number so close to it that nothing is learnt from the difference, and that no label has.
"""

from __future__ import annotations

import ast
import copy
from typing import Final

MARK: Final = 2.0**-20
"""The same in all floating-point types, and 0 as a whole number."""
_TESTS: Final = {"isnan", "isna", "isnull", "isfinite", "notna", "notnull"}
_OF_WHERE: Final = 3
"""Arguments of a ``where`` that chooses between two."""
_ABSENT: Final = ("", "nan", "NaN", "NA", "N/A", "?", None)
"""What a field of a text file holds that has no value."""


def marked(statement: ast.stmt, chosen: ast.stmt) -> str:
    """The statement with `MARK` in the place of each zero that fills what is missing; empty if it fills nothing."""
    filled = _Filled()
    made = filled.visit(statement)
    return ast.unparse(ast.fix_missing_locations(made)) if filled.lines else ""


def lines_of_fills(tree: ast.Module) -> list[int]:
    """The first lines of simple statements that put a zero in the place of what is missing."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt) and not hasattr(node, "body"):
            filled = _Filled()
            filled.visit(copy.deepcopy(node))
            if filled.lines:
                found.append(node.lineno)
    return sorted(set(found))


class _Filled(ast.NodeTransformer):
    """Replaces the zeros in place."""

    def __init__(self) -> None:
        self.lines: list[int] = []

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in ("nan_to_num", "nan_to_num_"):
            method = isinstance(node.func, ast.Attribute) and _is_value(node.func.value)
            given = [k for k in node.keywords if k.arg == "nan"]
            if len(node.args) == (0 if method else 1) and all(_is_zero(k.value) for k in given):
                node.keywords = [*(k for k in node.keywords if k.arg != "nan"), ast.keyword("nan", self._mark(node))]
        elif name == "fillna":
            if node.args and _is_zero(node.args[0]):
                node.args[0] = self._mark(node)
            for k in node.keywords:
                if k.arg == "value" and _is_zero(k.value):
                    k.value = self._mark(node)
        elif name in ("where", "masked_fill", "masked_fill_"):
            first = node.args[0] if node.args else None
            if first is not None and len(node.args) <= _OF_WHERE and _asks(first):
                node.args = [first, *(self._mark(node) if _is_zero(a) else a for a in node.args[1:])]
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        self.generic_visit(node)
        by_mask = [t for t in node.targets if isinstance(t, ast.Subscript) and _asks(t.slice)]
        if by_mask and _is_zero(node.value):
            node.value = self._mark(node)
        return node

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        self.generic_visit(node)
        if _asks(node.test) or _absent(node.test):
            if _is_zero(node.body):
                node.body = self._mark(node)
            elif _is_zero(node.orelse):
                node.orelse = self._mark(node)
        return node

    def _mark(self, node: ast.expr | ast.stmt) -> ast.Constant:
        self.lines.append(node.lineno)
        return ast.Constant(MARK)


def _is_zero(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) in (int, float) and node.value == 0


def _is_value(node: ast.AST) -> bool:
    """No module: ``y.nan_to_num()`` and not ``np.nan_to_num(y)``."""
    return not (isinstance(node, ast.Name) and node.id in ("np", "numpy", "torch", "jnp"))


def _asks(test: ast.AST) -> bool:
    """The expression asks which values are missing."""
    for node in ast.walk(test):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in _TESTS:
                return True
        elif isinstance(node, ast.Compare) and ast.dump(node.left) == ast.dump(node.comparators[0]):
            return True  # what is not equal to itself
    return False


def _absent(test: ast.AST) -> bool:
    """A comparison with what stands in a field without a value."""
    compared = [n for n in ast.walk(test) if isinstance(n, ast.Compare) and len(n.comparators) == 1]
    return any(isinstance(n.comparators[0], ast.Constant) and n.comparators[0].value in _ABSENT for n in compared)
