"""A statement that keeps whole numbers only, written anew so that it keeps fractions."""

from __future__ import annotations

import ast
import re
from typing import Final

_WHOLE: Final = re.compile(r"u?int(8|16|32|64)?|long|short|byte")
_CASTS: Final = {"long", "int", "short", "byte"}
_FILLED: Final = {"zeros_like", "empty_like", "ones_like"}


def with_fractions(statement: ast.stmt, chosen: ast.stmt) -> str:
    """The statement with ``/`` for ``//``, without casts to whole numbers, with arrays of floats; empty without any.

    What is cast becomes a float where it was given a type (``.astype(np.uint8)``) and stays what it is where a cast
    has a name of its own (``.long()``).
    """
    changed = _Fractions().changed(statement)
    return ast.unparse(ast.fix_missing_locations(changed)) if changed is not None else ""


class _Fractions(ast.NodeTransformer):
    def __init__(self) -> None:
        self._found = 0

    def changed(self, statement: ast.stmt) -> ast.stmt | None:
        """The statement, None if there was nothing to change."""
        made: ast.stmt = self.visit(statement)
        return made if self._found else None

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.op, ast.FloorDiv):
            self._found += 1
            node.op = ast.Div()
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        node.value = self.visit(node.value)  # whole numbers in an index are right
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if isinstance(node.func, ast.Name) and node.func.id in ("range", "len", "int", "slice"):
            return node
        self.generic_visit(node)
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        if isinstance(node.func, ast.Attribute) and name in _CASTS and not (node.args or node.keywords):
            self._found += 1
            return node.func.value
        if name in ("astype", "to", "type") and node.args and _is_whole(node.args[0]):
            node.args[0] = self._float("torch" if name != "astype" else "np")
        for keyword in node.keywords:
            if keyword.arg == "dtype" and _is_whole(keyword.value):
                keyword.value = self._float(_owner(node))
        if name in _FILLED and not any(k.arg == "dtype" for k in node.keywords) and len(node.args) == 1:
            node.keywords.append(ast.keyword("dtype", self._float(_owner(node))))
        return node

    def _float(self, library: str) -> ast.expr:
        """Single precision in the words of a library; a text where NumPy may have another name."""
        self._found += 1
        if library == "torch":
            return ast.Attribute(ast.Name("torch", ast.Load()), "float32", ast.Load())
        return ast.Constant("float32")


def _owner(call: ast.Call) -> str:
    value = call.func.value if isinstance(call.func, ast.Attribute) else None
    return value.id if isinstance(value, ast.Name) else ""


def _is_whole(value: ast.expr) -> bool:
    """``np.uint8``, ``torch.long``, ``int``, ``"int32"``."""
    name = value.attr if isinstance(value, ast.Attribute) else value.id if isinstance(value, ast.Name) else ""
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        name = value.value
    return bool(_WHOLE.fullmatch(name))
