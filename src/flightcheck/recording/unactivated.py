"""A statement without its ReLU."""

from __future__ import annotations

import ast


def unactivated(statement: ast.stmt, chosen: ast.stmt) -> str:
    """``F.relu(self.logvar(h))`` becomes ``self.logvar(h)``, and so does ``self.logvar(h).relu()``; else empty."""
    without = _Without()
    made = without.visit(statement)
    return ast.unparse(ast.fix_missing_locations(made)) if without.found else ""


class _Without(ast.NodeTransformer):
    def __init__(self) -> None:
        self.found = 0

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name not in ("relu", "relu_") or node.keywords:
            return node
        self.found += 1
        if node.args:
            return node.args[0]
        return node.func.value if isinstance(node.func, ast.Attribute) else node
