"""Functions that number what they are given anew in each call, and are called for more than one set of data."""

from __future__ import annotations

import ast

from flightcheck.recording.numbering import numbers_anew
from flightcheck.recording.provenance.source import last_name, line_of, read_source


def numbered_in_each_call(file: str) -> tuple[str, int] | None:
    """The line that numbers, where the file has one such function and calls it at several places.

    A call that is given what an earlier one returned (``encode(test, vocabulary)``) has these numbers; so functions are
    left out of which a call has more arguments than another.
    """
    try:
        source = read_source(file)
        found = []
        for several in source.functions.values() if source is not None else ():
            for function in (f for f in several if isinstance(f, ast.FunctionDef)):
                made = numbers_anew(function)
                calls = [c for c in source.calls if last_name(c.func) == function.name] if source is not None else []
                given = {len(c.args) + len(c.keywords) for c in calls}
                if made is not None and len(calls) > 1 and len(given) == 1:
                    found.append(line_of(made))
        return (file, found[0]) if len(found) == 1 else None
    except Exception:  # the promise of this package: odd sources have no answer, and are no error
        return None
