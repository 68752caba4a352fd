"""The statement that gives words their numbers, on the way back from a line that uses these numbers."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from flightcheck.recording.provenance.source import Source, last_name, line_of, read_source

_DEEPEST: Final = 4
_LIBRARIES: Final = {"fit_on_texts", "build_vocab_from_iterator"}
"""Functions of libraries that number what they are given."""
_MOST: Final = 200
"""Bindings that are looked at."""


@lru_cache(maxsize=256)
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
        if statement is None:
            return None
        # A table by `enumerate` may be one of labels: what counts up is asked for first.
        found = next(filter(None, (_Search(source, sure).line(statement, line) for sure in (True, False))), 0)
        return (file, found) if found else None
    except Exception:  # the promise of this package: odd sources have no answer, and are no error
        return None


class _Search:
    """Back from a line over what it uses."""

    def __init__(self, source: Source, sure: bool) -> None:
        self._source, self._sure = source, sure
        self._seen: set[ast.AST] = set()
        self._functions: dict[str, bool] = {}
        """Do the functions of this name number words? Not while that is asked: they call each other."""

    def line(self, node: ast.AST, before: int, depth: int = 0) -> int:
        """That of the statement which numbers words, 0 if none is found."""
        if node in self._seen or len(self._seen) >= _MOST:
            return 0
        self._seen.add(node)
        source = self._source
        for call in (n for n in ast.walk(node) if isinstance(n, ast.Call)):
            if (made := source.classes.get(last_name(call.func))) is not None:
                own = next((s for s in _statements(made, "__init__") if self._numbers(s)), None)
                if own is not None:
                    return line_of(own)
            elif self._numbers(call):
                return line_of(call)
        if depth >= _DEEPEST:
            return 0
        names = [n for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)]
        bindings = {b.line: b for n in names for b in source.bindings(source.scope(n)).get(n.id, []) if b.line < before}
        found = (self.line(bindings[at].node, at, depth + 1) for at in sorted(bindings, reverse=True))
        return next(filter(None, found), 0)

    def _numbers(self, node: ast.AST) -> bool:
        """It gives numbers to words, or calls a function of the file that does."""
        return any(
            _counts_up(n)
            or (not self._sure and _enumerates(n))
            or (isinstance(n, ast.Call) and self._is_numbering(last_name(n.func)))
            for n in ast.walk(node)
        )

    def _is_numbering(self, name: str) -> bool:
        if name not in self._functions:
            own = self._source.functions.get(name, [])
            self._functions[name] = not own and name in _LIBRARIES
            self._functions[name] |= any(self._numbers(s) for f in own for s in f.body)
        return self._functions[name]


def _statements(made: ast.ClassDef, method: str) -> Iterator[ast.stmt]:
    """Those of a method that hold no others."""
    for function in made.body:
        if isinstance(function, ast.FunctionDef) and function.name == method:
            yield from (s for s in ast.walk(function) if isinstance(s, ast.stmt) and not hasattr(s, "body"))


def _counts_up(node: ast.AST) -> bool:
    """``ids[word] = len(ids)``, ``ids.setdefault(word, len(ids))``."""
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
        return _is_length_of(node.targets[0].value, node.value)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "setdefault":
        return any(_is_length_of(node.func.value, a) for a in node.args[1:])
    return False


def _enumerates(node: ast.AST) -> bool:
    """``{word: i for i, word in enumerate(words)}``."""
    counted = node.generators[0].iter if isinstance(node, ast.DictComp) else None
    return isinstance(counted, ast.Call) and last_name(counted.func) == "enumerate"


def _is_length_of(table: ast.expr, value: ast.expr) -> bool:
    lengths = (n for n in ast.walk(value) if isinstance(n, ast.Call) and last_name(n.func) == "len" and n.args)
    return any(ast.unparse(n.args[0]) == ast.unparse(table) for n in lengths)
