"""Does the loop of a training begin where a checkpoint says that the training had stopped?

Read from the source: ``checkpoint["epoch"]`` that becomes the start of the ``range`` around the training step, on a way
that was taken for certain. A way that depends on an option (``if not args.finetune:``) is no answer.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from flightcheck.recording.provenance.source import (
    Scope,
    Source,
    constant_of,
    end_of,
    last_name,
    line_of,
    parameter_names,
    read_source,
)

_MOST_USES: Final = 400
_COUNTING: Final = ("range", "trange", "count")
_PASSED_ON: Final = ("int", "max", "min")

Place = tuple[str, int]


@dataclass
class _Search:
    """Where a number read from a checkpoint goes, from use to use."""

    sources: list[Source]
    steps: set[Place]
    """Lines on the stack of a training step."""
    seen: set[ast.AST] = field(default_factory=set)

    def loop(self, source: Source, node: ast.expr) -> Place | None:
        """The loop around the training step that begins at the value of the expression, followed through names,
        attributes, arguments and results.
        """
        if node in self.seen or len(self.seen) > _MOST_USES:
            return None
        self.seen.add(node)
        parent = source.parents.get(node)
        if isinstance(parent, ast.BinOp) and isinstance(parent.op, ast.Add):
            return self.loop(source, parent)
        if isinstance(parent, ast.keyword):
            node, parent = parent, source.parents.get(parent)  # type: ignore[assignment]
        if isinstance(parent, ast.Call):
            return self._in_call(source, parent, node)
        if isinstance(parent, ast.Compare) and isinstance(source.parents.get(parent), ast.While):
            return self._hit(source, source.parents[parent])
        if isinstance(parent, ast.Tuple) and isinstance(source.parents.get(parent), ast.Return):
            return self._first(self._results(source, parent, parent.elts.index(node)))
        if isinstance(parent, ast.Return):
            return self._first(self._results(source, parent, None))
        if isinstance(parent, ast.Assign | ast.AnnAssign):
            targets = parent.targets if isinstance(parent, ast.Assign) else [parent.target]
            return self._first(use for t in targets for use in self._uses(source, t, line_of(parent)))
        return None

    def _first(self, uses: Iterable[tuple[Source, ast.expr]]) -> Place | None:
        return next((found for s, n in uses if (found := self.loop(s, n)) is not None), None)

    def _hit(self, source: Source, loop: ast.AST) -> Place | None:
        inside = any(file == source.path and line_of(loop) <= line <= end_of(loop) for file, line in self.steps)
        return (source.path, line_of(loop)) if inside else None

    def _in_call(self, source: Source, call: ast.Call, argument: ast.AST) -> Place | None:
        name = last_name(call.func)
        if name in _PASSED_ON:
            return self.loop(source, call)
        position = call.args.index(argument) if argument in call.args else None
        if name in _COUNTING:
            if position or (name != "count" and len(call.args) < 2):
                return None
            around = (n for n in source.above(call) if not isinstance(n, ast.Call))
            loop = next(around, None)
            return self._hit(source, loop) if isinstance(loop, ast.For | ast.AsyncFor) else None
        keyword = argument.arg if isinstance(argument, ast.keyword) else None
        return self._first(self._parameters(name, position, keyword))

    def _parameters(self, name: str, position: int | None, keyword: str | None) -> Iterator[tuple[Source, ast.expr]]:
        for source in self.sources:
            for function in source.functions.get(name, []):
                names = parameter_names(function)
                if source.owner(function) is not None and names[:1] == ["self"]:
                    names = names[1:]
                given = keyword if keyword is not None else names[position or 0] if (position or 0) < len(names) else ""
                if given in names:
                    yield from self._names(source, function, given, 0)

    def _results(self, source: Source, node: ast.AST, position: int | None) -> Iterator[tuple[Source, ast.expr]]:
        """Calls of the function that returns the value, or the names that a call's results are given to."""
        name = getattr(source.scope(node), "name", None)
        for other in self.sources:
            for call in (c for c in other.calls if last_name(c.func) == name):
                parent = other.parents.get(call)
                if position is None:
                    yield other, call
                elif isinstance(parent, ast.Assign) and isinstance(parent.targets[0], ast.Tuple):
                    targets = parent.targets[0].elts
                    if position < len(targets):
                        yield from self._uses(other, targets[position], line_of(parent))

    def _uses(self, source: Source, target: ast.expr, line: int) -> Iterator[tuple[Source, ast.expr]]:
        if isinstance(target, ast.Name):
            yield from self._names(source, source.scope(target), target.id, line)
        elif isinstance(target, ast.Attribute):
            scope = source.scope(target)
            if _bound_later(source, scope, ast.unparse(target), line):
                return
            for other in self.sources:
                for node in other.nodes:
                    if isinstance(node, ast.Attribute) and node.attr == target.attr and _read(node):
                        yield other, node

    def _names(self, source: Source, scope: Scope, name: str, line: int) -> Iterator[tuple[Source, ast.expr]]:
        if _bound_later(source, scope, name, line):
            return
        for node in ast.walk(scope):
            if isinstance(node, ast.Name) and node.id == name and _read(node):
                yield source, node


