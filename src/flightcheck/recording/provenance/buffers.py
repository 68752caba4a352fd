"""Where data were made: arrays that are filled element by element, floating point of bytes, what a function of the user
made.
"""

from __future__ import annotations

import ast
from typing import Final

from flightcheck.recording.provenance.callers import Callers
from flightcheck.recording.provenance.expressions import value_at
from flightcheck.recording.provenance.follower import Follower
from flightcheck.recording.provenance.source import Source, Value, last_name, line_of, read_source
from flightcheck.recording.provenance.vocabulary import INTEGERS

_LIKE: Final = ("zeros_like", "empty_like", "ones_like", "full_like", "copy", "clone")
"""Take the type of another array."""
_MADE: Final = ("zeros", "empty", "ones", "full")


def integer_buffer(file: str, line: int) -> tuple[str, int] | None:
    """Where the array was made into elements of which a line writes what it divides (``scaled[:, j] = x / top``).

    Args:
        file: the source file.
        line: the line that writes.

    Returns:
        File and line of ``np.zeros_like(x)``, ``x.copy()`` or ``np.zeros(n, dtype=int)``: arrays whose type may cut the
        fractions off. None if there is none, or if it is told to be of floating point.
    """
    try:
        source = read_source(file)
        for node in source.nodes if source else ():
            if (
                source is None
                or not isinstance(node, ast.Assign)
                or not line_of(node) <= line <= (node.end_lineno or 0)
            ):
                continue
            if any(isinstance(n, ast.BinOp) and isinstance(n.op, ast.Div) for n in ast.walk(node.value)):
                target = node.targets[0]
                while isinstance(target, ast.Subscript):
                    target = target.value
                if isinstance(target, ast.Name) and target is not node.targets[0]:
                    return _made(source, node, target.id)
        return None
    except Exception:  # the promise: odd sources have no origin, and are no error
        return None


def _made(source: Source, use: ast.AST, name: str) -> tuple[str, int] | None:
    whole = [b for b in source.bindings(source.scope(use)).get(name, []) if b.inside is None and not b.path]
    before = [b for b in whole if b.line < line_of(use)]
    made = before[-1].node if before else None
    if not isinstance(made, ast.Call):
        return None
    kind, types = last_name(made.func), [ast.unparse(k.value) for k in made.keywords if k.arg == "dtype"]
    if kind in _LIKE:
        given = len(made.args) > 1 + (kind == "full_like")
        return (source.path, line_of(made)) if not given and (not types or _whole(types[0])) else None
    if kind in _MADE:
        types += [ast.unparse(a) for a in made.args[1 + (kind == "full") :][:1]]
        return (source.path, line_of(made)) if types and _whole(types[0]) else None
    return None


def _whole(written: str) -> bool:
    return any(word in written for word in INTEGERS)


def made_float(
    file: str, line: int, name: str | None, function: str = "", callers: Callers = ()
) -> tuple[str, int] | None:
    """Where bytes (``astype(np.uint8)``) that reach a variable or expression were made floating point.

    They are bytes on purpose, as pictures are stored: what scales them stands behind.

    Returns:
        File and line; None where `provenance.value_origin` is no line that makes bytes.
    """
    try:
        value = value_at(file, line, name, function, callers)
        found = Follower(line).from_bytes(value) if value is not None else None
        return found.place if found is not None else None
    except Exception:  # the promise: odd sources have no origin, and are no error
        return None


def built_by(file: str, line: int) -> tuple[str, int] | None:
    """The call of a function or class of the user that made what a model is given at a line.

    Args:
        file: the source file.
        line: the line that calls the model.
    """
    try:
        source = read_source(file)
        calls = [c for c in source.calls if c.lineno <= line <= (c.end_lineno or 0) and c.args] if source else []
        follower = Follower(line)
        for call in calls:
            if source is None or not isinstance(call.args[0], ast.Name):
                continue
            for made in follower._definitions(Value(source, call.args[0])):
                if isinstance(made.node, ast.Call) and last_name(made.node.func) in source.functions:
                    return made.place
        return None
    except Exception:  # as above
        return None
