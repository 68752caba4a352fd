"""Two statements that each draw an order of their own, as they would be with one order for both."""

from __future__ import annotations

import ast
from typing import Final

from flightcheck.recording.rewriting import blocks, called, drawing_calls

_NAMES: Final = ("order", "shuffled", "same_order")
_OF_LENGTH: Final = {"permutation", "randperm"}
"""What gives an order, where it is given a length."""


def with_one_order(source: str, first: int, second: int) -> str:
    """Lines with ``-`` and ``+``; empty where it is more than another index, or the statements stand apart.

    Args:
        source: of the whole file.
        first: line of one statement.
        second: line of the other one, before it or behind it.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return ""
    first, second = sorted((first, second))
    for block in blocks(tree):
        found = [
            s for s in block if isinstance(s, ast.Assign) and s.lineno == s.end_lineno and s.lineno in (first, second)
        ]
        if len(found) == 2:
            return _together(source, tree, *found)
    return ""


def _together(source: str, tree: ast.Module, one: ast.Assign, other: ast.Assign) -> str:
    draws = [drawing_calls(s) for s in (one, other)]
    if any(len(d) != 1 or called(d[0]) not in _OF_LENGTH for d in draws):
        return ""
    (call,), (again,) = draws
    if _is_name(one) and _is_name(other) and _is_whole(one, call) and _is_whole(other, again):
        if not (_counts(call) and _counts(again)) and _arguments(call) != _arguments(again):
            return ""  # whole arrays in an order of their own
        return f"- {_written(source, other)}\n+ {ast.unparse(other.targets[0])} = {ast.unparse(one.targets[0])}"
    if not (_is_index(one, call) and _is_index(other, again)):
        return ""
    taken = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    name = next((n for n in _NAMES if n not in taken), "")
    added = [
        f"{name} = {_written(source, call)}",
        *(_exchanged(source, s, c, name) for s, c in ((one, call), (other, again))),
    ]
    return "\n".join([*(f"- {_written(source, s)}" for s in (one, other)), *(f"+ {a}" for a in added)]) if name else ""


def _is_name(statement: ast.Assign) -> bool:
    return isinstance(statement.targets[0], ast.Name) and len(statement.targets) == 1


def _is_whole(statement: ast.Assign, call: ast.Call) -> bool:
    return statement.value is call


def _counts(call: ast.Call) -> bool:
    """It is given a length, and so gives an index."""
    given = call.args[0] if call.args else None
    if isinstance(given, ast.Call):
        return called(given) in ("len", "size")
    return isinstance(given, ast.Subscript) and isinstance(given.value, ast.Attribute) and given.value.attr == "shape"


def _arguments(call: ast.Call) -> str:
    return ", ".join(map(ast.unparse, call.args))


def _is_index(statement: ast.stmt, call: ast.Call) -> bool:
    return any(isinstance(n, ast.Subscript) and n.slice is call for n in ast.walk(statement))


def _written(source: str, node: ast.AST) -> str:
    return ast.get_source_segment(source, node) or ""


def _exchanged(source: str, statement: ast.stmt, call: ast.Call, name: str) -> str:
    """The statement with a name in the place of a call."""
    line = source.splitlines()[statement.lineno - 1].encode()
    start, middle, end = statement.col_offset, call.col_offset, call.end_col_offset or 0
    return (line[start:middle] + name.encode() + line[end : statement.end_col_offset]).decode()
