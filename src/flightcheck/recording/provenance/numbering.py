"""The statement that gives classes their numbers: ``encoder.fit_transform(names)``, ``pd.factorize(names)`` …"""

from __future__ import annotations

import ast
from typing import Final

from flightcheck.recording.provenance.source import end_of, last_name, line_of, read_source

_NUMBERING: Final = {"fit_transform", "factorize", "fit", "fromkeys"}
"""``classes = list(dict.fromkeys(names))`` gives numbers by the order of the first appearance."""


def numbering_line(file: str, line: int) -> tuple[str, int] | None:
    """The first statement, in the function around a line or at the top of the file, that numbers what it is given.

    Args:
        file: the source file.
        line: a line of the code that makes a target.
    """
    try:
        source = read_source(file)
        if source is None:
            return None
        around = [
            n
            for n in source.nodes
            if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef) and n.lineno <= line <= end_of(n)
        ]
        inner: ast.AST = max(around, key=lambda n: n.lineno, default=source.tree)
        lines = [line_of(n) for n in ast.walk(inner) if isinstance(n, ast.Call) and _numbers(n)]
        return (file, min(lines)) if lines else None
    except Exception:  # the promise of this package: odd sources have no answer, and are no error
        return None


def _numbers(call: ast.Call) -> bool:
    name = last_name(call.func)
    inverse = name == "unique" and any(k.arg == "return_inverse" for k in call.keywords)
    counted = name == "enumerate" and any(
        isinstance(n, ast.Call) and last_name(n.func) in ("set", "unique") for a in call.args for n in ast.walk(a)
    )
    looked_up = name == "index" and isinstance(call.func, ast.Attribute) and len(call.args) == 1
    return name in _NUMBERING or inverse or counted or looked_up
