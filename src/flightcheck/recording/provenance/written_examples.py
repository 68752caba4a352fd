"""Lines of a dataset that write into the examples it holds: ``x = self.x[i]; x -= self.mean``."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final, TypeAlias

from flightcheck.recording.provenance.source import last_name, line_of, read_source

_Function: TypeAlias = "ast.FunctionDef | ast.AsyncFunctionDef"
_GIVES: Final = ("__getitem__", "__getitems__")
_SAME_MEMORY: Final = {
    "from_numpy", "as_tensor", "asarray", "ascontiguousarray", "view", "reshape", "squeeze", "unsqueeze", "transpose",
    "permute", "detach", "numpy", "select", "narrow", "ravel", "flatten", "contiguous", "swapaxes", "expand_dims",
}  # fmt: skip
"""Calls whose result may share the memory of what they are given."""
_SHUFFLES: Final = {"shuffle"}


def writes_into_examples(file: str, owner: str) -> tuple[str, int] | None:
    """The first line of a dataset's class that changes an example in place.

    Looked at are ``__getitem__`` and the methods that it calls, with what they take out of ``self`` by an index; then
    functions of the file that change what they are given, by which a transform may do it.

    Args:
        file: the source file of the class.
        owner: name of the class.
    """
    try:
        source = read_source(file)
        there = source.classes.get(owner) if source else None
        if source is None or there is None:
            return None
        methods = {n.name: n for n in there.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}
        given = [methods[n] for n in _GIVES if n in methods]
        called = [methods[n] for g in given for n in _called_on_self(g) if n in methods and methods[n] not in given]
        for function in (*given, *called):
            if (line := _first_write(function, set())) is not None:
                return file, line
        for several in source.functions.values():
            for function in several:
                if isinstance(function, ast.FunctionDef) and function not in methods.values():
                    line = _first_write(function, {a.arg for a in function.args.args} - {"self"})
                    if line is not None and any(isinstance(n, ast.Return) and n.value for n in ast.walk(function)):
                        return file, line
        return None
    except Exception:  # the promise of this package: odd sources have no answer, and are no error
        return None


def _called_on_self(function: _Function) -> Iterator[str]:
    for node in ast.walk(function):
        method = node.func if isinstance(node, ast.Call) else None
        if isinstance(method, ast.Attribute) and isinstance(method.value, ast.Name) and method.value.id == "self":
            yield method.attr


def _first_write(function: _Function, shared: set[str]) -> int | None:
    """The first statement that writes into something of `shared`, or into what an index took out of ``self``."""
    shared = set(shared)
    for statement in _statements(function.body):
        if _writes(statement, shared):
            return line_of(statement)
        if isinstance(statement, ast.Assign):
            before = set(shared)
            for target in statement.targets:
                _assigned(target, statement.value, shared)
            if statement not in function.body:  # a branch that may not be taken
                shared |= before
    return None


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """In their order, those of loops and branches as well."""
    for statement in body:
        if not isinstance(statement, ast.FunctionDef | ast.ClassDef):
            yield statement
            for field in ("body", "orelse", "finalbody"):
                yield from _statements(getattr(statement, field, []))


def _assigned(target: ast.expr, value: ast.expr, shared: set[str]) -> None:
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
        for one, other in zip(target.elts, value.elts, strict=True):
            _assigned(one, other, shared)
    elif isinstance(target, ast.Tuple):
        shared |= {e.id for e in target.elts if isinstance(e, ast.Name) and _is_part(value, shared)}
    elif isinstance(target, ast.Name):
        (shared.add if _is_part(value, shared) else shared.discard)(target.id)


def _is_part(node: ast.expr, shared: set[str]) -> bool:
    """It may share memory with an example: a name of `shared`, ``self.x[i]``, or another view of one of these."""
    if isinstance(node, ast.Name):
        return node.id in shared
    if isinstance(node, ast.Subscript):
        return _of_self(node.value) or _is_part(node.value, shared)
    if isinstance(node, ast.Attribute):
        return node.attr in ("T", "data", "mT") and _is_part(node.value, shared)
    if isinstance(node, ast.Call) and last_name(node.func) in _SAME_MEMORY:
        inside = node.func.value if isinstance(node.func, ast.Attribute) else None
        return any(_is_part(n, shared) for n in (*node.args[:1], inside) if n is not None)
    return False


def _of_self(node: ast.expr) -> bool:
    """``self.x``, ``self.data.images``."""
    while isinstance(node, ast.Attribute):
        node = node.value
        if isinstance(node, ast.Name) and node.id == "self":
            return True
    return False


def _writes(statement: ast.stmt, shared: set[str]) -> bool:
    if isinstance(statement, ast.AugAssign):
        return _is_part(statement.target, shared) or _slice_of(statement.target, shared)
    if isinstance(statement, ast.Assign):
        return any(_slice_of(t, shared) for t in statement.targets) or _calls_in_place(statement.value, shared)
    return isinstance(statement, ast.Expr) and _calls_in_place(statement.value, shared)


def _slice_of(target: ast.expr, shared: set[str]) -> bool:
    """``x[2:4]`` of an example ``x``, or ``self.x[i]`` itself."""
    return isinstance(target, ast.Subscript) and (_is_part(target.value, shared) or _of_self(target.value))


def _calls_in_place(node: ast.expr, shared: set[str]) -> bool:
    for call in (n for n in ast.walk(node) if isinstance(n, ast.Call)):
        name = last_name(call.func)
        owner = call.func.value if isinstance(call.func, ast.Attribute) else None
        if name.endswith("_") and not name.endswith("__") and owner is not None and _is_part(owner, shared):
            return True
        if name in _SHUFFLES and call.args and _is_part(call.args[0], shared):
            return True
        if any(k.arg == "out" and _is_part(k.value, shared) for k in call.keywords):
            return True
    return False
