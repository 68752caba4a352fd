"""Where a value comes from in the source: the line at which it is written or was last computed.

Everything here reads the text of the user's files with the standard library's `ast`; nothing is executed.
The functions answer with their best guess or with None, and never raise: a line that cannot be followed is no fault.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Final, TypeAlias

__all__ = ["argument_data_origin", "argument_origin", "loop_count", "order_origin", "value_origin"]

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
Scope: TypeAlias = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef
Step: TypeAlias = int | str
"""One step into a value: a position, or the name of an attribute, key or field; `EACH` is "an element of it"."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


EACH: Final = "*"
DEEPEST: Final = 40
"""A chain of definitions longer than this is not followed further."""
VISITS: Final = 600
"""Expressions looked at per question, over all branches."""
SIBLING_BYTES: Final = 2_000_000

_SAME = _words(
    "to cuda cpu numpy view reshape unsqueeze squeeze permute transpose contiguous detach clone flatten "
    "copy requires_grad_ pin_memory repeat expand tolist ravel t swapaxes movedim head sample to_numpy "
    "items values split chunk unbind iterrows itertuples batch shuffle expand_as view_as narrow "
    "index_select take gather get_batch drop __iter__ __next__ share_memory_ get"
)
"""Methods that hand on the same values: movement, shape, selection."""
_CONVERSIONS = _words("float double half bfloat16 type astype type_as to_dense")
_CONSTRUCTORS = _words(
    "tensor from_numpy as_tensor asarray array ascontiguousarray FloatTensor Tensor stack cat concat "
    "concatenate vstack hstack column_stack dstack pad_sequence default_collate squeeze reshape unsqueeze "
    "transpose permute flatten float32 float64 float16 Variable atleast_2d"
)
"""Functions that put values into another container."""
_ITERATORS = _words(
    "iter tqdm trange reversed sorted list tuple cycle islice track notebook_tqdm progress_bar deepcopy "
    "copy chain Subset random_split ConcatDataset prepare Prefetcher DataLoader set shuffle"
)
"""Functions that hand on the elements of their first argument."""
_MODULES = _words("torch np numpy nn F pd functional optim torchvision sklearn random math")
_NOT_MODELS = re.compile(
    r"loss|crit|entropy|nll|mse|bce|print|append|softmax|sigmoid|step|log|argmax|len|float|^[A-Z]\w+"
)
"""Calls that stand around the call of a model."""
_LOSSES = re.compile(r"loss|crit|entropy|nll|mse|bce|mae|l1|huber|objective")
_INTEGERS = ("int", "uint", "long", "short", "byte", "bool", "Long", "Int", "Byte")
_UNKNOWN_LOOPS = ("seed", "run", "trial", "fold", "rep", "config", "experiment")


@dataclass(frozen=True)
class _Binding:
    """One place that gives a name a value, or changes the value of it."""

    node: ast.AST
    line: int
    path: tuple[Step, ...] = ()
    inside: Step | None = None
    """Only this key, attribute or (`EACH`) element of the name is given a value."""


