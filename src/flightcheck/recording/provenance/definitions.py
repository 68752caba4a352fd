"""One hop back: what an expression stands for."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import Final

from flightcheck.recording.provenance.handing_on import command_line, handed_on, returned
from flightcheck.recording.provenance.source import (
    EACH,
    Binding,
    Construction,
    Function,
    Scope,
    Source,
    Step,
    Value,
    constant_of,
    default_of,
    given_argument,
    is_field,
    last_name,
    line_of,
    parameter_names,
    targets_of,
)

DEEPEST: Final = 40
"""A chain of definitions longer than this is not followed further."""
VISITS: Final = 600
"""Expressions looked at per question, over all branches."""


class Definitions:
    """Finds the definitions of a value; counts its visits so that every question ends."""

    def __init__(self) -> None:
        self.visits = 0

    def _may_go_on(self, depth: int) -> bool:
        self.visits += 1
        return depth <= DEEPEST and self.visits <= VISITS

    def _definitions(self, value: Value) -> Iterator[Value]:
        """What the expression stands for, likeliest first."""
        node, path = value.node, value.path
        if isinstance(node, ast.Name):
            yield from self._name(value, node)
        elif isinstance(node, ast.Attribute):
            yield from self._attribute(value, node)
        elif isinstance(node, ast.Subscript):
            key = constant_of(node.slice)
            step: Step = key if isinstance(key, int | str) and not isinstance(key, bool) else EACH
            yield value.of(node.value, (step, *path))
        elif isinstance(node, ast.Tuple | ast.List | ast.Set):
            yield from self._elements(value, node.elts)
        elif isinstance(node, ast.Dict):
            yield from self._entries(value, node)
        elif isinstance(node, ast.ListComp | ast.GeneratorExp | ast.SetComp):
            yield value.of(node.elt, path[1:])
        elif isinstance(node, ast.DictComp):
            yield value.of(node.value, path[1:])
        elif isinstance(node, ast.IfExp):
            yield from (value.of(node.body), value.of(node.orelse))
        elif isinstance(node, ast.BoolOp):
            yield from (value.of(v) for v in node.values)
        elif isinstance(node, ast.Await | ast.Starred | ast.NamedExpr):
            yield value.of(node.value)
        elif isinstance(node, ast.ClassDef):
            yield from self._field(value, node, None)
        elif isinstance(node, ast.Call):
            yield from self._call(value, node)

    def _elements(self, value: Value, elements: list[ast.expr]) -> Iterator[Value]:
        if not value.path:
            yield from (value.of(e) for e in elements[:1])
            return
        first, rest = value.path[0], value.path[1:]
        if isinstance(first, int):
            yield from (value.of(e, rest) for e in elements[first:][:1])
        elif first == EACH:
            yield from (value.of(e, rest) for e in elements[:4])
        else:  # a list of parameter groups, and the name of an option
            yield from (value.of(e) for e in elements)

    def _entries(self, value: Value, node: ast.Dict) -> Iterator[Value]:
        if value.path:
            for key, entry in zip(node.keys, node.values):
                if key is None:
                    yield value.of(entry)
                elif constant_of(key) == value.path[0] or value.path[0] == EACH:
                    yield value.of(entry, value.path[1:])

    def _name(self, value: Value, node: ast.Name) -> Iterator[Value]:
        source = value.source
        for parent in source.above(node):  # variables of comprehensions
            if isinstance(parent, ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp):
                for generator in parent.generators:
                    for name, binding in targets_of(generator.target, generator.iter, (EACH,), line_of(parent)):
                        if name == node.id:
                            yield value.of(binding.node, binding.path + value.path)
                            return
        scope: Scope = source.scope(node)
        near = True
        while True:
            found = source.bindings(scope).get(node.id, [])
            before = [b for b in found if self._precedes(source, b, node)] if near else found
            after = [b for b in found if b not in before and not self._holds(source, b.node, node)]
            candidates = [*reversed(before), *reversed(after)]
            parameter = not isinstance(scope, ast.Module | ast.ClassDef) and node.id in parameter_names(scope)
            if candidates and not (parameter and not before):
                yield from self._bound(value, candidates)
            if not isinstance(scope, ast.Module | ast.ClassDef) and parameter:
                yield from self._parameter(value, scope, node.id)
                return
            if (found and any(b.inside is None for b in found)) or isinstance(scope, ast.Module):
                break
            scope = source.scope(scope)
            while isinstance(scope, ast.ClassDef):
                scope = source.scope(scope)
            near = False
        if node.id in source.classes:
            yield value.of(source.classes[node.id])
        yield from self._imported(value, node.id)
        if value.path and isinstance(value.path[0], str) and value.path[0] != EACH:
            yield from command_line(value, value.path[0])

    def _bound(self, value: Value, bindings: Iterable[Binding]) -> Iterator[Value]:
        for binding in bindings:
            if binding.inside is None:
                yield value.of(binding.node, binding.path + value.path)
            elif value.path and (
                binding.inside == value.path[0] or (binding.inside == EACH and isinstance(value.path[0], int))
            ):
                yield value.of(binding.node, binding.path + value.path[1:])

    def _precedes(self, source: Source, binding: Binding, use: ast.AST) -> bool:
        return binding.line <= line_of(use) and not self._holds(source, binding.node, use)

    def _holds(self, source: Source, outer: ast.AST, inner: ast.AST) -> bool:
        return outer is inner or any(p is outer for p in source.above(inner))

    def _attribute(self, value: Value, node: ast.Attribute) -> Iterator[Value]:
        base, source = node.value, value.source
        method = self._method_of(source, node)
        if isinstance(base, ast.Name) and method is not None and base.id == (parameter_names(method) or [""])[0]:
            owner = source.owner(method)
            if owner is not None:
                yield from self._field(value.of(node, (node.attr, *value.path)), owner, node)
                return
        if node.attr in ("T", "data", "values", "mT"):
            yield value.of(base, value.path)
        yield value.of(base, (node.attr, *value.path))

    def _method_of(self, source: Source, node: ast.AST) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
        for parent in source.above(node):
            if isinstance(parent, ast.FunctionDef | ast.AsyncFunctionDef) and source.owner(parent) is not None:
                return parent
        return None

    def _field(self, value: Value, owner: ast.ClassDef, use: ast.AST | None) -> Iterator[Value]:
        """The first step of the path is an attribute of an instance of the class (or an element of it)."""
        source, (name, *rest) = value.source, value.path or ("",)
        if name == EACH or isinstance(name, int):
            yield from self._items(value, owner)
            return
        here = self._method_of(source, use) if use is not None else None
        methods = [m for m in owner.body if isinstance(m, ast.FunctionDef | ast.AsyncFunctionDef)]
        methods.sort(key=lambda m: (m is not here, m.name not in ("__init__", "__post_init__", "setup")))
        for method in methods:
            instance = (parameter_names(method) or [""])[0]
            found = [b for b in source.bindings(method).get(instance, []) if b.inside == name]
            if method is here and use is not None:
                found = [b for b in found if self._precedes(source, b, use)]
            elif use is not None:
                found = [b for b in found if not self._holds(source, b.node, use)]
            yield from (value.of(b.node, b.path + tuple(rest)) for b in reversed(found))
        for binding in source.bindings(owner).get(str(name), []):
            node = binding.node
            if isinstance(node, ast.Call) and last_name(node.func) == "field":
                node = next((k.value for k in node.keywords if k.arg in ("default", "default_factory")), node)
            yield value.of(node, binding.path + tuple(rest))
        for base in owner.bases:
            if isinstance(base, ast.Name) and base.id in source.classes and base.id != owner.name:
                yield from self._field(value, source.classes[base.id], use)

    def _items(self, value: Value, owner: ast.ClassDef) -> Iterator[Value]:
        for wanted in ("__getitem__", "__iter__", "__next__", "__getitems__"):
            for method in owner.body:
                if isinstance(method, ast.FunctionDef) and method.name == wanted:
                    yield from returned(value, method, value.path[1:])

    def _parameter(self, value: Value, function: Function, name: str) -> Iterator[Value]:
        source = value.source
        if function in value.context:
            call, caller, context = value.context[function]
            if (argument := given_argument(source, function, name, call)) is not None:
                yield Value(caller, argument[0], argument[1] + value.path, context)
        else:
            for call in self._calls_of(source, function):
                if (argument := given_argument(source, function, name, call)) is not None:
                    yield value.of(argument[0], argument[1] + value.path)
        if (default := default_of(function, name)) is not None:
            yield value.of(default)
        if value.path and isinstance(value.path[0], str) and value.path[0] != EACH:
            yield from command_line(value, value.path[0])

    def _calls_of(self, source: Source, function: Function) -> list[ast.Call]:
        if isinstance(function, ast.Lambda):
            return []
        owner, name = source.owner(function), function.name
        names = {name}
        if owner is not None and name == "__init__":
            names = {owner.name}
            for other in source.classes.values():
                if any(last_name(b) == owner.name for b in other.bases):
                    own = [m for m in other.body if isinstance(m, ast.FunctionDef) and m.name == "__init__"]
                    if not own:
                        names.add(other.name)
                    else:
                        nodes = [n for n in ast.walk(own[0]) if isinstance(n, ast.Call)]
                        supers = [n for n in nodes if last_name(n.func) == "__init__"]
                        if supers:
                            return supers
        return [c for c in source.calls if last_name(c.func) in names and not self._holds(source, function, c)]

    def _callee(self, value: Value, call: ast.Call) -> tuple[Source, ast.AST] | None:
        """The function or class of the user that the call enters."""
        name, source = last_name(call.func), value.source
        imported = source.imports.get(name) if isinstance(call.func, ast.Name) else None
        if imported is not None and imported[1]:
            other = source.sibling(imported[0], imported[2])
            if other is None:
                return None
            source, name = other, imported[1]
        if isinstance(call.func, ast.Attribute):
            base = call.func.value
            if not (isinstance(base, ast.Name) and (base.id == "self" or base.id not in source.imports)):
                return None
            owned = [f for f in source.functions.get(name, []) if source.owner(f) is not None]
            return (source, owned[0]) if owned else None
        if name in source.classes:
            return source, source.classes[name]
        if name in source.functions:
            return source, source.functions[name][-1]
        return None

    def _call(self, value: Value, call: ast.Call) -> Iterator[Value]:
        path = value.path
        callee = self._callee(value, call)
        if callee is not None:
            yield from self._entered(value, call, *callee)
            return
        name = last_name(call.func)
        step = path[0] if path else None
        if name in ("parse_args", "parse_known_args", "parse_args_into_dataclasses"):
            named = next((p for p in path if isinstance(p, str) and p != EACH), None)
            if named is not None:
                yield from command_line(value, named)
            return
        if name == "get" and call.args and isinstance(call.func, ast.Attribute):
            key = constant_of(call.args[0])
            if isinstance(key, str):
                yield value.of(call.func.value, (key, *path))
            yield from (value.of(a) for a in call.args[1:])
            return
        if name == "getattr" and len(call.args) > 1:
            key = constant_of(call.args[1])
            yield value.of(call.args[0], (key if isinstance(key, str) else EACH, *path))
            return
        for keyword in call.keywords:  # dict(lr=…), SimpleNamespace(lr=…), f(**options)
            if isinstance(step, str) and step != EACH and keyword.arg == step:
                yield value.of(keyword.value, path[1:])
            elif keyword.arg is None and isinstance(step, str) and step != EACH:
                yield value.of(keyword.value)
        yield from handed_on(value, call, name)

    def _entered(self, value: Value, call: ast.Call, source: Source, target: ast.AST) -> Iterator[Value]:
        construction: Construction = (call, value.source, value.context)
        if isinstance(target, ast.ClassDef):
            init = next((m for m in target.body if isinstance(m, ast.FunctionDef) and m.name == "__init__"), None)
            context = value.context if init is None else {**value.context, init: construction}
            if value.path and init is None:
                fields = [s.target.id for s in target.body if is_field(s)]  # type: ignore[attr-defined]
                for i, argument in enumerate(call.args):
                    if i < len(fields) and fields[i] == value.path[0]:
                        yield value.of(argument, value.path[1:])
                for keyword in call.keywords:
                    if keyword.arg == value.path[0]:
                        yield value.of(keyword.value, value.path[1:])
            if value.path:
                yield from self._field(Value(source, target, value.path, context), target, None)
        elif isinstance(target, ast.FunctionDef | ast.AsyncFunctionDef):
            inner = Value(source, target, value.path, {**value.context, target: construction})
            yield from returned(inner, target, value.path)

    def _imported(self, value: Value, name: str) -> Iterator[Value]:
        if (imported := value.source.imports.get(name)) is None:
            return
        module, member, level = imported
        source, path = value.source.sibling(module, level), value.path
        if source is None and member:  # from package import module
            source, member = value.source.sibling(f"{module}.{member}" if module else member, level), ""
        if source is None:
            return
        if not member:
            if not path or not isinstance(path[0], str):
                return
            member, path = path[0], path[1:]
        inner = Value(source, source.tree, path, {})
        yield from self._bound(inner, reversed(source.bindings(source.tree).get(member, [])))
        if member in source.classes:
            yield inner.of(source.classes[member])
