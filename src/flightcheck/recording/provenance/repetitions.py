"""Lists that hold one object several times: ``[layer] * n``, ``[layer for _ in range(n)]``."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Iterator

from flightcheck.recording.provenance.source import Source, end_of, line_of, read_source


def repetition(file: str, line: int, *, made_here: bool = False) -> int:
    """The line of the expression that repeats what a list holds.

    Args:
        file: the source file.
        line: at which the object, or what holds the list, is constructed.
        made_here: the line is that of the object: the expression must hold its construction.

    Returns:
        Its line; 0 where the statement of this line holds none, and its function not exactly one.
    """
    try:
        source = read_source(file)
        if source is None:
            return 0
        found = [n for n in source.nodes if repeats(n)]
        around = [n for n in found if line_of(n) <= line <= end_of(n)]
        if made_here:
            return line_of(around[-1]) if around and isinstance(around[-1], ast.BinOp) else 0
        near = around or [n for n in found if _statement(source, n) is _statement_at(source, line)]
        if not near:
            scope = _scope_at(source, line)
            near = [n for n in found if source.scope(n) is scope]
            near = near if len(near) == 1 else []
        return line_of(near[0]) if near else 0
    except Exception:  # the promise of this package: odd sources have no answer, and are no error
        return 0


def said_about(file: str, line: int) -> str:
    """What the author says of a line: the comments behind and right above it, and what describes its class."""
    try:
        own = linecache.getline(file, line).partition("#")[2]
        above, at = [], line - 1
        while (text := linecache.getline(file, at).strip()).startswith("#"):
            above.append(text)
            at -= 1
        source = read_source(file)
        classes = [c for c in source.classes.values() if line_of(c) <= line <= end_of(c)] if source is not None else []
        methods = [m for c in classes for m in c.body if isinstance(m, ast.FunctionDef)]
        around: list[ast.ClassDef | ast.FunctionDef] = [*classes, *methods]
        described = [ast.get_docstring(n) or "" for n in around if line_of(n) <= line <= end_of(n)]
        return "\n".join([own, *above[::-1], *described]).strip()
    except Exception:  # as above
        return ""


def only_repetition(file: str) -> int:
    """The line of ``[make()] * n``, where the file holds exactly one such list of what calls make; else 0."""
    try:
        source = read_source(file)
        found = [n for n in (source.nodes if source else ()) if isinstance(n, ast.BinOp) and repeats(n)]
        made = [n for n in found if any(isinstance(e, ast.Call) for s in (n.left, n.right) for e in ast.walk(s))]
        return line_of(made[0]) if len(made) == 1 else 0
    except Exception:  # as above
        return 0


def repeats(node: ast.AST) -> bool:
    """``[…] * n`` of what is no plain value, or a comprehension whose elements are one and the same object."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return any(isinstance(s, ast.List) and any(map(_may_be_module, s.elts)) for s in (node.left, node.right))
    if isinstance(node, ast.ListComp | ast.GeneratorExp) and isinstance(node.elt, ast.Name | ast.Attribute):
        made = {n.id for g in node.generators for n in ast.walk(g.target) if isinstance(n, ast.Name)}
        return not any(isinstance(n, ast.Name) and n.id in made for n in ast.walk(node.elt))
    return False


def _may_be_module(node: ast.AST) -> bool:
    return isinstance(node, ast.Call | ast.Name | ast.Attribute)


def _statement(source: Source, node: ast.AST) -> ast.AST | None:
    return next((p for p in source.above(node) if isinstance(p, ast.stmt)), None)


def _statement_at(source: Source, line: int) -> ast.AST | None:
    """The innermost statement of a line that holds no others."""
    statements: Iterator[ast.AST] = (n for n in source.nodes if isinstance(n, ast.stmt))
    return next((n for n in statements if line_of(n) <= line <= end_of(n) and not hasattr(n, "body")), None)


def _scope_at(source: Source, line: int) -> ast.AST:
    statement = _statement_at(source, line)
    return source.scope(statement) if statement is not None else source.tree