@dataclass
class _Source:
    path: str
    tree: ast.Module
    parents: dict[ast.AST, ast.AST] = field(default_factory=dict)
    functions: dict[str, list[ast.FunctionDef | ast.AsyncFunctionDef]] = field(default_factory=dict)
    classes: dict[str, ast.ClassDef] = field(default_factory=dict)
    calls: list[ast.Call] = field(default_factory=list)
    imports: dict[str, tuple[str, str, int]] = field(default_factory=dict)
    _bindings: dict[ast.AST, dict[str, list[_Binding]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for node in ast.walk(self.tree):
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

    def bindings(self, scope: Scope) -> dict[str, list[_Binding]]:
        if scope not in self._bindings:
            found: dict[str, list[_Binding]] = {}
            for node in _walk_scope(scope):
                for name, binding in _bindings_of(node):
                    found.setdefault(name, []).append(binding)
            for several in found.values():
                several.sort(key=lambda b: b.line)
            self._bindings[scope] = found
        return self._bindings[scope]

    def sibling(self, module: str, level: int) -> _Source | None:
        """A module imported from beside this file (or from a folder above), if it is there."""
        folder = Path(self.path).parent
        tail = Path(*module.split(".")) if module else Path("__init__")
        for base in [folder, *folder.parents[:2]] if level == 0 else [folder, *folder.parents][level - 1 : level]:
            for candidate in (base / tail.with_suffix(".py"), base / tail / "__init__.py"):
                if candidate.is_file():
                    return _read(str(candidate))
        return None


def _walk_scope(scope: Scope) -> Iterator[ast.AST]:
    """All nodes of a scope, without those of scopes inside it."""
    body = scope.body if isinstance(scope.body, list) else [scope.body]
    queue: list[ast.AST] = list(body)
    while queue:
        node = queue.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            queue.extend(ast.iter_child_nodes(node))


def _bindings_of(node: ast.AST) -> Iterator[tuple[str, _Binding]]:
    if isinstance(node, ast.Assign):
        for target in node.targets:
            plain = isinstance(node.value, ast.Constant | ast.Attribute)  # x[missing] = 0, x[missing] = np.nan
            fills = plain and isinstance(target, ast.Subscript) and not isinstance(_constant(target.slice), str)
            yield from _targets(target, node if fills else node.value, (), node.lineno)
    elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and node.value is not None:
        yield from _targets(node.target, node.value, (), node.lineno)
    elif isinstance(node, ast.For | ast.AsyncFor):
        yield from _targets(node.target, node.iter, (EACH,), node.lineno)
    elif isinstance(node, ast.With | ast.AsyncWith):
        for item in node.items:
            if item.optional_vars is not None:
                yield from _targets(item.optional_vars, item.context_expr, (), node.lineno)
    elif isinstance(node, ast.AugAssign):
        yield from _targets(node.target, node, (), node.lineno)
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Attribute):
        method, base = node.value.func.attr, node.value.func.value
        prefix: Step | None = None
        if isinstance(base, ast.Attribute) and isinstance(base.value, ast.Name):
            prefix = base.attr  # self.table.mul_(2)
            base = base.value
        if not isinstance(base, ast.Name):
            return
        if method == "append" and node.value.args and prefix is None:
            yield base.id, _Binding(node.value.args[0], node.lineno, (), EACH)
        elif method.endswith("_") and not method.startswith("_") and method != "requires_grad_":
            yield base.id, _Binding(node.value, node.lineno, (), prefix)


def _targets(target: ast.AST, value: ast.AST, path: tuple[Step, ...], line: int) -> Iterator[tuple[str, _Binding]]:
    if isinstance(target, ast.Name):
        yield target.id, _Binding(value, line, path)
    elif isinstance(target, ast.Tuple | ast.List):
        for i, element in enumerate(target.elts):
            yield from _targets(element, value, (*path, i), line)
    elif isinstance(target, ast.Starred):
        yield from _targets(target.value, value, path, line)
    elif isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
        yield target.value.id, _Binding(value, line, path, target.attr)
    elif isinstance(target, ast.Subscript):
        key, base = _constant(target.slice), target.value
        if isinstance(base, ast.Name):
            yield base.id, _Binding(value, line, path, key if isinstance(key, str) else None)
        elif isinstance(base, ast.Attribute) and isinstance(base.value, ast.Name) and not isinstance(key, str):
            yield base.value.id, _Binding(value, line, path, base.attr)


def _constant(node: ast.AST | None) -> object:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
        return -node.operand.value if isinstance(node.operand.value, int | float) else None
    return None


def _last_name(node: ast.AST) -> str:
    """``DataLoader`` of ``torch.utils.data.DataLoader``."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _line(node: ast.AST) -> int:
    return int(getattr(node, "lineno", 0))


def _end(node: ast.AST) -> int:
    return int(getattr(node, "end_lineno", 0) or _line(node))


def _read(file: str) -> _Source | None:
    try:
        status = Path(file).stat()
        return None if status.st_size > SIBLING_BYTES else _parse(file, status.st_mtime_ns)
    except (OSError, ValueError):
        return None


@lru_cache(maxsize=64)
def _parse(file: str, modified: int) -> _Source | None:
    try:
        return _Source(file, ast.parse(Path(file).read_bytes()))
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None


Construction: TypeAlias = "tuple[ast.Call, _Source, dict[ast.AST, Construction]]"
"""The call that entered a function, so that its parameters have the values of that call."""


@dataclass(frozen=True)
class _Value:
    """The part `path` of the value of the expression `node`."""

    source: _Source
    node: ast.AST
    path: tuple[Step, ...] = ()
    context: dict[ast.AST, Construction] = field(default_factory=dict)

    def of(self, node: ast.AST, path: tuple[Step, ...] | None = None) -> _Value:
        return _Value(self.source, node, self.path if path is None else path, self.context)

    @property
    def place(self) -> tuple[str, int]:
        return self.source.path, _line(self.node)


class _Follower:
    """Follows one value back; counts its visits so that every question ends."""

    def __init__(self, use_line: int = 0) -> None:
        self.visits = 0
        self.use_line = use_line
        self.conversions: list[_Value] = []
        self.sources: list[_Value] = []

    # -- literals ------------------------------------------------------------------------------------------------

    def literal(self, value: _Value, depth: int = 0) -> _Value | None:
        """The expression in which the value is written."""
        if not self._may_go_on(depth):
            return None
        node, path = value.node, value.path
        if isinstance(node, ast.Constant) and node.value is None:
            return None
        if not path and isinstance(node, ast.Constant | ast.UnaryOp | ast.BinOp | ast.AugAssign | ast.JoinedStr):
            return value
        for definition in self._definitions(value):
            if (found := self.literal(definition, depth + 1)) is not None:
                return found
        computed = isinstance(node, ast.Call | ast.List | ast.Tuple | ast.Dict | ast.ListComp)
        return value if computed and not path else None

    # -- data ----------------------------------------------------------------------------------------------------

    def data(self, value: _Value) -> tuple[str, int] | None:
        """The line that last changed the values: arithmetic first, else a conversion, else where they came from."""
        if (changed := self._changed(value, 0)) is not None:
            return changed.place
        elsewhere = [c for c in self.conversions if _line(c.node) != self.use_line]
        for candidates in (elsewhere, self.conversions, self.sources):
            if candidates:
                return candidates[0].place
        return None

    def _changed(self, value: _Value, depth: int) -> _Value | None:
        if not self._may_go_on(depth):
            return None
        node = value.node
        if isinstance(node, ast.BinOp | ast.AugAssign | ast.Compare | ast.Assign) or (
            isinstance(node, ast.UnaryOp) and not isinstance(node.operand, ast.Constant)
        ):
            return value
        if isinstance(node, ast.Call):
            kind = self._kind(value, node)
            if kind == "changes":
                return value
            if kind == "converts":
                self.conversions.append(value)
            if kind == "source":
                self.sources.append(value)
                return None
        for definition in self._definitions(value):
            if (found := self._changed(definition, depth + 1)) is not None:
                return found
        return None

    def _kind(self, value: _Value, call: ast.Call) -> str:
        """What a call does to the values: ``same``, ``converts``, ``changes`` or ``source``."""
        name = _last_name(call.func)
        if name in ("TensorDataset", "train_test_split", "enumerate", "zip", "next", "map", "getattr"):
            return "same"
        if self._callee(value, call) is not None:
            return "same"
        method = isinstance(call.func, ast.Attribute) and not self._is_module(value.source, call.func.value)
        integer = any(w in ast.unparse(a) for a in [*call.args, *(k.value for k in call.keywords)] for w in _INTEGERS)
        if method and name in ("to", "type", "astype"):
            return "changes" if integer else "same" if name == "to" else "converts"
        if method and name in _SAME:
            return "same"
        if method and name in _CONVERSIONS:
            return "converts"
        if name in _ITERATORS:
            return "same"
        if name in _CONSTRUCTORS and not method:
            dtype = next((ast.unparse(k.value) for k in call.keywords if k.arg == "dtype"), "")
            return "changes" if any(w in dtype for w in _INTEGERS) else "converts"
        if any(k.arg in ("transform", "dataset") for k in call.keywords):
            return "same"
        if method:
            loads = name.startswith(("load", "read", "open", "fetch", "download", "parse"))
            return "source" if loads else "changes"
        random = name.startswith(("rand", "normal", "uniform", "linspace", "arange", "zeros", "ones", "full", "make_"))
        depends = any(_constant(a) is None and not isinstance(a, ast.JoinedStr) for a in call.args)
        loads = name.startswith(("load", "read", "open", "fetch", "genfromtxt"))
        return "changes" if random or (depends and not loads) else "source"

    def _is_module(self, source: _Source, node: ast.AST) -> bool:
        while isinstance(node, ast.Attribute):
            node = node.value
        return isinstance(node, ast.Name) and (node.id in source.imports or node.id in _MODULES)

    # -- order ---------------------------------------------------------------------------------------------------

    def order(self, value: _Value, depth: int = 0) -> _Value | None:
        """The expression that decides which elements are taken, of the last place that picks some by an index."""
        if not self._may_go_on(depth):
            return None
        node = value.node
        if isinstance(node, ast.Subscript) and not isinstance(_constant(node.slice), int | str):
            found = self._index(value.of(node.slice, ()), depth + 1)
            if found is not None:
                return found
        if isinstance(node, ast.Call) and _last_name(node.func) in ("index_select", "take", "gather") and node.args:
            found = self._index(value.of(node.args[-1], ()), depth + 1)
            if found is not None:
                return found
        for definition in self._definitions(value):
            if (found := self.order(definition, depth + 1)) is not None:
                return found
        return None

    def _index(self, value: _Value, depth: int) -> _Value | None:
        if not self._may_go_on(depth):
            return None
        node = value.node
        if isinstance(node, ast.Call) and self._callee(value, node) is None:
            name = _last_name(node.func)
            method = isinstance(node.func, ast.Attribute) and not self._is_module(value.source, node.func.value)
            if name not in ("enumerate", "zip", "next") and name not in _ITERATORS and not (method and name in _SAME):
                return value
        parts: list[ast.expr | None] = []
        if isinstance(node, ast.Slice):
            parts = [node.lower, node.upper]
        elif isinstance(node, ast.BinOp):
            parts = [node.left, node.right]
        elif isinstance(node, ast.Tuple):
            parts = [e for e in node.elts if not isinstance(e, ast.Slice)]
        onward = [value.of(p) for p in parts if p is not None] or self._definitions(value)
        for definition in onward:
            if (found := self._index(definition, depth + 1)) is not None:
                return found
        return None

    # -- one hop -------------------------------------------------------------------------------------------------

    def _may_go_on(self, depth: int) -> bool:
        self.visits += 1
        return depth <= DEEPEST and self.visits <= VISITS

    def _definitions(self, value: _Value) -> Iterator[_Value]:
        """What the expression stands for, likeliest first."""
        node, path = value.node, value.path
        if isinstance(node, ast.Name):
            yield from self._name(value, node)
        elif isinstance(node, ast.Attribute):
            yield from self._attribute(value, node)
        elif isinstance(node, ast.Subscript):
            key = _constant(node.slice)
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

    def _elements(self, value: _Value, elements: list[ast.expr]) -> Iterator[_Value]:
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

    def _entries(self, value: _Value, node: ast.Dict) -> Iterator[_Value]:
        if value.path:
            for key, entry in zip(node.keys, node.values):
                if key is None:
                    yield value.of(entry)
                elif _constant(key) == value.path[0] or value.path[0] == EACH:
                    yield value.of(entry, value.path[1:])

    def _name(self, value: _Value, node: ast.Name) -> Iterator[_Value]:
        source = value.source
        for parent in source.above(node):  # variables of comprehensions
            if isinstance(parent, ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp):
                for generator in parent.generators:
                    for name, binding in _targets(generator.target, generator.iter, (EACH,), _line(parent)):
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
            parameter = not isinstance(scope, ast.Module | ast.ClassDef) and node.id in _parameters(scope)
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
            yield from self._command_line(value, value.path[0])

    def _bound(self, value: _Value, bindings: Iterable[_Binding]) -> Iterator[_Value]:
        for binding in bindings:
            if binding.inside is None:
                yield value.of(binding.node, binding.path + value.path)
            elif value.path and (
                binding.inside == value.path[0] or (binding.inside == EACH and isinstance(value.path[0], int))
            ):
                yield value.of(binding.node, binding.path + value.path[1:])

    def _precedes(self, source: _Source, binding: _Binding, use: ast.AST) -> bool:
        return binding.line <= _line(use) and not self._holds(source, binding.node, use)

    def _holds(self, source: _Source, outer: ast.AST, inner: ast.AST) -> bool:
        return outer is inner or any(p is outer for p in source.above(inner))

    def _attribute(self, value: _Value, node: ast.Attribute) -> Iterator[_Value]:
        base, source = node.value, value.source
        method = self._method_of(source, node)
        if isinstance(base, ast.Name) and method is not None and base.id == (_parameters(method) or [""])[0]:
            owner = source.owner(method)
            if owner is not None:
                yield from self._field(value.of(node, (node.attr, *value.path)), owner, node)
                return
        if node.attr in ("T", "data", "values", "mT"):
            yield value.of(base, value.path)
        yield value.of(base, (node.attr, *value.path))

    def _method_of(self, source: _Source, node: ast.AST) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
        for parent in source.above(node):
            if isinstance(parent, ast.FunctionDef | ast.AsyncFunctionDef) and source.owner(parent) is not None:
                return parent
        return None

    def _field(self, value: _Value, owner: ast.ClassDef, use: ast.AST | None) -> Iterator[_Value]:
        """The first step of the path is an attribute of an instance of the class (or an element of it)."""
        source, (name, *rest) = value.source, value.path or ("",)
        if name == EACH or isinstance(name, int):
            yield from self._items(value, owner)
            return
        here = self._method_of(source, use) if use is not None else None
        methods = [m for m in owner.body if isinstance(m, ast.FunctionDef | ast.AsyncFunctionDef)]
        methods.sort(key=lambda m: (m is not here, m.name not in ("__init__", "__post_init__", "setup")))
        for method in methods:
            instance = (_parameters(method) or [""])[0]
            found = [b for b in source.bindings(method).get(instance, []) if b.inside == name]
            if method is here and use is not None:
                found = [b for b in found if self._precedes(source, b, use)]
            elif use is not None:
                found = [b for b in found if not self._holds(source, b.node, use)]
            yield from (value.of(b.node, b.path + tuple(rest)) for b in reversed(found))
        for binding in source.bindings(owner).get(str(name), []):
            node = binding.node
            if isinstance(node, ast.Call) and _last_name(node.func) == "field":
                node = next((k.value for k in node.keywords if k.arg in ("default", "default_factory")), node)
            yield value.of(node, binding.path + tuple(rest))
        for base in owner.bases:
            if isinstance(base, ast.Name) and base.id in source.classes and base.id != owner.name:
                yield from self._field(value, source.classes[base.id], use)

    def _items(self, value: _Value, owner: ast.ClassDef) -> Iterator[_Value]:
        for wanted in ("__getitem__", "__iter__", "__next__", "__getitems__"):
            for method in owner.body:
                if isinstance(method, ast.FunctionDef) and method.name == wanted:
                    yield from self._returned(value, method, value.path[1:])

    def _returned(self, value: _Value, function: Function, path: tuple[Step, ...]) -> Iterator[_Value]:
        if isinstance(function, ast.Lambda):
            yield value.of(function.body, path)
            return
        results = [n for n in _walk_scope(function) if isinstance(n, ast.Return | ast.Yield) and n.value is not None]
        for node in sorted(results, key=lambda n: -n.lineno):
            if isinstance(node.value, ast.expr):
                yield value.of(node.value, path[1:] if isinstance(node, ast.Yield) and path[:1] == (EACH,) else path)

    def _parameter(self, value: _Value, function: Function, name: str) -> Iterator[_Value]:
        source = value.source
        if function in value.context:
            call, caller, context = value.context[function]
            if (argument := _argument(source, function, name, call)) is not None:
                yield _Value(caller, argument[0], argument[1] + value.path, context)
        else:
            for call in self._calls_of(source, function):
                if (argument := _argument(source, function, name, call)) is not None:
                    yield value.of(argument[0], argument[1] + value.path)
        if (default := _default(function, name)) is not None:
            yield value.of(default)
        if value.path and isinstance(value.path[0], str) and value.path[0] != EACH:
            yield from self._command_line(value, value.path[0])

    def _calls_of(self, source: _Source, function: Function) -> list[ast.Call]:
        if isinstance(function, ast.Lambda):
            return []
        owner, name = source.owner(function), function.name
        names = {name}
        if owner is not None and name == "__init__":
            names = {owner.name}
            for other in source.classes.values():
                if any(_last_name(b) == owner.name for b in other.bases):
                    own = [m for m in other.body if isinstance(m, ast.FunctionDef) and m.name == "__init__"]
                    if not own:
                        names.add(other.name)
                    else:
                        nodes = [n for n in ast.walk(own[0]) if isinstance(n, ast.Call)]
                        supers = [n for n in nodes if _last_name(n.func) == "__init__"]
                        if supers:
                            return supers
        return [c for c in source.calls if _last_name(c.func) in names and not self._holds(source, function, c)]

    def _callee(self, value: _Value, call: ast.Call) -> tuple[_Source, ast.AST] | None:
        """The function or class of the user that the call enters."""
        name, source = _last_name(call.func), value.source
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

    def _call(self, value: _Value, call: ast.Call) -> Iterator[_Value]:
        path = value.path
        callee = self._callee(value, call)
        if callee is not None:
            yield from self._entered(value, call, *callee)
            return
        name = _last_name(call.func)
        step = path[0] if path else None
        if name in ("parse_args", "parse_known_args", "parse_args_into_dataclasses"):
            named = next((p for p in path if isinstance(p, str) and p != EACH), None)
            if named is not None:
                yield from self._command_line(value, named)
            return
        if name == "get" and call.args and isinstance(call.func, ast.Attribute):
            key = _constant(call.args[0])
            if isinstance(key, str):
                yield value.of(call.func.value, (key, *path))
            yield from (value.of(a) for a in call.args[1:])
            return
        if name == "getattr" and len(call.args) > 1:
            key = _constant(call.args[1])
            yield value.of(call.args[0], (key if isinstance(key, str) else EACH, *path))
            return
        for keyword in call.keywords:  # dict(lr=…), SimpleNamespace(lr=…), f(**options)
            if isinstance(step, str) and step != EACH and keyword.arg == step:
                yield value.of(keyword.value, path[1:])
            elif keyword.arg is None and isinstance(step, str) and step != EACH:
                yield value.of(keyword.value)
        yield from self._library(value, call, name)

    def _entered(self, value: _Value, call: ast.Call, source: _Source, target: ast.AST) -> Iterator[_Value]:
        construction: Construction = (call, value.source, value.context)
        if isinstance(target, ast.ClassDef):
            init = next((m for m in target.body if isinstance(m, ast.FunctionDef) and m.name == "__init__"), None)
            context = value.context if init is None else {**value.context, init: construction}
            if value.path and init is None:
                fields = [s.target.id for s in target.body if _is_field(s)]  # type: ignore[attr-defined]
                for i, argument in enumerate(call.args):
                    if i < len(fields) and fields[i] == value.path[0]:
                        yield value.of(argument, value.path[1:])
                for keyword in call.keywords:
                    if keyword.arg == value.path[0]:
                        yield value.of(keyword.value, value.path[1:])
            if value.path:
                yield from self._field(_Value(source, target, value.path, context), target, None)
        elif isinstance(target, ast.FunctionDef | ast.AsyncFunctionDef):
            inner = _Value(source, target, value.path, {**value.context, target: construction})
            yield from self._returned(inner, target, value.path)

    def _library(self, value: _Value, call: ast.Call, name: str) -> Iterator[_Value]:
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
            yield from self._collated(value, first, keywords.get("collate_fn"))
            yield value.of(first)
        elif name == "random_split" and first is not None:
            yield value.of(first, path[1:] if path and isinstance(path[0], int) else path)
        elif name == "train_test_split":
            i = path[0] if path and isinstance(path[0], int) else 0
            yield from (value.of(a, path[1:]) for a in arguments[i // 2 : i // 2 + 1])
        elif name == "map" and len(arguments) > 1:
            yield value.of(arguments[1])
        elif isinstance(call.func, ast.Attribute) and not self._is_module(value.source, call.func.value):
            yield value.of(call.func.value)
        elif first is not None:
            yield value.of(first)

    def _collated(self, value: _Value, dataset: ast.AST, collate: ast.AST | None) -> Iterator[_Value]:
        if isinstance(collate, ast.Name) and value.path[:1] == (EACH,):
            for function in value.source.functions.get(collate.id, [])[:1]:
                call = ast.Call(func=collate, args=[dataset], keywords=[])  # type: ignore[list-item]
                entered: Construction = (call, value.source, value.context)
                inner = _Value(value.source, function, value.path[1:], {**value.context, function: entered})
                yield from self._returned(inner, function, value.path[1:])

    def _imported(self, value: _Value, name: str) -> Iterator[_Value]:
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
        inner = _Value(source, source.tree, path, {})
        yield from self._bound(inner, reversed(source.bindings(source.tree).get(member, [])))
        if member in source.classes:
            yield inner.of(source.classes[member])

    def _command_line(self, value: _Value, name: str) -> Iterator[_Value]:
        """``parser.add_argument("--lr", default=…)`` and click's options in the same file."""
        for call in value.source.calls:
            if _last_name(call.func) not in ("add_argument", "option", "DEFINE_float", "DEFINE_integer"):
                continue
            keywords = {k.arg: k.value for k in call.keywords}
            options = [str(_constant(a)) for a in call.args]
            names = {o.lstrip("-").replace("-", "_") for o in options} | {str(_constant(keywords.get("dest")))}
            if name in names:
                yield value.of(keywords["default"], ()) if "default" in keywords else value.of(call, ())


def _is_field(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)


def _parameters(function: Function) -> list[str]:
    a = function.args
    return [p.arg for p in (*a.posonlyargs, *a.args, *a.kwonlyargs)]


def _default(function: Function, name: str) -> ast.expr | None:
    a = function.args
    positional = [*a.posonlyargs, *a.args]
    for parameter, default in zip(reversed(positional), reversed(a.defaults)):
        if parameter.arg == name:
            return default
    return next((d for p, d in zip(a.kwonlyargs, a.kw_defaults) if p.arg == name), None)


def _argument(
    source: _Source, function: Function, name: str, call: ast.Call
) -> tuple[ast.expr, tuple[Step, ...]] | None:
    """The expression that the call gives to the parameter."""
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value, ()
    a = function.args
    positional = [p.arg for p in (*a.posonlyargs, *a.args)]
    static = any(_last_name(d) == "staticmethod" for d in getattr(function, "decorator_list", []))
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


def argument_origin(file: str, line: int, keyword: str, position: int | None) -> tuple[str, int] | None:
    """Where the value of a call's argument is written.

    Args:
        file: the source file.
        line: a line of the call.
        keyword: name of the argument, for example ``lr``.
        position: its position when it is given without the name, None if it must be named.

    Returns:
        File and line of the literal (of the default of a command-line option, the entry of a dictionary, the field
        of a dataclass …), the line of the argument itself when it cannot be followed further, and None when there is
        no such argument.
    """
    try:
        source = _read(file)
        argument = _argument_value(source, line, keyword, position) if source else None
        if argument is None:
            return None
        found = _Follower(line).literal(argument)
        if found is None:
            return (argument.place[0], _line(argument.node)) if not argument.path else None
        return found.place
    except Exception:  # the promise: odd sources have no origin, and are no error
        return None


def _argument_value(
    source: _Source, line: int, keyword: str, position: int | None, losses: bool = False
) -> _Value | None:
    calls = [c for c in source.calls if c.lineno <= line <= _end(c)]
    calls.sort(key=lambda c: (c.lineno != line, _end(c) - c.lineno, c.col_offset))
    if losses:
        calls.sort(key=lambda c: not _LOSSES.search(_last_name(c.func).lower()))
    for call in calls:
        for k in call.keywords:
            if k.arg == keyword:
                return _Value(source, k.value)
    for call in calls:
        if (
            position is not None
            and len(call.args) > position
            and not any(isinstance(a, ast.Starred) for a in call.args[: position + 1])
        ):
            return _Value(source, call.args[position])
    for call in calls:
        options = [_Value(source, k.value, (keyword,)) for k in call.keywords if k.arg is None]
        groups = [_Value(source, a, (keyword,)) for a in call.args[:1]]
        partials = [_Value(source, call.func, (keyword,))] if isinstance(call.func, ast.Name) else []
        for value in (*options, *groups, *partials):
            if _Follower(line).literal(value) is not None:
                return value
    return None


def value_origin(file: str, line: int, name: str | None, function: str = "") -> tuple[str, int] | None:
    """The line at which the data that reach a variable or expression were last computed.

    Arithmetic counts before mere conversions (``torch.tensor(X)``, ``.float()``), and these before the line that
    loaded the data.

    Args:
        file: the source file.
        line: the line that uses the value.
        name: the variable or expression, for example ``x`` or ``batch["x"]``; None is the first argument of the
            first call on the line.
        function: name of the function that holds the line, where the line alone is not enough.

    Returns:
        File and line, or None when the value cannot be followed.
    """
    try:
        source = _read(file)
        node = _expression(source, line, name, function) if source else None
        if source is None or node is None:
            return None
        return _Follower(line).data(_Value(source, node))
    except Exception:  # as above
        return None


def argument_data_origin(file: str, line: int, keyword: str, position: int | None) -> tuple[str, int] | None:
    """Where the data given as one argument of the call at a line were last computed.

    As `value_origin`, but for example for the target of a loss: ``("train.py", 40, "target", 1)``.
    """
    try:
        source = _read(file)
        argument = _argument_value(source, line, keyword, position, losses=True) if source else None
        return _Follower(line).data(argument) if argument is not None else None
    except Exception:  # as above
        return None


def order_origin(file: str, line: int, name: str | None, function: str = "") -> tuple[str, int] | None:
    """The line that decides which examples a hand-made batch holds, and in which order.

    As `value_origin`, but follows the index of the last indexing (``X[order[i : i + 32]]`` leads to
    ``order = torch.randperm(len(X))``, ``X[i : i + 32]`` to the loop over ``i``).
    """
    try:
        source = _read(file)
        node = _expression(source, line, name, function) if source else None
        if source is None or node is None:
            return None
        found = _Follower(line).order(_Value(source, node))
        return found.place if found is not None else None
    except Exception:  # as above
        return None


def _expression(source: _Source, line: int, name: str | None, function: str) -> ast.AST | None:
    if name is None:
        calls = [c for c in source.calls if c.lineno <= line <= _end(c)]
        calls = [c for c in calls if c.args and not isinstance(c.args[0], ast.Constant)]
        calls.sort(key=lambda c: (_around_model(source, c), c.lineno != line, c.col_offset))
        return calls[0].args[0] if calls else None
    wanted = ast.unparse(ast.parse(name, mode="eval"))
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.expr) or not node.lineno == node.end_lineno == line or _stored(node):
            continue
        if ast.unparse(node) == wanted:
            return node
    return _planted(source, line, name, function)


