"""A statement that keeps the most frequent words of a vocabulary only, written anew so that it keeps all."""

from __future__ import annotations

import ast
import copy
from typing import Final

_LIMITS: Final = {"max_tokens", "max_features", "max_size", "max_vocab_size", "min_freq", "min_count"}
"""Options of functions that make vocabularies."""
_MAKERS: Final = ("vocab", "vectorizer")


def uncut(statement: ast.stmt, chosen: ast.stmt) -> str:
    """``counts.most_common(30)`` becomes ``counts.most_common()``, ``if c >= 5`` in a comprehension over counts is
    dropped, and so are the limits of functions that make vocabularies; empty for any other statement.
    """
    whole = _Whole()
    made = whole.visit(statement)
    return ast.unparse(ast.fix_missing_locations(made)) if whole.found else ""


def cuts(statement: ast.stmt) -> bool:
    """The statement keeps a part of a vocabulary."""
    if hasattr(statement, "body"):
        return False
    whole = _Whole()
    whole.visit(copy.deepcopy(statement))
    return whole.found > 0


class _Whole(ast.NodeTransformer):
    def __init__(self) -> None:
        self.found = 0

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name == "most_common" and len(node.args) == 1:
            node.args = []
            self.found += 1
        elif any(m in name.lower() for m in _MAKERS):
            kept = [k for k in node.keywords if k.arg not in _LIMITS]
            self.found += len(kept) < len(node.keywords)
            node.keywords = kept
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        self.generic_visit(node)
        if self._first_ones(node) and isinstance(node.value, ast.Call):
            self.found += 1
            return node.value
        return node

    def visit_comprehension(self, node: ast.comprehension) -> ast.AST:
        self.generic_visit(node)
        if _over_counts(node) and node.ifs and all(map(_at_least, node.ifs)):
            node.ifs = []
            self.found += 1
        return node

    @staticmethod
    def _first_ones(node: ast.Subscript) -> bool:
        """``sorted(counts, key=counts.get, reverse=True)[:30]``, ``counts.most_common()[:30]``."""
        if not isinstance(node.slice, ast.Slice) or node.slice.lower is not None or node.slice.upper is None:
            return False
        call = node.value
        if not isinstance(call, ast.Call):
            return False
        if isinstance(call.func, ast.Attribute) and call.func.attr == "most_common":
            return True
        sorts = isinstance(call.func, ast.Name) and call.func.id == "sorted"
        return sorts and {"key", "reverse"} <= {k.arg for k in call.keywords}


def _over_counts(node: ast.comprehension) -> bool:
    """``for word, count in counts.items()``."""
    name = node.iter.func.attr if isinstance(node.iter, ast.Call) and isinstance(node.iter.func, ast.Attribute) else ""
    return name in ("items", "most_common")


def _at_least(test: ast.expr) -> bool:
    """``count >= 5``."""
    return isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], (ast.Gt, ast.GtE))
