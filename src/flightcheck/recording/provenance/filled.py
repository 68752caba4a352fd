"""Models whose weights a script may write itself: it asks them for their parameters."""

from __future__ import annotations

import ast

from flightcheck.recording.provenance.source import end_of, last_name, read_source

_WEIGHTS = ("parameters", "named_parameters", "state_dict")


def asked_for_weights(file: str, line: int) -> bool:
    """The name that a model gets at a line is asked for its parameters behind it: ``zip(average.parameters(), …)``.

    Args:
        file: the source file.
        line: the line that constructs the model.
    """
    try:
        source = read_source(file)
        made = [n for n in source.nodes if isinstance(n, ast.Assign)] if source else []
        names = {last_name(t) for n in made if n.lineno <= line <= end_of(n) for t in n.targets} - {""}
        asked = [n for n in source.nodes if isinstance(n, ast.Attribute)] if source else []
        return any(n.attr in _WEIGHTS and last_name(n.value) in names and n.lineno > line for n in asked)
    except Exception:  # the promise of this package: odd sources have no answer, and are no error
        return False