def _around_model(source: _Source, call: ast.Call) -> bool:
    """The call is rather a loss or a library function around the model's call than that itself."""
    module = isinstance(call.func, ast.Attribute) and _Follower()._is_module(source, call.func.value)
    return module or bool(_NOT_MODELS.search(_last_name(call.func)))


def _stored(node: ast.expr) -> bool:
    return isinstance(getattr(node, "ctx", None), ast.Store)


def _planted(source: _Source, line: int, name: str, function: str) -> ast.AST | None:
    """The expression as if it stood at the line, inside the function there."""
    expression = ast.parse(name, mode="eval").body
    functions = source.functions.get(function, []) if function else []
    if not functions:
        functions = [f for several in source.functions.values() for f in several]
    around = [f for f in functions if f.lineno <= line <= _end(f)]
    parent: ast.AST = max(around, key=lambda f: f.lineno) if around else source.tree
    for node in ast.walk(expression):
        for child in ast.iter_child_nodes(node):
            source.parents[child] = node
        if isinstance(node, ast.expr):
            node.lineno = node.end_lineno = line
    source.parents[expression] = parent
    return expression


def loop_count(file: str, line: int, frame_values: dict[str, int | float]) -> int | None:
    """The planned number of epochs: how often the outermost counting loop around a line goes round.

    Args:
        file: the source file.
        line: a line of the training step.
        frame_values: numbers known while running, by name (``EPOCHS``, ``args.epochs``); they win over the source.

    Returns:
        The count of the loop over epochs, in this function or around a call of it; None where no loop counts.
    """
    try:
        source = _read(file)
        if source is None:
            return None
        around = [n for n in ast.walk(source.tree) if isinstance(n, ast.stmt) and n.lineno <= line <= _end(n)]
        if not around:
            return None
        loops = list(_loops(source, max(around, key=lambda n: (n.lineno, -_end(n))), 0))
        counted = [(loop, n) for loop in loops if (n := _rounds(source, loop, frame_values)) is not None]
        if not counted:
            return None
        for loop, rounds in counted:
            if "epoch" in ast.unparse(loop.target).lower():
                return rounds
        plausible = [n for loop, n in counted if not ast.unparse(loop.target).lower().startswith(_UNKNOWN_LOOPS)]
        return plausible[-1] if plausible else None
    except Exception:  # as above
        return None


