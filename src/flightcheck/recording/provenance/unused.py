"""Results that a method computes and never reads."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from flightcheck.frozen import frozen
from flightcheck.recording.provenance.source import line_of, parameter_names, read_source, walk_scope

Method = ast.FunctionDef | ast.AsyncFunctionDef


@frozen
class Unused:
    """One such result."""

    line: int
    kind: str
    """``statement``, ``overwritten`` or ``variable``."""
    called: str
    """What is called, as it is written; empty where a name is given to a value as it is."""
    name: str
    """The name that a call by itself was given, or the one that nothing reads."""


def unused_results(file: str, class_name: str) -> list[Unused]:
    """What the forward pass of a class computes for nothing, in the order of its lines.

    Args:
        file: the source file.
        class_name: of a module. Methods that ``forward`` calls count, too.
    """
    try:
        source = read_source(file)
        owner = source.classes.get(class_name) if source is not None else None
        if owner is None:
            return []
        found = [u for m in reached_methods(owner) for u in _of_method(m)]
        return sorted(found, key=lambda u: u.line)
    except Exception:  # the promise of this package: odd sources have no answer, and are no error
        return []


def keeps_something(file: str, class_name: str) -> bool:
    """The forward pass of a class leaves more behind than its result: an attribute, an entry, a longer list."""
    try:
        source = read_source(file)
        owner = source.classes.get(class_name) if source is not None else None
        if owner is None:
            return True
        nodes = [n for m in reached_methods(owner) for n in ast.walk(m)]
        stores = any(isinstance(n, ast.Attribute | ast.Subscript) and isinstance(n.ctx, ast.Store) for n in nodes)
        calls = [n.func.attr for n in nodes if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute)]
        return stores or any(c in ("append", "add", "update", "extend", "put") or c.endswith("_") for c in calls)
    except Exception:  # as above
        return True


def parts_read(file: str, class_name: str, name: str) -> set[str]:
    """What a class reads of one of its parts: ``running_mean`` of ``self.norm.running_mean`` for the name ``norm``.

    A part whose numbers are read may be called for these alone.
    """
    try:
        source = read_source(file)
        owner = source.classes.get(class_name) if source is not None else None
        nodes = [n for n in ast.walk(owner) if isinstance(n, ast.Attribute)] if owner is not None else []
        return {n.attr for n in nodes if isinstance(n.value, ast.Attribute) and n.value.attr == name}
    except Exception:  # as above
        return set()


def calls_elsewhere(file: str, class_name: str, name: str) -> bool:
    """A method of a class, other than its constructor, reads or calls an attribute."""
    try:
        source = read_source(file)
        owner = source.classes.get(class_name) if source is not None else None
        methods = [m for m in (owner.body if owner else []) if isinstance(m, Method) and m.name != "__init__"]
        nodes = [n for m in methods for n in ast.walk(m) if isinstance(n, ast.Attribute)]
        return any(n.attr == name and isinstance(n.ctx, ast.Load) for n in nodes)
    except Exception:  # as above
        return False


def reached_methods(owner: ast.ClassDef) -> list[Method]:
    """``forward`` and the methods that it calls on its own object."""
    methods = {m.name: m for m in owner.body if isinstance(m, Method)}
    reached: list[str] = ["forward"] if "forward" in methods else []
    for name in reached:
        own = (parameter_names(methods[name]) or [""])[0]
        for node in ast.walk(methods[name]):
            owner_name = node.value if isinstance(node, ast.Attribute) else None
            if isinstance(owner_name, ast.Name) and owner_name.id == own and isinstance(node, ast.Attribute):
                reached += [node.attr] if node.attr in methods and node.attr not in reached else []
    return [methods[n] for n in reached]


def _of_method(method: Method) -> Iterator[Unused]:
    nodes = list(ast.walk(method))
    if any(isinstance(n, ast.Name) and n.id in ("locals", "eval", "exec", "vars") for n in nodes):
        return
    own = (parameter_names(method) or [""])[0]
    local = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    local |= set(parameter_names(method)[1:])
    for node in walk_scope(method):
        call = node.value if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) else None
        if call is not None and (given := _given(call, own)) in local:
            yield Unused(line_of(node), "statement", ast.unparse(call.func), given)
    read = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    read |= {n.target.id for n in nodes if isinstance(n, ast.AugAssign) and isinstance(n.target, ast.Name)}
    read |= {name for n in nodes if isinstance(n, ast.Global | ast.Nonlocal) for name in n.names}
    for node in walk_scope(method):
        value = getattr(node, "value", None)
        if (name := _assigned(node)) and name not in read and isinstance(value, ast.Name) and value.id in local:
            yield Unused(line_of(node), "variable", "", name)
    for block in _blocks(method):
        yield from _overwritten(block)


def _overwritten(block: list[ast.stmt]) -> Iterator[Unused]:
    """A name gets the result of a call, and another value before anything reads it."""
    for i, statement in enumerate(block):
        name = _assigned(statement)
        value = getattr(statement, "value", None)
        if not name or not isinstance(value, ast.Call):
            continue
        for later in block[i + 1 :]:
            if hasattr(later, "body") or _reads(later, name):
                break
            if _assigned(later) == name:
                yield Unused(line_of(statement), "overwritten", ast.unparse(value.func), name)
                break


def _given(call: ast.Call, own: str) -> str:
    """The name of the tensor that a call is given; empty where it works in place, or is given something else."""
    words = {k.arg: k.value for k in call.keywords}
    in_place = words.get("inplace")
    if "out" in words or (isinstance(in_place, ast.Constant) and in_place.value):
        return ""
    owner = call.func.value if isinstance(call.func, ast.Attribute) else None
    if isinstance(owner, ast.Name) and owner.id != own and _is_variable(owner.id):
        return owner.id
    first = call.args[0] if call.args else None
    return first.id if isinstance(first, ast.Name) else ""


def _is_variable(name: str) -> bool:
    """Of ``x.view(…)`` and ``F.relu(x)`` the first is called on the tensor, the second on a library's module."""
    return name not in ("torch", "F", "nn", "functional", "np", "math")


def _assigned(node: ast.AST) -> str:
    """The only name that an assignment gives a value to."""
    plain = isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name)
    name = node.targets[0].id if plain else ""  # type: ignore[attr-defined]
    return "" if name.startswith("_") else name


def _reads(statement: ast.stmt, name: str) -> bool:
    nodes = list(ast.walk(statement))
    added = (
        isinstance(statement, ast.AugAssign) and isinstance(statement.target, ast.Name) and statement.target.id == name
    )
    return added or any(isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Load) for n in nodes)


def _blocks(method: Method) -> Iterator[list[ast.stmt]]:
    for node in [method, *walk_scope(method)]:
        for _, value in ast.iter_fields(node):
            if isinstance(value, list) and value and isinstance(value[0], ast.stmt):
                yield value
