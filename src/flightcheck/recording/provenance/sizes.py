"""The sizes that a call of ``view`` or ``reshape`` is given: of which axis of a tensor each of them is written."""

from __future__ import annotations

import ast
from typing import Final

from flightcheck.recording.provenance.source import Source, constant_of, end_of, last_name, read_source

_RESHAPES: Final = {"view", "reshape"}
_WHOLE: Final = {"shape", "size"}


def written_axes(file: str, line: int, rank: int) -> list[int]:
    """Per argument of the only reshape on a line: the axis of the tensor whose size it is by its name, else -1.

    ``T`` in ``B, T, C = x.shape`` is the size of axis 1, wherever it is used for a tensor of three axes.

    Args:
        file: the source file.
        line: the line of the call.
        rank: number of axes of the tensor before.

    Returns:
        An empty list where there are several such calls, or the arguments do not stand one by one in the call.
    """
    source = read_source(file)
    if source is None:
        return []
    calls = [c for c in source.calls if c.lineno <= line <= end_of(c) and last_name(c.func) in _RESHAPES]
    if len(calls) != 1 or not isinstance(calls[0].func, ast.Attribute):
        return []
    call, owner = calls[0], calls[0].func.value
    given = list(call.args)
    if last_name(owner) == "torch" and len(given) == 2:
        owner, given = given[0], given[1:]
    if len(given) == 1 and isinstance(given[0], ast.Tuple | ast.List):
        given = list(given[0].elts)
    if any(isinstance(a, ast.Starred) for a in given):
        return []
    names = {ast.unparse(n) for n in ast.walk(owner) if isinstance(n, ast.Name | ast.Attribute)}
    return [_axis(source, call, argument, names, rank) for argument in given]


def _axis(source: Source, call: ast.Call, argument: ast.expr, names: set[str], rank: int) -> int:
    own = _of_tensor(argument, names)
    if own is None and isinstance(argument, ast.Name):
        bound = source.bindings(source.scope(call)).get(argument.id, [])
        before = [b for b in bound if b.line < call.lineno]
        if before and len({b.line for b in bound}) == 1:
            value, path = before[-1].node, before[-1].path
            if isinstance(value, ast.expr) and not path:
                own = _of_tensor(value, names)
            elif len(path) == 1 and isinstance(path[0], int) and _unpacked(source, value) == rank and _shape(value):
                own = path[0]
    return -1 if own is None or not -rank <= own < rank else own % rank


def _of_tensor(node: ast.expr, names: set[str]) -> int | None:
    """The axis in ``x.size(1)`` or ``x.shape[1]`` of a tensor that the reshape's own expression names."""
    number: object = None
    if isinstance(node, ast.Call) and len(node.args) == 1 and last_name(node.func) == "size":
        number, of = constant_of(node.args[0]), node.func
    elif isinstance(node, ast.Subscript) and last_name(node.value) == "shape":
        number, of = constant_of(node.slice), node.value
    if not isinstance(number, int) or not isinstance(of, ast.Attribute) or ast.unparse(of.value) not in names:
        return None
    return number


def _shape(node: ast.AST) -> bool:
    """``x.shape`` or ``x.size()``."""
    if isinstance(node, ast.Call):
        return not node.args and last_name(node.func) == "size"
    return last_name(node) == "shape"


def _unpacked(source: Source, value: ast.AST) -> int:
    """How many names an assignment of this value has on its left side; 0 if they are not counted."""
    parent = source.parents.get(value)
    if not isinstance(parent, ast.Assign) or not isinstance(parent.targets[0], ast.Tuple | ast.List):
        return 0
    names = parent.targets[0].elts
    return 0 if any(isinstance(n, ast.Starred) for n in names) else len(names)
