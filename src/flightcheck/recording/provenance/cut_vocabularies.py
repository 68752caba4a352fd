"""Where a vocabulary is cut: the line that keeps the most frequent words only, beside a lookup with a default."""

from __future__ import annotations

import ast

from flightcheck.recording.provenance.source import last_name, read_source
from flightcheck.recording.uncut import cuts


def only_cut(file: str) -> tuple[str, int] | None:
    """The line that cuts a vocabulary, where the file has one such line and gives words without a number another one.

    That is ``vocabulary.get(word, 0)``, or ``vocabulary[word] if word in vocabulary else 0``.
    """
    try:
        source = read_source(file)
        if source is None or not any(map(_with_default, source.nodes)):
            return None
        lines = {n.lineno for n in source.nodes if isinstance(n, ast.stmt) and cuts(n)}
        return (file, lines.pop()) if len(lines) == 1 else None
    except Exception:  # the promise of this package: odd sources have no answer, and are no error
        return None


def _with_default(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        name = last_name(node.func)
        return (name == "get" and len(node.args) == 2) or name == "set_default_index"
    if isinstance(node, ast.IfExp) and isinstance(node.test, ast.Compare):
        return isinstance(node.test.ops[0], (ast.In, ast.NotIn))
    return False