def _read(node: ast.Name | ast.Attribute) -> bool:
    return isinstance(node.ctx, ast.Load)


def _bound_later(source: Source, scope: Scope, name: str, line: int) -> bool:
    """The name gets another value after the line; counting on (``step += 1``, ``for step in``) gives it none."""
    for node in ast.walk(scope):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr) and line_of(node) > line:
            held = [e for t in targets if t is not None for e in ast.walk(t)]
            if any(isinstance(e, ast.Name | ast.Attribute) and ast.unparse(e) == name for e in held):
                return True
    return False


def continued_loop(reads: list[Place], key: str, steps: list[Place]) -> Place | None:
    """The loop around the training step whose start was read, under `key`, from a checkpoint.

    Args:
        reads: the lines on the stack when the checkpoint was read, in any order.
        key: the name of the counter in the checkpoint, such as ``epoch``.
        steps: the lines on the stack at a training step.

    Returns:
        File and line of the loop; None where it does not begin there, or where that is not certain.
    """
    try:
        files = dict.fromkeys(file for file, _ in (*reads, *steps))
        sources = [s for f in files if (s := read_source(f)) is not None]
        search = _Search(sources, set(steps))
        for source in sources:
            for node in source.nodes:
                if _takes(node, key) and _certain(source, node, key, [n for f, n in reads if f == source.path]):
                    found = search.loop(source, node)  # type: ignore[arg-type]
                    if found is not None:
                        return found
        return None
    except Exception:  # the promise: odd sources have no answer, and are no error
        return None


def _takes(node: ast.AST, key: str) -> bool:
    """``checkpoint[key]`` or ``checkpoint.get(key)``."""
    if isinstance(node, ast.Subscript):
        return isinstance(node.ctx, ast.Load) and constant_of(node.slice) == key
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("get", "pop"):
        return bool(node.args) and constant_of(node.args[0]) == key
    return False


def _certain(source: Source, node: ast.AST, key: str, executed: list[int]) -> bool:
    """The expression was evaluated after the checkpoint was read: what it depends on holds an executed line, too."""
    scope = source.scope(node)
    last = [n for n in executed if isinstance(scope, ast.Module) or line_of(scope) <= n <= end_of(scope)]
    if not last or line_of(node) < min(last):
        return False
    below: ast.AST = node
    for parent in source.above(node):
        if parent is scope:
            break
        if isinstance(parent, ast.If) and _asks_for(parent.test, key) and below in parent.body:
            pass
        elif isinstance(parent, ast.If | ast.For | ast.AsyncFor | ast.While | ast.Try | ast.Match):
            branches = [getattr(parent, b, []) for b in ("body", "orelse", "handlers", "finalbody", "cases")]
            branch = next((b for b in branches if below in b), [])
            if not any(line_of(s) <= n <= end_of(s) for s in branch for n in last):
                return False
        elif isinstance(parent, ast.IfExp | ast.BoolOp | ast.Lambda | ast.comprehension):
            return False
        below = parent
    leaving = ast.Return | ast.Raise | ast.Continue | ast.Break
    own = (n for n in ast.walk(scope) if isinstance(n, leaving) and source.scope(n) is scope)
    return not any(min(last) < line_of(n) < line_of(node) for n in own)


def _asks_for(test: ast.expr, key: str) -> bool:
    """``key in checkpoint``."""
    return isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.In) and constant_of(test.left) == key
