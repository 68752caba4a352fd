"""The statement that gives words their numbers, on the way back from a line that uses these numbers."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from flightcheck.recording.provenance.source import Source, last_name, line_of, read_source

_DEEPEST: Final = 4
_LIBRARIES: Final = {"fit_on_texts", "build_vocab_from_iterator", "fit_transform"}
"""Functions of libraries that number what they are given."""


def vocabulary_line(file: str, line: int) -> tuple[str, int] | None:
    """Where the words that a line uses got their numbers.

    Args:
        file: the source file.
        line: a line that hands texts on as numbers, to a loader or to a model.

    Returns:
        For ``DataLoader(Texts(ids))`` the place of ``ids = tokenizer.fit_transform(texts)``, or, where the class
        builds its vocabulary by itself, that of ``self.vocabulary = build(texts)``; None where neither is found.
    """
    try:
        source = read_source(file)
        if source is None:
            return None
        inside = source.around(line, ast.stmt)
        statement = max(inside, key=line_of, default=None)
        found = _search(source, statement, line, 0) if statement is not None else 0
        return (file, found) if found else None
    except Exception:  # the promise of this package: odd sources have no answer, and are no error
        return None


def _search(source: Source, node: ast.AST, line: int, depth: int) -> int:
    for call in (n for n in ast.walk(node) if isinstance(n, ast.Call)):
        name = last_name(call.func)
        if (made := source.classes.get(name)) is not None:
            own = next((s for s in _statements(made, "__init__") if _numbers(source, s, 0)), None)
            if own is not None:
                return line_of(own)
        elif _numbers(source, call, 0):
            return line_of(call)
    if depth >= _DEEPEST:
        return 0
    names = [n for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)]
    bindings = {b.line: b for n in names for b in source.bindings(source.scope(n)).get(n.id, []) if b.line < line}
    found = (_search(source, bindings[at].node, at, depth + 1) for at in sorted(bindings, reverse=True))
    return next(filter(None, found), 0)


def _statements(made: ast.ClassDef, method: str) -> Iterator[ast.stmt]:
    """Those of a method that hold no others."""
    for function in made.body:
        if isinstance(function, ast.FunctionDef) and function.name == method:
            yield from (s for s in ast.walk(function) if isinstance(s, ast.stmt) and not hasattr(s, "body"))


def _numbers(source: Source, node: ast.AST, depth: int) -> bool:
    """It gives numbers to words, or calls a function of the file that does."""
    for inner in ast.walk(node):
        if _counts_up(inner):
            return True
        if isinstance(inner, ast.Call) and depth < _DEEPEST:
            name = last_name(inner.func)
            own = source.functions.get(name, [])
            if any(_numbers(source, s, depth + 1) for f in own for s in f.body) or (not own and name in _LIBRARIES):
                return True
    return False


def _counts_up(node: ast.AST) -> bool:
    """``ids[word] = len(ids)``, ``ids.setdefault(word, len(ids))``, ``{word: i for i, word in enumerate(words)}``."""
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
        return _is_length_of(node.targets[0].value, node.value)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "setdefault":
        return any(_is_length_of(node.func.value, a) for a in node.args[1:])
    if isinstance(node, ast.DictComp):
        counted = node.generators[0].iter
        return isinstance(counted, ast.Call) and last_name(counted.func) == "enumerate"
    return False


def _is_length_of(table: ast.expr, value: ast.expr) -> bool:
    lengths = (n for n in ast.walk(value) if isinstance(n, ast.Call) and last_name(n.func) == "len" and n.args)
    return any(ast.unparse(n.args[0]) == ast.unparse(table) for n in lengths)
