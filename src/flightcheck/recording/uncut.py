"""A statement that keeps the most frequent words of a vocabulary only, written anew so that it keeps all."""

from __future__ import annotations

import ast
from collections.abc import Callable
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
    return not hasattr(statement, "body") and any(map(_cuts, ast.walk(statement)))


def _cuts(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        return _is_most_common(node) or any(map(_is_limit_of(node), node.keywords))
    if isinstance(node, ast.Subscript):
        return _first_ones(node)
    return isinstance(node, ast.comprehension) and _over_counts(node) and _above_a_count(node)


class _Whole(ast.NodeTransformer):
    def __init__(self) -> None:
        self.found = 0

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        if not _cuts(node):
            return node
        self.found += 1
        if isinstance(node, ast.Subscript):
            return node.value
        if isinstance(node, ast.comprehension):
            node.ifs = []
        elif isinstance(node, ast.Call) and _is_most_common(node):
            node.args = []
        elif isinstance(node, ast.Call):
            limits = _is_limit_of(node)
            node.keywords = [k for k in node.keywords if not limits(k)]
        return node


def _is_most_common(node: ast.Call) -> bool:
    """``counts.most_common(30)``."""
    return _called(node) == "most_common" and len(node.args) == 1


def _is_limit_of(node: ast.Call) -> Callable[[ast.keyword], bool]:
    makes = any(m in _called(node).lower() for m in _MAKERS)
    return lambda keyword: makes and keyword.arg in _LIMITS


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else str(getattr(node.func, "id", ""))


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


def _above_a_count(node: ast.comprehension) -> bool:
    """``if count >= 5``, and nothing else."""
    return bool(node.ifs) and all(map(_at_least, node.ifs))


def _at_least(test: ast.expr) -> bool:
    """``count >= 5``."""
    return isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], (ast.Gt, ast.GtE))
