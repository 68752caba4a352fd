"""What a script will print, as far as its text tells: lines with a number in the place of each value."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from flightcheck.recording.printed import direction, numbers_in

_TELLING: Final = {"print", "info", "write", "log", "debug"}
_FORMATS: Final = re.compile(r"%[-+ #0]*\d*(?:\.\d+)?[diefgEG]|\{[^{}]*\}")
_NUMBER: Final = " 0.5 "
_DOUBTFUL: Final = {"r", "f", "em", "ap", "map", "hit", "hits", "right", "found", "score", "won", "ce"}
"""Words that are names of other things in code: of functions, of loop variables."""


def written_lines(source: str) -> list[str]:
    """The lines that the calls of ``print`` and of loggers in a source write; none for what is no Python.

    Each value is the number 0.5, whatever it is: names of numbers stand before it.
    """
    return [" ".join(_parts(call)) for call in _telling_calls(source)]


def _telling_calls(source: str) -> list[ast.Call]:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return []
    return [n for n in ast.walk(tree) if isinstance(n, ast.Call) and _name(n) in _TELLING]


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _parts(call: ast.Call) -> Iterator[str]:
    for given in call.args:
        texts = [n.value for n in ast.walk(given) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
        if isinstance(given, ast.JoinedStr):
            yield "".join(str(v.value) if isinstance(v, ast.Constant) else _NUMBER for v in given.values)
        elif texts and not isinstance(given, ast.Subscript):  # a format, alone or with its values
            yield _FORMATS.sub(_NUMBER, texts[0])
        else:
            yield _NUMBER


def words_at(source: str, line: int) -> dict[str, str]:
    """Words for the numbers that the call at this line prints, of what it gives: ``{"test": "accuracy"}``.

    For ``print(f"test {accuracy(p, y)}")``. A number has none where no word of its expression tells which way is
    better, where several disagree, and where something is subtracted: ``1 - acc`` is an error.

    Args:
        source: of the whole file.
        line: any line of the call.
    """
    calls = [c for c in _telling_calls(source) if c.lineno <= line <= (c.end_lineno or 0)]
    if not calls:
        return {}
    values: list[ast.expr] = []
    text = " ".join(_marked(given, values) for given in max(calls, key=lambda c: c.lineno).args)
    numbers = [(name, int(mark)) for name, mark in numbers_in(text)]
    return {name: word for name, i in numbers if i < len(values) and (word := _telling_word(values[i]))}


def _telling_word(value: ast.expr) -> str:
    for node in ast.walk(value):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub):
            return ""
        if (
            isinstance(node, ast.UnaryOp)
            and isinstance(node.op, ast.USub)
            and not isinstance(node.operand, ast.Constant)
        ):
            return ""
    words = [w for w in re.findall(r"[a-z]+", ast.unparse(value).lower()) if w not in _DOUBTFUL and direction(w)]
    return words[0] if len({direction(w) for w in words}) == 1 else ""


def _marked(given: ast.expr, values: list[ast.expr]) -> str:
    """The text of an argument, with the number of each value in its place."""

    def mark(value: ast.expr) -> str:
        values.append(value)
        return f" {len(values) - 1}.5 "

    if isinstance(given, ast.JoinedStr):
        parts = (v.value if isinstance(v, (ast.Constant, ast.FormattedValue)) else v for v in given.values)
        return "".join(mark(p) if isinstance(p, ast.expr) else str(p) for p in parts)
    if isinstance(given, ast.Constant) and isinstance(given.value, str):
        return given.value
    form, filled = _format(given)
    waiting = iter(filled)
    return _FORMATS.sub(lambda m: mark(next(waiting, ast.Constant(0))), form) if form else mark(given)


def _format(given: ast.expr) -> tuple[str, list[ast.expr]]:
    """A format and what fills it: ``"acc %.2f" % acc``, ``"acc {:.2f}".format(acc)``; empty for anything else."""
    if isinstance(given, ast.BinOp) and isinstance(given.op, ast.Mod) and isinstance(given.left, ast.Constant):
        held = given.right
        return str(given.left.value), list(held.elts) if isinstance(held, ast.Tuple) else [held]
    owner = given.func.value if isinstance(given, ast.Call) and isinstance(given.func, ast.Attribute) else None
    if (
        isinstance(given, ast.Call)
        and isinstance(owner, ast.Constant)
        and _name(given) == "format"
        and not given.keywords
    ):
        return str(owner.value), list(given.args)
    return "", []
