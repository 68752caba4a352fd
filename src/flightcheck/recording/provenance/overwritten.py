"""Names that a loop assigns anew in each round, so that only the last value is left."""

from __future__ import annotations

import ast
from functools import lru_cache

from flightcheck.recording.provenance.source import end_of, read_source

_LOOPS = (ast.For, ast.AsyncFor, ast.While)
_ENDS = (*_LOOPS, ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)


@lru_cache(maxsize=64)
def overwritten_in_loop(file: str, line: int) -> str:
    """The name that the statement at a line assigns, without its old value, in a loop of its own function.

    Returns:
        Empty where the statement is no such assignment, or stands in no loop.
    """
    try:
        source = read_source(file)
        if source is None:
            return ""
        nodes = source.around(line, ast.stmt)
        statement = max(nodes, key=lambda n: (n.lineno, -end_of(n)), default=None)
        around = max((n for n in nodes if isinstance(n, _ENDS)), key=lambda n: (n.lineno, -end_of(n)), default=None)
        if not isinstance(statement, ast.Assign) or not isinstance(around, _LOOPS) or len(statement.targets) != 1:
            return ""
        target = statement.targets[0]
        if not isinstance(target, ast.Name):
            return ""
        names = {n.id for n in ast.walk(statement.value) if isinstance(n, ast.Name)}
        return "" if target.id in names else target.id
    except Exception:  # a line that cannot be followed is no fault
        return ""