def _loops(source: _Source, node: ast.AST, depth: int) -> Iterator[ast.For | ast.AsyncFor]:
    """The loops around a node, inner ones first, then those around the calls of its function."""
    function: ast.FunctionDef | ast.AsyncFunctionDef | None = None
    for parent in source.above(node):
        if isinstance(parent, ast.For | ast.AsyncFor):
            yield parent
        elif isinstance(parent, ast.FunctionDef | ast.AsyncFunctionDef):
            function = parent
            break
    if function is None or depth >= 4:
        return
    calls = [c for c in _Follower()._calls_of(source, function) if not _Follower()._holds(source, function, c)]
    for call in calls[:3]:
        yield from _loops(source, call, depth + 1)
    if source.owner(function) is None and not isinstance(source.scope(function), ast.Module):
        yield from _loops(source, function, depth + 1)  # a closure: what encloses its definition may loop


def _rounds(source: _Source, loop: ast.For | ast.AsyncFor, known: dict[str, int | float]) -> int | None:
    iterated: ast.AST = loop.iter
    while isinstance(iterated, ast.Call) and _last_name(iterated.func) not in ("range", "trange"):
        if _last_name(iterated.func) not in ("tqdm", "enumerate", "track", "progress_bar", "reversed", "notebook_tqdm"):
            return None
        if not iterated.args:
            return None
        iterated = iterated.args[0]
    if isinstance(iterated, ast.Name):  # bar = tqdm(range(EPOCHS))
        for definition in _Follower()._definitions(_Value(source, iterated)):
            if isinstance(definition.node, ast.Call) and not definition.path:
                copy = ast.For(target=loop.target, iter=definition.node, body=[], orelse=[])
                return _rounds(source, copy, known)
        return None
    if not isinstance(iterated, ast.Call) or not 1 <= len(iterated.args) <= 2:
        return None
    numbers = [_number(_Value(source, a), known, 0) for a in iterated.args]
    if any(n is None for n in numbers):
        return None
    stop, start = numbers[-1] or 0, (numbers[0] or 0) if len(numbers) == 2 else 0
    return max(int(stop - start), 0)


def _number(value: _Value, known: dict[str, int | float], depth: int) -> float | None:
    """The number an expression stands for; None also for sizes of data."""
    node = value.node
    if depth > 8 or not isinstance(node, ast.expr):
        return None
    constant = _constant(node)
    if isinstance(constant, int | float) and not isinstance(constant, bool):
        return constant
    text = ast.unparse(node)
    if isinstance(node, ast.Name | ast.Attribute | ast.Subscript) and text in known:
        return known[text]
    if isinstance(node, ast.BinOp):
        left, right = (_number(value.of(n), known, depth + 1) for n in (node.left, node.right))
        if left is None or right is None:
            return None
        match node.op:
            case ast.Add():
                return left + right
            case ast.Sub():
                return left - right
            case ast.Mult():
                return left * right
            case ast.Div() | ast.FloorDiv() if right:
                return left / right if isinstance(node.op, ast.Div) else left // right
        return None
    if isinstance(node, ast.Call):
        if _last_name(node.func) in ("int", "round", "max", "min") and len(node.args) == 1:
            return _number(value.of(node.args[0]), known, depth + 1)
        return None
    found = _Follower().literal(value)
    if found is None or found.node is node:
        return None
    return _number(found, known, depth + 1)
