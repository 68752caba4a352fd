"""The loop that decides how long a training is, and the number that says how often it goes round."""

from __future__ import annotations

import ast

from flightcheck.frozen import frozen
from flightcheck.recording.provenance.follower import Follower
from flightcheck.recording.provenance.loops import loops_around, over_epochs, rounds_of
from flightcheck.recording.provenance.source import Source, Value, last_name

_MOST_BOUNDS = 2
"""Of a ``range``: one with a step goes over the rows of data."""


@frozen
class Rounds:
    """A loop over epochs, or the only one over steps: places are file and line."""

    loop: tuple[str, int]
    number: tuple[str, int]
    """Where its count is written: a constant, an option's default, an entry of a dictionary."""
    count: int


def rounds(file: str, line: int) -> Rounds | None:
    """The loop around a line of the training step that goes over epochs, with a ``range`` that counts them.

    Where the only loop goes over steps it is that one. None where none counts, or what is counted depends on the data.
    """
    try:
        around = loops_around(file, line)
        counted = [(loop, rounds_of(source, loop)) for source, loop in around]
        found = over_epochs(counted) or (counted[0] if len(counted) == 1 else None)
        if found is None or found[1] is None:
            return None
        loop, count = found[0], int(found[1])
        source = next(s for s, other in around if other is loop)
        call = range_of(loop)
        return Rounds((source.path, loop.lineno), _written(source, call), count) if call is not None else None
    except Exception:  # the promise: odd sources have no such loop, and are no error
        return None


def range_of(loop: ast.For | ast.AsyncFor) -> ast.Call | None:
    """The ``range(n)`` or ``range(first, n)`` that a loop goes over, in wrappers or not."""
    calls = [n for n in ast.walk(loop.iter) if isinstance(n, ast.Call) and last_name(n.func) in ("range", "trange")]
    usable = [c for c in calls if 1 <= len(c.args) <= _MOST_BOUNDS]
    return usable[0] if len(calls) == len(usable) == 1 else None


def _written(source: Source, call: ast.Call) -> tuple[str, int]:
    literal = Follower(call.lineno).literal(Value(source, call.args[-1]))
    return literal.place if literal is not None else (source.path, call.lineno)
