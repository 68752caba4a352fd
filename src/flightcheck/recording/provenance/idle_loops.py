"""A loop over the starts of batches that picks the same rows in each of its rounds."""

from __future__ import annotations

import ast
from typing import Final

from flightcheck.frozen import frozen
from flightcheck.recording.provenance.loops import loops_around
from flightcheck.recording.provenance.source import constant_of, last_name, line_of, read_source

_WRAPPERS: Final = ("tqdm", "track", "progress_bar", "notebook_tqdm")
_TELLING: Final = ("print", "info", "debug", "write", "set_description", "set_postfix", "log")
"""Calls that only tell how far the loop is."""
_OF_STARTS: Final = 3
"""Arguments of a ``range`` that counts in steps."""


@frozen
class IdleBatchLoop:
    """``for start in range(0, n, size)`` around a training step that does not use ``start``."""

    line: int
    variable: str
    size: str
    """The step of the range, as it is written."""
    cuts: tuple[int, ...]
    """Lines in it that take the first rows of something: ``x[:size]``."""


def idle_batch_loop(file: str, line: int) -> IdleBatchLoop | None:
    """The innermost loop around a line, if it counts the starts of batches and nothing in it uses the count.

    Args:
        file: the source file.
        line: a line of the training step.
    """
    try:
        loop = next((found for _, found in loops_around(file, line)), None)
        if not isinstance(loop, ast.For) or not isinstance(loop.target, ast.Name) or read_source(file) is None:
            return None
        iterated: ast.AST = loop.iter
        while isinstance(iterated, ast.Call) and last_name(iterated.func) in _WRAPPERS and iterated.args:
            iterated = iterated.args[0]
        if not isinstance(iterated, ast.Call) or last_name(iterated.func) not in ("range", "trange", "arange"):
            return None
        if len(iterated.args) != _OF_STARTS or constant_of(iterated.args[2]) == 1:
            return None
        name = loop.target.id
        if any(_uses(s, name) for s in loop.body):
            return None
        cuts = {line_of(n) for s in loop.body for n in ast.walk(s) if takes_first_rows(n)}
        return IdleBatchLoop(line_of(loop), name, ast.unparse(iterated.args[2]), tuple(sorted(cuts)))
    except Exception:  # the promise of this package: odd sources have no answer, and are no error
        return None


def takes_first_rows(node: ast.AST) -> bool:
    """``x[:n]`` or ``x[0:n]``, where it is read."""
    if not isinstance(node, ast.Subscript) or not isinstance(node.ctx, ast.Load):
        return False
    cut = node.slice
    return (
        isinstance(cut, ast.Slice)
        and cut.upper is not None
        and cut.step is None
        and (cut.lower is None or constant_of(cut.lower) == 0)
    )


def _uses(node: ast.AST, name: str) -> bool:
    """The value of the name may decide what is computed: not only when something is printed, and what."""
    if isinstance(node, ast.Name):
        return node.id == name
    if isinstance(node, ast.If):
        return any(_uses(n, name) for n in (*node.body, *node.orelse))
    if isinstance(node, ast.Call) and last_name(node.func) in _TELLING:
        return False
    return any(_uses(n, name) for n in ast.iter_child_nodes(node))
