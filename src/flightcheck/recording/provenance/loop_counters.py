"""Which count of a loop a learning rate is computed of that is set by hand: ``set_rate(i)``, ``lr = base * i / n``."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from flightcheck.frozen import frozen
from flightcheck.recording.provenance.source import Source, end_of, last_name, line_of, parameter_names, read_source

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@frozen
class LoopCount:
    """A statement that reads the count of the loop around it, for a learning rate."""

    file: str
    line: int
    counter: str


def count_of_rate(file: str, line: int) -> LoopCount | None:
    """The statement through which a loop's count gets into a learning rate.

    Args:
        file: the source file.
        line: the line that sets the rate, ``group["lr"] = …``.

    Returns:
        The first such statement inside the loop, its line and the name of the count; None where several loops' counts
        are read, several places give one, or none does.
    """
    try:
        source = read_source(file)
        if source is None:
            return None
        write = next((n for n in source.around(line, ast.Assign, ast.AugAssign) if line_of(n) == line), None)
        found = {} if write is None else {line_of(s): (s, names) for s, names in _readers(source, write)}
        if len(found) != 1:
            return None
        ((at, (_, names)),) = found.items()
        return LoopCount(file, at, names[0]) if len(names) == 1 else None
    except Exception:  # the promise: odd sources have no answer, and are no error
        return None


def _readers(source: Source, write: ast.stmt) -> Iterator[tuple[ast.stmt, list[str]]]:
    """Statements in a loop that read its count: in the function of the write, or where that function is called."""
    here = list(_in_loops(source, write, _feeding(source, write)))
    if here:
        yield from here[:1]
        return
    function = next((a for a in source.above(write) if isinstance(a, _FUNCTIONS)), None)
    if function is None or not [n for n in parameter_names(function) if n != "self"]:
        return
    for call in (c for c in source.calls if last_name(c.func) == function.name):
        statement = next((a for a in source.above(call) if isinstance(a, ast.stmt)), None)
        if statement is not None:
            yield from _in_loops(source, statement, [statement])


def _feeding(source: Source, write: ast.stmt) -> list[ast.stmt]:
    """The write and the assignments before it, in its function, of what it reads."""
    bindings = source.bindings(source.scope(write))
    feeding, wanted = [write], _read(write)
    seen: set[str] = set()
    while wanted - seen:
        name = (wanted - seen).pop()
        seen.add(name)
        for binding in bindings.get(name, []):
            if isinstance(statement := _statement(source, binding.node), ast.Assign) and statement not in feeding:
                feeding.append(statement)
                wanted |= _read(statement)
    return sorted(feeding, key=line_of)


def _statement(source: Source, node: ast.AST) -> ast.AST | None:
    return (
        node if isinstance(node, ast.stmt) else next((a for a in source.above(node) if isinstance(a, ast.stmt)), None)
    )


def _read(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}


def _in_loops(source: Source, write: ast.stmt, statements: list[ast.stmt]) -> Iterator[tuple[ast.stmt, list[str]]]:
    """Those of the statements that read the count of a loop around them and around the write."""
    for statement in statements:
        loops = [a for a in source.above(statement) if isinstance(a, ast.For) and _holds(a, write)]
        counts = [name for loop in loops if (name := _count(loop))]
        read = [name for name in counts if name in _read(statement)]
        if read and not hasattr(statement, "body"):
            yield statement, read


def _holds(loop: ast.For, write: ast.stmt) -> bool:
    return line_of(loop) <= line_of(write) <= end_of(loop)


def _count(loop: ast.For) -> str:
    """The variable that a loop counts with: ``for i, batch in enumerate(…)``, ``for i in range(…)``."""
    called = {last_name(c.func) for c in ast.walk(loop.iter) if isinstance(c, ast.Call)}
    if "enumerate" in called and isinstance(loop.target, ast.Tuple) and isinstance(loop.target.elts[0], ast.Name):
        return loop.target.elts[0].id
    return loop.target.id if {"range", "trange"} & called and isinstance(loop.target, ast.Name) else ""
