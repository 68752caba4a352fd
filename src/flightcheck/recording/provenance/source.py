"""A parsed source file: its scopes, and what every name in them is bound to."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Final, TypeAlias, TypeVar

from flightcheck.frozen import frozen

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
Scope: TypeAlias = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef
Node = TypeVar("Node", bound=ast.AST)
Step: TypeAlias = int | str
"""One step into a value: a position, or the name of an attribute, key or field; `EACH` is "an element of it"."""
EACH: Final = "*"
SIBLING_BYTES: Final = 2_000_000


@frozen
class Binding:
    """One place that gives a name a value, or changes the value of it."""

    node: ast.AST
    line: int
    path: tuple[Step, ...] = ()
    inside: Step | None = None
    """Only this key, attribute or (`EACH`) element of the name is given a value."""


@dataclass
class Source:
    """A parsed file: parents, scopes and bindings of its nodes."""

    path: str
    tree: ast.Module
    parents: dict[ast.AST, ast.AST] = field(default_factory=dict)
    functions: dict[str, list[ast.FunctionDef | ast.AsyncFunctionDef]] = field(default_factory=dict)
    classes: dict[str, ast.ClassDef] = field(default_factory=dict)
    calls: list[ast.Call] = field(default_factory=list)
    imports: dict[str, tuple[str, str, int]] = field(default_factory=dict)
    nodes: list[ast.AST] = field(default_factory=list)
    """All, outer ones before those inside them, in the order of `ast.walk`: rules of many kinds go through them."""
    _bindings: dict[ast.AST, dict[str, list[Binding]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.nodes.extend(ast.walk(self.tree))
        for node in self.nodes:
            for child in ast.iter_child_nodes(node):
                self.parents[child] = node
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                self.functions.setdefault(node.name, []).append(node)
            elif isinstance(node, ast.ClassDef):
                self.classes[node.name] = node
            elif isinstance(node, ast.Call):
                self.calls.append(node)
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    self.imports[alias.asname or alias.name] = (node.module or "", alias.name, node.level)
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    self.imports[alias.asname or alias.name] = (alias.name, "", 0)

    def around(self, line: int, *kinds: type[Node]) -> list[Node]:
        """The nodes of these kinds that a line stands in, outer ones first."""
        return [n for n in self.nodes if isinstance(n, kinds) and line_of(n) <= line <= end_of(n)]

    def above(self, node: ast.AST) -> Iterator[ast.AST]:
        while (parent := self.parents.get(node)) is not None:
            yield parent
            node = parent

    def scope(self, node: ast.AST) -> Scope:
        for parent in self.above(node):
            if isinstance(parent, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef | ast.Module):
                return parent
        return self.tree

    def owner(self, function: ast.AST) -> ast.ClassDef | None:
        """The class whose method this is."""
        parent = self.parents.get(function)
        return parent if isinstance(parent, ast.ClassDef) else None

    def bindings(self, scope: Scope) -> dict[str, list[Binding]]:
        if scope not in self._bindings:
            found: dict[str, list[Binding]] = {}
            for node in walk_scope(scope):
                for name, binding in _bindings_of(node):
                    found.setdefault(name, []).append(binding)
            for several in found.values():
                several.sort(key=lambda b: b.line)
            self._bindings[scope] = found
        return self._bindings[scope]

    def sibling(self, module: str, level: int) -> Source | None:
        """A module imported from beside this file (or from a folder above), if it is there."""
        folder = Path(self.path).parent
        tail = Path(*module.split(".")) if module else Path("__init__")
        for base in [folder, *folder.parents[:2]] if level == 0 else [folder, *folder.parents][level - 1 : level]:
            for candidate in (base / tail.with_suffix(".py"), base / tail / "__init__.py"):
                if candidate.is_file():
                    return read_source(str(candidate))
        return None


def walk_scope(scope: Scope) -> Iterator[ast.AST]:
    """All nodes of a scope, without those of scopes inside it."""
    body = scope.body if isinstance(scope.body, list) else [scope.body]
    queue: list[ast.AST] = list(body)
    while queue:
        node = queue.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            queue.extend(ast.iter_child_nodes(node))


def _bindings_of(node: ast.AST) -> Iterator[tuple[str, Binding]]:
    if isinstance(node, ast.Assign):
        for target in node.targets:
            plain = isinstance(node.value, ast.Constant | ast.Attribute)  # x[missing] = 0, x[missing] = np.nan
            fills = plain and isinstance(target, ast.Subscript) and not isinstance(constant_of(target.slice), str)
            yield from targets_of(target, node if fills else node.value, (), node.lineno)
    elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and node.value is not None:
        yield from targets_of(node.target, node.value, (), node.lineno)
    elif isinstance(node, ast.For | ast.AsyncFor):
        yield from targets_of(node.target, node.iter, (EACH,), node.lineno)
    elif isinstance(node, ast.With | ast.AsyncWith):
        for item in node.items:
            if item.optional_vars is not None:
                yield from targets_of(item.optional_vars, item.context_expr, (), node.lineno)
    elif isinstance(node, ast.AugAssign):
        yield from targets_of(node.target, node, (), node.lineno)
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Attribute):
        method, base = node.value.func.attr, node.value.func.value
        prefix: Step | None = None
        if isinstance(base, ast.Attribute) and isinstance(base.value, ast.Name):
            prefix = base.attr  # self.table.mul_(2)
            base = base.value
        if not isinstance(base, ast.Name):
            return
        if method == "append" and node.value.args and prefix is None:
            yield base.id, Binding(node.value.args[0], node.lineno, (), EACH)
        elif method.endswith("_") and not method.startswith("_") and method != "requires_grad_":
            yield base.id, Binding(node.value, node.lineno, (), prefix)


def targets_of(target: ast.AST, value: ast.AST, path: tuple[Step, ...], line: int) -> Iterator[tuple[str, Binding]]:
    """The names that an assignment to `target` binds, each with the part of `value` that it gets."""
    if isinstance(target, ast.Name):
        yield target.id, Binding(value, line, path)
    elif isinstance(target, ast.Tuple | ast.List):
        for i, element in enumerate(target.elts):
            yield from targets_of(element, value, (*path, i), line)
    elif isinstance(target, ast.Starred):
        yield from targets_of(target.value, value, path, line)
    elif isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
        yield target.value.id, Binding(value, line, path, target.attr)
    elif isinstance(target, ast.Subscript):
        key, base = constant_of(target.slice), target.value
        if isinstance(base, ast.Name):
            yield base.id, Binding(value, line, path, key if isinstance(key, str) else None)
        elif isinstance(base, ast.Attribute) and isinstance(base.value, ast.Name) and not isinstance(key, str):
            yield base.value.id, Binding(value, line, path, base.attr)


def constant_of(node: ast.AST | None) -> object:
    """The value of a literal, None for anything else."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
        return -node.operand.value if isinstance(node.operand.value, int | float) else None
    return None


