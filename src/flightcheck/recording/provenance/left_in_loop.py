"""A loss that is made anew in each round of a loop, and differentiated once behind it: of the last round only."""

from __future__ import annotations

import ast

from flightcheck.recording.provenance.source import Source, end_of, last_name, line_of, read_source

_COLLECTS = ("append", "extend", "add_", "update", "add")


def left_in_loop(file: str, line: int) -> tuple[str, int] | None:
    """The loop whose last round alone reaches ``loss.backward()``, which stands behind it.

    Nothing that the loss is made of may be carried from one round to the next: sums, lists, hidden states.

    Args:
        file: the source file.
        line: the line of the backward.

    Returns:
        File and line of the loop, None if there is no such loop.
    """
    try:
        source = read_source(file)
        calls = [c for c in source.calls if c.lineno <= line <= end_of(c)] if source else []
        calls = [c for c in calls if last_name(c.func) == "backward" and isinstance(c.func, ast.Attribute)]
        if source is None or len(calls) != 1 or not isinstance(calls[0].func, ast.Attribute):
            return None
        names = {
            n.id for n in ast.walk(calls[0].func.value) if isinstance(n, ast.Name) and n.id not in ("scaler", "self")
        }
        loop = _loop_before(source, calls[0], names)
        if loop is None or len(names) != 1:
            return None
        (name,) = names
        return None if _carried(loop, name) else (file, line_of(loop))
    except Exception:  # the promise of this package: odd sources have no answer, and are no error
        return None


def _loop_before(source: Source, call: ast.AST, names: set[str]) -> ast.For | None:
    """The loop that stands before the statement, in the same block, and gives one of the names its value last."""
    statement: ast.AST = call
    for parent in source.above(call):
        body = next((b for b in (getattr(parent, f, None) for f in ("body", "orelse")) if statement in (b or [])), None)
        if body is not None:
            for other in reversed(body[: body.index(statement)]):
                if isinstance(other, ast.For) and names & set(_assigned(other)):
                    return other
                if names & set(_assigned(other)):
                    return None
        if isinstance(parent, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.For | ast.While):
            return None
        statement = parent
    return None


def _assigned(node: ast.AST) -> list[str]:
    """The names that are given a value somewhere in a node."""
    return [n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]


def _carried(loop: ast.For, name: str) -> bool:
    """The name's value in one round depends on that of an earlier round, as far as the names tell."""
    flows: dict[str, set[str]] = {}
    grown: set[str] = set()
    inside = {id(n) for s in loop.body for n in ast.walk(s)}
    for node in ast.walk(loop):
        if id(node) not in inside:
            continue
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            read = {n.id for n in ast.walk(node.value) if isinstance(n, ast.Name)}
            for target in targets:
                for written in _assigned(target):
                    flows.setdefault(written, set()).update(read)
        elif isinstance(node, ast.AugAssign):
            grown |= {n.id for n in ast.walk(node.target) if isinstance(n, ast.Name)}
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _COLLECTS:
            grown |= {n.id for n in ast.walk(node.func.value) if isinstance(n, ast.Name)}
        elif isinstance(node, ast.While | ast.If | ast.Break | ast.Return) and not isinstance(node, ast.If):
            return True
    if any(isinstance(n, ast.If) and name in _assigned(n) for s in loop.body for n in ast.walk(s)):
        return True
    reached, queue = set(), [name]
    while queue:
        one = queue.pop()
        for source in flows.get(one, set()):
            if source == name or source in grown or source in flows.get(source, set()):
                return True
            if source not in reached:
                reached.add(source)
                queue.append(source)
    return name in grown or _read_before_written(loop, reached | {name})


def _read_before_written(loop: ast.For, names: set[str]) -> bool:
    """A name that the loop writes is read in an earlier statement: the value of the round before."""
    written = set(_assigned(loop.target))
    later = {n for s in loop.body for n in _assigned(s)}
    for statement in loop.body:
        read = {n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
        if read & names & later - written:
            return True
        written.update(_assigned(statement))
    return False
