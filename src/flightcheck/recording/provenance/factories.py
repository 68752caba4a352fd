"""Functions that make something for their caller: ``return nn.Sequential(…)``, ``net = Net(); return net``."""

from __future__ import annotations

import ast

from flightcheck.recording.provenance.source import end_of, line_of, read_source


def is_handed_out(file: str, line: int) -> bool:
    """What is constructed at a line is returned by the function around it, at once or by the name that it is given."""
    try:
        source = read_source(file)
        functions = source.around(line, ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda) if source is not None else []
        if not functions:
            return False
        returned = [n.value for n in ast.walk(functions[-1]) if isinstance(n, ast.Return) and n.value is not None]
        if isinstance(functions[-1], ast.Lambda) or any(line_of(v) <= line <= end_of(v) for v in returned):
            return True
        made = [n for n in ast.walk(functions[-1]) if isinstance(n, ast.Assign) and line_of(n) <= line <= end_of(n)]
        names = {t.id for n in made for t in n.targets if isinstance(t, ast.Name)}
        return any(isinstance(v, ast.Name) and v.id in names for v in returned)
    except Exception:  # the promise of this package: odd sources have no answer, and are no error
        return False
