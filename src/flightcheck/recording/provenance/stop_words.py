"""Where words are left out of texts, with the negations among them."""

from __future__ import annotations

import ast

from flightcheck.recording.negations import leaves_out_negations, negations_in
from flightcheck.recording.provenance.source import read_source


def negations_left_out(file: str) -> tuple[str, int] | None:
    """The line that lists words which the file leaves out, negations among them, where it has one such line.

    A list of words counts if its name tells that they are stop words and something is asked for being ``in`` it.
    """
    try:
        source = read_source(file)
        if source is None:
            return None
        asked = {ast.unparse(c) for n in source.nodes if isinstance(n, ast.Compare) for c in n.comparators}
        lines = {
            n.lineno for n in source.nodes
            if isinstance(n, ast.stmt) and leaves_out_negations(n) and _is_of_words_left_out(n, asked)
        }  # fmt: skip
        return (file, lines.pop()) if len(lines) == 1 else None
    except Exception:  # the promise of this package: odd sources have no answer, and are no error
        return None


def _is_of_words_left_out(statement: ast.stmt, asked: set[str]) -> bool:
    if not (isinstance(statement, ast.Assign) and negations_in(statement.value)):
        return True
    names = list(map(ast.unparse, statement.targets))
    return any("stop" in name.lower() for name in names) and any(name in asked for name in names)
