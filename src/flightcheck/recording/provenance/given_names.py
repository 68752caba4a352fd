"""What the functions were given in which a line stands: ``accuracy(model, X_test)`` names what ``x`` inside is."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from flightcheck.recording.provenance.source import end_of, last_name, read_source

_MOST: Final = 3


def given_names(chain: Sequence[tuple[str, int]]) -> list[str]:
    """What a line uses of the arguments of the calls that led to it, as these are written, the innermost first.

    Args:
        chain: file and line of the user's lines on the stack, the innermost first.

    Returns:
        At most three; none for a call that is not found by the name of its function.
    """
    try:
        found: list[str] = []
        used: set[str] | None = None
        for (file, line), (caller, at) in pairwise(chain):
            source, above = read_source(file), read_source(caller)
            around = source.around(line, ast.FunctionDef) if source is not None else []
            if source is None or above is None or not around or len(found) == _MOST:
                break
            function = around[-1]
            calls = [c for c in above.calls if last_name(c.func) == function.name and c.lineno <= at <= end_of(c)]
            if len(calls) != 1:
                break
            if used is None:
                used = {n for s in source.around(line, ast.stmt)[-1:] for n in _names(s)}
            given = _given(function, calls[0], used)
            found.append(", ".join(map(ast.unparse, given)))
            used = {n for a in given for n in _names(a)}
        return found
    except Exception:  # the promise of this package: odd sources have no answer, and are no error
        return []


def _given(function: ast.FunctionDef, call: ast.Call, used: set[str]) -> list[ast.expr]:
    """The arguments for those parameters that are used."""
    parameters = [a.arg for a in function.args.args]
    if parameters[:1] in (["self"], ["cls"]):
        parameters = parameters[1:]
    by_place = [a for name, a in zip(parameters, call.args) if name in used]
    return [*by_place, *(k.value for k in call.keywords if k.arg in used)]


def _names(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
