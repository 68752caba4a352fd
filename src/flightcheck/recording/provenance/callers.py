"""Which calls led to a line: of several calls of a function, the one that was made is followed, not all."""

from __future__ import annotations

import ast
from typing import TypeAlias

from flightcheck.recording.provenance.source import Construction, Source, end_of, last_name, read_source

Callers: TypeAlias = tuple[tuple[str, int], ...]
"""Files and lines of the user's calls on the stack, the innermost first, without the line itself."""


def context_of(source: Source, node: ast.AST, callers: Callers) -> dict[ast.AST, Construction]:
    """The call by which each function around a node was entered, as far as the stack tells; for a `Value`."""
    function = next((a for a in source.above(node) if isinstance(a, ast.FunctionDef | ast.AsyncFunctionDef)), None)
    if function is None or not callers:
        return {}
    file, line = callers[0]
    caller = read_source(file)
    name = function.name
    calls = [c for c in caller.calls if c.lineno <= line <= end_of(c)] if caller is not None else []
    call = next((c for c in calls if last_name(c.func) == name), None)
    if caller is None or call is None:
        return {}
    return {function: (call, caller, context_of(caller, call, callers[1:]))}
