"""What calls hand on: functions of the user, of libraries and of command lines."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from flightcheck.recording.provenance.source import (
    EACH,
    Construction,
    Function,
    Source,
    Step,
    Value,
    constant_of,
    last_name,
    walk_scope,
)
from flightcheck.recording.provenance.vocabulary import MODULES


def is_module(source: Source, node: ast.AST) -> bool:
    """The expression names something of an imported module."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name) and (node.id in source.imports or node.id in MODULES)


def returned(value: Value, function: Function, path: tuple[Step, ...]) -> Iterator[Value]:
    """What a function of the user gives back, the last ``return`` first."""
    if isinstance(function, ast.Lambda):
        yield value.of(function.body, path)
        return
    kinds = (ast.Return, ast.Yield, ast.YieldFrom)  # the last gives elements of its own, as they are
    results = [n for n in walk_scope(function) if isinstance(n, kinds) and n.value is not None]
    for node in sorted(results, key=lambda n: -n.lineno):
        if isinstance(node.value, ast.expr):
            yield value.of(node.value, path[1:] if isinstance(node, ast.Yield) and path[:1] == (EACH,) else path)


def handed_on(value: Value, call: ast.Call, name: str) -> Iterator[Value]:
    """Calls of the library functions that hand values on."""
    path, arguments = value.path, call.args
    keywords = {k.arg: k.value for k in call.keywords if k.arg}
    first: ast.AST | None = arguments[0] if arguments else None
    if first is None:
        first = keywords.get("dataset", keywords.get("iterable", keywords.get("data")))
    position = path[1] if path[:1] == (EACH,) and len(path) > 1 and isinstance(path[1], int) else None
    if "transform" in keywords and path[-1:] in ((), (0,), (EACH,)):
        yield value.of(keywords["transform"], ())
    elif name == "next" and first is not None:
        yield value.of(first, (EACH, *path))
    elif name == "enumerate" and first is not None:
        if position != 0:
            yield value.of(first, (EACH, *path[2:]))
    elif name == "zip":
        if position is not None and position < len(arguments):
            yield value.of(arguments[position], (EACH, *path[2:]))
    elif name == "TensorDataset":
        if (position or 0) < len(arguments):
            yield value.of(arguments[position or 0], path[2:] if position is not None else path[1:])
    elif name == "DataLoader" and first is not None:
        yield from _collated(value, first, keywords.get("collate_fn"))
        yield value.of(first)
    elif name == "random_split" and first is not None:
        yield value.of(first, path[1:] if path and isinstance(path[0], int) else path)
    elif name == "train_test_split":
        i = path[0] if path and isinstance(path[0], int) else 0
        yield from (value.of(a, path[1:]) for a in arguments[i // 2 : i // 2 + 1])
    elif name == "map" and len(arguments) > 1:
        yield value.of(arguments[1])
    elif isinstance(call.func, ast.Attribute) and not is_module(value.source, call.func.value):
        yield value.of(call.func.value)
    elif first is not None:
        yield value.of(first)


def _collated(value: Value, dataset: ast.AST, collate: ast.AST | None) -> Iterator[Value]:
    if isinstance(collate, ast.Name) and value.path[:1] == (EACH,):
        for function in value.source.functions.get(collate.id, [])[:1]:
            call = ast.Call(func=collate, args=[dataset], keywords=[])  # type: ignore[list-item]
            entered: Construction = (call, value.source, value.context)
            inner = Value(value.source, function, value.path[1:], {**value.context, function: entered})
            yield from returned(inner, function, value.path[1:])


def command_line(value: Value, name: str) -> Iterator[Value]:
    """``parser.add_argument("--lr", default=…)`` and click's options in the same file."""
    for call in value.source.calls:
        if last_name(call.func) not in ("add_argument", "option", "DEFINE_float", "DEFINE_integer"):
            continue
        keywords = {k.arg: k.value for k in call.keywords}
        options = [str(constant_of(a)) for a in call.args]
        names = {o.lstrip("-").replace("-", "_") for o in options} | {str(constant_of(keywords.get("dest")))}
        if name in names:
            yield value.of(keywords["default"], ()) if "default" in keywords else value.of(call, ())
