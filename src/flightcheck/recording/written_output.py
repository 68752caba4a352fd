"""What a script will print, as far as its text tells: lines with a number in the place of each value."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

_TELLING: Final = {"print", "info", "write", "log", "debug"}
_FORMATS: Final = re.compile(r"%[-+ #0]*\d*(?:\.\d+)?[diefgEG]|\{[^{}]*\}")
_NUMBER: Final = " 0.5 "


def written_lines(source: str) -> list[str]:
    """The lines that the calls of ``print`` and of loggers in a source write; none for what is no Python.

    Each value is the number 0.5, whatever it is: names of numbers stand before it.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return []
    calls = (n for n in ast.walk(tree) if isinstance(n, ast.Call) and _name(n) in _TELLING)
    return [" ".join(_parts(call)) for call in calls]


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
