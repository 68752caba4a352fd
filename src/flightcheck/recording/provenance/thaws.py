"""Frozen parameters that a training is still to thaw, as its source says."""

from __future__ import annotations

import ast

from flightcheck.recording.provenance.source import Scope, Source, end_of, last_name, line_of, read_source, walk_scope


def thaw_to_come(file: str, line: int) -> bool:
    """After this line of a function or module, or in another round of a loop around it, ``requires_grad`` is set.

    Set to True, or to what only the running program knows; there, or in a function of the same file that is called
    there.
    """
    try:
        source = read_source(file)
        if source is None:
            return False
        scope = _scope_at(source, line)
        inside = [n for n in walk_scope(scope) if line_of(n)]
        loops = [n for n in inside if isinstance(n, ast.For | ast.While) and line_of(n) <= line <= end_of(n)]
        since = min((line_of(n) for n in loops), default=line)
        return any(_thaws(source, n, 2) for n in inside if line_of(n) > since)
    except Exception:  # the promise of this package: odd sources have no answer, and are no error
        return False


def _scope_at(source: Source, line: int) -> Scope:
    """The innermost function that holds the line, else the module."""
    around = [f for several in source.functions.values() for f in several if line_of(f) <= line <= end_of(f)]
    return max(around, key=line_of, default=source.tree)


def _thaws(source: Source, node: ast.AST, depth: int) -> bool:
    """A statement of ``p.requires_grad = True``, ``requires_grad_()``, or a call of a function with one in it."""
    if isinstance(node, ast.Assign):
        return any(last_name(t) == "requires_grad" for t in node.targets) and not _is_false(node.value)
    if not isinstance(node, ast.Call):
        return False
    given = [*node.args, *(k.value for k in node.keywords)]
    name = last_name(node.func)
    if name == "requires_grad_" or any(map(_is_false, given)):
        return name == "requires_grad_" and not any(map(_is_false, given))
    called = source.functions.get(name, ()) if depth else ()
    return any(_thaws(source, n, depth - 1) for f in called for n in walk_scope(f))


def _is_false(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is False
