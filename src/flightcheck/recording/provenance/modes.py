"""Functions that ask whether they run in training."""

from __future__ import annotations

import ast
from typing import Final

from flightcheck.recording.provenance.source import last_name, read_source

_WORDS: Final = ("train", "eval", "infer", "mode", "determin", "stochast", "sampl")


def asks_for_the_mode(file: str, line: int) -> bool:
    """The function around a line names something that tells training from evaluation; True if it cannot be read.

    Args:
        file: the source file.
        line: a line inside of the function.
    """
    try:
        source = read_source(file)
        around = source.around(line, ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda) if source is not None else []
        if not around:
            return True
        names = (last_name(n).lower() for n in ast.walk(around[-1]) if isinstance(n, ast.Name | ast.Attribute))
        return any(word in name for name in names for word in _WORDS)
    except Exception:  # the promise of this package: odd sources have no answer, and are no error
        return True
