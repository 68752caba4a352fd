"""A statement that sorts something, written anew so that it keeps the order."""

from __future__ import annotations

import ast


def unsorted(statement: ast.stmt, chosen: ast.stmt) -> str:
    """``sorted(x, key=…)`` becomes ``list(x)``, ``argsort(x)`` and ``x.argsort()`` ``list(range(len(x)))``, and
    ``x.sort(…)`` by itself ``pass``; empty for any other statement.
    """
    call = statement.value if isinstance(statement, ast.Expr) else None
    if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "sort":
        return "pass"
    kept = _Kept()
    made = kept.visit(statement)
    return ast.unparse(ast.fix_missing_locations(made)) if kept.found == 1 else ""


class _Kept(ast.NodeTransformer):
    def __init__(self) -> None:
        self.found = 0

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id == "sorted" and node.args:
            self.found += 1
            return ast.Call(ast.Name("list", ast.Load()), node.args[:1], [])
        if isinstance(node.func, ast.Attribute) and node.func.attr == "argsort":
            self.found += 1
            library = isinstance(node.func.value, ast.Name) and node.func.value.id in ("np", "numpy", "torch")
            given = node.args[0] if library and node.args else node.func.value
            count = ast.Call(ast.Name("len", ast.Load()), [given], [])
            return ast.Call(ast.Name("list", ast.Load()), [ast.Call(ast.Name("range", ast.Load()), [count], [])], [])
        return node
