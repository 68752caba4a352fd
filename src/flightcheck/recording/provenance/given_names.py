"""What the functions were given in which a line stands: ``accuracy(model, X_test)`` names what ``x`` inside is."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from flightcheck.recording.provenance.source import end_of, last_name, read_source

_MOST: Final = 3


def given_names(chain: Sequence[tuple[str, int]]) -> list[str]:
    """The arguments of the calls that led to a line, as they are written, the innermost first.

    Args:
        chain: file and line of the user's lines on the stack, the innermost first.

    Returns:
        At most three; none for a call that is not found by the name of its function.
    """
    try:
        found: list[str] = []
        for (file, line), (caller, at) in pairwise(chain):
            source, above = read_source(file), read_source(caller)
            around = source.around(line, ast.FunctionDef) if source is not None else []
            if not around or above is None or len(found) == _MOST:
                break
            name = around[-1].name
            calls = [c for c in above.calls if last_name(c.func) == name and c.lineno <= at <= end_of(c)]
            if len(calls) == 1:
                given = [*calls[0].args, *(k.value for k in calls[0].keywords)]
                found.append(", ".join(map(ast.unparse, given)))
        return found
    except Exception:  # the promise of this package: odd sources have no answer, and are no error
        return []