def last_name(node: ast.AST) -> str:
    """``DataLoader`` of ``torch.utils.data.DataLoader``."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def line_of(node: ast.AST) -> int:
    """First line of a node, 0 if it has none."""
    return int(getattr(node, "lineno", 0))


def end_of(node: ast.AST) -> int:
    """Last line of a node."""
    return int(getattr(node, "end_lineno", 0) or line_of(node))


def read_source(file: str) -> Source | None:
    """The parsed file, None if it cannot be read as Python. Cached until the file changes."""
    try:
        status = Path(file).stat()
        return None if status.st_size > SIBLING_BYTES else _parse(file, status.st_mtime_ns)
    except (OSError, ValueError):
        return None


@lru_cache(maxsize=64)
def _parse(file: str, modified: int) -> Source | None:
    try:
        return Source(file, ast.parse(Path(file).read_bytes()))
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None


Construction: TypeAlias = "tuple[ast.Call, Source, dict[ast.AST, Construction]]"
"""The call that entered a function, so that its parameters have the values of that call."""


def is_field(statement: ast.stmt) -> bool:
    """A field of a dataclass or an annotated name."""
    return isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)


def parameter_names(function: Function) -> list[str]:
    """The names of all parameters, in order."""
    a = function.args
    return [p.arg for p in (*a.posonlyargs, *a.args, *a.kwonlyargs)]


def default_of(function: Function, name: str) -> ast.expr | None:
    """The default of a parameter."""
    a = function.args
    positional = [*a.posonlyargs, *a.args]
    for parameter, default in zip(reversed(positional), reversed(a.defaults)):
        if parameter.arg == name:
            return default
    return next((d for p, d in zip(a.kwonlyargs, a.kw_defaults) if p.arg == name), None)


def given_argument(
    source: Source, function: Function, name: str, call: ast.Call
) -> tuple[ast.expr, tuple[Step, ...]] | None:
    """The expression that the call gives to the parameter."""
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value, ()
    a = function.args
    positional = [p.arg for p in (*a.posonlyargs, *a.args)]
    static = any(last_name(d) == "staticmethod" for d in getattr(function, "decorator_list", []))
    if source.owner(function) is not None and not static:
        positional = positional[1:]
    if name in positional:
        i = positional.index(name)
        for k, argument in enumerate(call.args[: i + 1]):
            if isinstance(argument, ast.Starred):
                return argument.value, (i - k,)
        if i < len(call.args):
            return call.args[i], ()
    return next(((k.value, (name,)) for k in call.keywords if k.arg is None), None)


@frozen
class Value:
    """The part `path` of the value of the expression `node`."""

    source: Source
    node: ast.AST
    path: tuple[Step, ...] = ()
    context: dict[ast.AST, Construction] = field(default_factory=dict)

    def of(self, node: ast.AST, path: tuple[Step, ...] | None = None) -> Value:
        return Value(self.source, node, self.path if path is None else path, self.context)

    @property
    def place(self) -> tuple[str, int]:
        return self.source.path, line_of(self.node)
