"""The expression that is meant by a line and a name."""

from __future__ import annotations

import ast

from flightcheck.recording.provenance.callers import Callers, context_of
from flightcheck.recording.provenance.handing_on import is_module
from flightcheck.recording.provenance.source import Source, Value, end_of, last_name, read_source
from flightcheck.recording.provenance.vocabulary import NOT_MODELS


def value_at(file: str, line: int, name: str | None, function: str, callers: Callers) -> Value | None:
    """The variable or expression `name` as it is used at a line; None is the first argument of the first call."""
    source = read_source(file)
    node = _expression(source, line, name, function) if source else None
    return (
        Value(source, node, (), context_of(source, node, callers)) if source is not None and node is not None else None
    )


def _expression(source: Source, line: int, name: str | None, function: str) -> ast.AST | None:
    if name is None:
        calls = [c for c in source.calls if c.lineno <= line <= end_of(c)]
        calls = [c for c in calls if c.args and not isinstance(c.args[0], ast.Constant)]
        calls.sort(key=lambda c: (_around_model(source, c), c.lineno != line, c.col_offset))
        return calls[0].args[0] if calls else None
    wanted = ast.unparse(ast.parse(name, mode="eval"))
    for node in source.nodes:
        if not isinstance(node, ast.expr) or not node.lineno == node.end_lineno == line or _stored(node):
            continue
        if ast.unparse(node) == wanted:
            return node
    return _planted(source, line, name, function)


def _around_model(source: Source, call: ast.Call) -> bool:
    """The call is rather a loss or a library function around the model's call than that itself."""
    module = isinstance(call.func, ast.Attribute) and is_module(source, call.func.value)
    return module or bool(NOT_MODELS.search(last_name(call.func)))


def _stored(node: ast.expr) -> bool:
    return isinstance(getattr(node, "ctx", None), ast.Store)


def _planted(source: Source, line: int, name: str, function: str) -> ast.AST | None:
    """The expression as if it stood at the line, inside the function there."""
    expression = ast.parse(name, mode="eval").body
    functions = source.functions.get(function, []) if function else []
    if not functions:
        functions = [f for several in source.functions.values() for f in several]
    around = [f for f in functions if f.lineno <= line <= end_of(f)]
    parent: ast.AST = max(around, key=lambda f: f.lineno) if around else source.tree
    for node in ast.walk(expression):
        for child in ast.iter_child_nodes(node):
            source.parents[child] = node
        if isinstance(node, ast.expr):
            node.lineno = node.end_lineno = line
    source.parents[expression] = parent
    return expression
