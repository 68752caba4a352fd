"""Which line turned the gradients off for another one."""

from __future__ import annotations

import ast
from typing import Final

from flightcheck.recording.provenance.source import last_name, line_of, read_source

_OFF: Final = {"no_grad", "inference_mode", "set_grad_enabled"}


def gradients_off(file: str, line: int) -> tuple[str, int] | None:
    """The innermost ``with torch.no_grad():`` around a line, else the decorator of a function around it; None if none.

    Args:
        file: the source file.
        line: a line that runs without gradients.
    """
    try:
        source = read_source(file)
        if source is None:
            return None
        around = source.around(line, ast.With, ast.AsyncWith, ast.FunctionDef, ast.AsyncFunctionDef)
        for node in sorted(around, key=lambda n: -line_of(n)):
            marks = [i.context_expr for i in getattr(node, "items", [])] or getattr(node, "decorator_list", [])
            off = next((m for m in marks if last_name(m.func if isinstance(m, ast.Call) else m) in _OFF), None)
            if off is not None:
                return source.path, off.lineno
        return None
    except Exception:  # the promise of this package: odd sources have no answer, and are no error
        return None
