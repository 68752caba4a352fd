"""Rows that are picked because of other rows: ``j = [choose(label) for label in labels[i]]``."""

from __future__ import annotations

import ast

from flightcheck.recording.provenance.source import Source, end_of, read_source


def one_picks_the_other(file: str, one: int, other: int) -> bool:
    """Of the indices that two lines pick rows with, one is computed from the other.

    Args:
        file: the source file.
        one: a line with rows of the inputs.
        other: a line with rows of the targets; it may be the same.
    """
    try:
        source = read_source(file)
        if source is None:
            return False
        names = _indices(source, one) | _indices(source, other)
        made = {name: _made_from(source, name) for name in names}
        return any(second in made[first] for first in names for second in names - {first})
    except Exception:  # the promise of this package: odd sources have no answer, and are no error
        return False


def _indices(source: Source, line: int) -> set[str]:
    """Names that stand as an index in the statement of a line."""
    nodes = (n for n in source.nodes if isinstance(n, ast.Subscript) and n.lineno <= line <= end_of(n))
    return {n.slice.id for n in nodes if isinstance(n.slice, ast.Name)}


def _made_from(source: Source, name: str) -> set[str]:
    """Names in the statements that assign a name, and in those that assign these."""
    found: set[str] = set()
    todo = [name]
    while todo:
        wanted = todo.pop()
        for node in source.nodes:
            if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == wanted for t in node.targets):
                new = {n.id for n in ast.walk(node.value) if isinstance(n, ast.Name)} - found
                found |= new
                todo += new
    return found
