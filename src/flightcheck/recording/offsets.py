"""A statement with numbers too large for their precision, written anew: they are counted from the smallest, or stay
double, or single.
"""

from __future__ import annotations

import ast
from typing import Final

from flightcheck.recording.separating import HELPER

_GIVEN: Final = {"tensor", "as_tensor", "from_numpy", "FloatTensor", "asarray", "array", "float32"}
"""Functions that convert what they are given."""
_TENSORS: Final = {"tensor", "as_tensor", "from_numpy", "FloatTensor"}
"""Those of them that give a tensor."""
_SINGLE: Final = {"float32", "float", "single", "f4"}
_OWN: Final = {"astype", "float", "to", "type"}
"""Methods that convert what they belong to."""
_HALVES: Final = {"half", "bfloat16"}


def from_zero(statement: ast.stmt, chosen: ast.stmt) -> str:
    """``torch.tensor(t, dtype=torch.float32)`` becomes ``torch.tensor(helper.from_zero(t), …)``, ``t = a + b`` becomes
    ``t = helper.from_zero(a + b)`` where nothing is converted; empty for any other statement.
    """
    shifted = _Shifted()
    made = shifted.visit(statement)
    if not shifted.found:
        if not isinstance(made, ast.Assign):
            return ""
        made.value = _call(made.value)
    return ast.unparse(ast.fix_missing_locations(made))


class _Shifted(ast.NodeTransformer):
    """The innermost conversions get their numbers counted from the smallest."""

    def __init__(self) -> None:
        self.found = 0

    def visit_Call(self, node: ast.Call) -> ast.AST:
        before = self.found
        self.generic_visit(node)
        if self.found > before:
            return node
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in _GIVEN and node.args:
            node.args[0] = _call(node.args[0])
            self.found += 1
        elif name in _OWN and isinstance(node.func, ast.Attribute):
            node.func.value = _call(node.func.value)
            self.found += 1
        return node


def double(statement: ast.stmt, chosen: ast.stmt) -> str:
    """``torch.tensor(t)`` becomes ``helper.double(t)``, ``x.float()`` becomes ``x.double()``; empty without any."""
    doubled = _Doubled()
    made = doubled.visit(statement)
    return ast.unparse(ast.fix_missing_locations(made)) if doubled.found else ""


class _Doubled(ast.NodeTransformer):
    """All conversions to single precision are to double precision."""

    def __init__(self) -> None:
        self.found = 0

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in _GIVEN and node.args:
            self.found += 1
            return _call(node.args[0], "double" if name in _TENSORS else "double_array")
        single = name == "float" or any(ast.unparse(a).rpartition(".")[2].strip("'\"") in _SINGLE for a in node.args)
        if name in _OWN and single and isinstance(node.func, ast.Attribute):
            self.found += 1
            node.args = [] if name == "float" else [ast.Constant("float64")]
            node.func.attr = "double" if name == "float" else name
            return _call(node.func.value, "double") if name in ("to", "type") else node
        return node


def single(statement: ast.stmt, chosen: ast.stmt) -> str:
    """``x.half()`` becomes ``x.float()``, ``x.to(dtype)`` becomes ``helper.single(x, dtype)``; empty without any."""
    made_single = _Single()
    made = made_single.visit(statement)
    return ast.unparse(ast.fix_missing_locations(made)) if made_single.found else ""


class _Single(ast.NodeTransformer):
    """No conversion is to half precision; which type a name stands for is asked when it runs."""

    def __init__(self) -> None:
        self.found = 0

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if not isinstance(node.func, ast.Attribute):
            return node
        if node.func.attr in _HALVES and not node.args:
            self.found += 1
            node.func.attr = "float"
        elif node.func.attr == "to" and (node.args or node.keywords):
            self.found += 1
            helper = ast.Attribute(ast.Name(HELPER, ast.Load()), "single", ast.Load())
            return ast.Call(helper, [node.func.value, *node.args], node.keywords)
        return node


def _call(value: ast.expr, name: str = "from_zero") -> ast.Call:
    return ast.Call(ast.Attribute(ast.Name(HELPER, ast.Load()), name, ast.Load()), [value], [])
