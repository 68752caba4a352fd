"""A statement that numbers what its function is given, written anew so that all calls have the numbers of the first."""

from __future__ import annotations

import ast

KEPT = "__flightcheck_numbers_{}"
"""Name of the global of the script that holds the first numbers."""


def kept(statement: ast.stmt, chosen: ast.stmt) -> str:
    """``table = {n: i for i, n in enumerate(names)}`` becomes ``table = globals().setdefault(…, {…})``; empty for any
    other statement.
    """
    if not isinstance(statement, ast.Assign) or not isinstance(statement.value, ast.DictComp | ast.Dict | ast.Call):
        return ""
    targets = " = ".join(map(ast.unparse, statement.targets))
    return f"{targets} = globals().setdefault({KEPT.format(chosen.lineno)!r}, {ast.unparse(statement.value)})"


def numbers_anew(function: ast.FunctionDef) -> ast.Assign | None:
    """The statement of a function that gives numbers in the order of appearance: ``{n: i for i, n in enumerate(x)}``,
    or a table that grows by its own length (``table.setdefault(n, len(table))``, ``table[n] = len(table)``). Sorted
    names have the same numbers every time, as long as there are as many.
    """
    own = [n for n in ast.walk(function) if isinstance(n, ast.Assign) and len(n.targets) == 1]
    grown = {name for n in ast.walk(function) if (name := _grows(n))}
    for made in own:
        name = made.targets[0].id if isinstance(made.targets[0], ast.Name) else ""
        if name and (_enumerates(made.value) or (name in grown and _is_table(made.value))):
            return made
    return None


def _enumerates(value: ast.AST) -> bool:
    """``{n: i for i, n in enumerate(…)}``, not over what is sorted."""
    if isinstance(value, ast.Call) and getattr(value.func, "id", "") == "dict" and len(value.args) == 1:
        value = value.args[0]
    if not isinstance(value, ast.DictComp | ast.GeneratorExp) or len(value.generators) != 1:
        return False
    over = value.generators[0].iter
    if not (isinstance(over, ast.Call) and getattr(over.func, "id", "") == "enumerate" and over.args):
        return False
    written = isinstance(over.args[0], ast.List | ast.Tuple | ast.Constant)
    return not written and "sorted(" not in ast.unparse(over)


def _grows(node: ast.AST) -> str:
    """The table in ``table.setdefault(n, len(table))`` and in ``table[n] = len(table)``."""
    name, number = "", None
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "setdefault":
        name, number = ast.unparse(node.func.value), node.args[1] if len(node.args) > 1 else None
    elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
        name, number = ast.unparse(node.targets[0].value), node.value
    return name if number is not None and f"len({name})" in ast.unparse(number) else ""


def _is_table(value: ast.AST) -> bool:
    return isinstance(value, ast.Dict) or (isinstance(value, ast.Call) and getattr(value.func, "id", "") == "dict")
