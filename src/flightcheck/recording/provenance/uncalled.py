"""Methods that a statement names and does not call: ``model.eval`` in the place of ``model.eval()``."""

from __future__ import annotations

import ast
from typing import Final

from flightcheck.recording.provenance.source import line_of, read_source

METHODS: Final = {"eval", "train", "zero_grad", "step", "backward"}
"""A statement that names one of these and nothing else does nothing; calling it would."""


def uncalled(file: str) -> list[tuple[str, int]]:
    """The names and lines of such statements of a file, in their order."""
    try:
        source = read_source(file)
        if source is None:
            return []
        found = [n.value for n in source.nodes if isinstance(n, ast.Expr) and isinstance(n.value, ast.Attribute)]
        return sorted(((a.attr, line_of(a)) for a in found if a.attr in METHODS), key=lambda f: f[1])
    except Exception:  # the promise of this package: odd sources have no answer, and are no error
        return []
