"""Sums that go from the last step to the first and are kept in that order: discounted returns that nobody turned."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from flightcheck.recording.provenance.source import Source, read_source

_TURNING: Final = re.compile(
    r"\breversed\(|\[\s*::\s*-1\s*\]|, -1, -1\)|\.reverse\(|\bflip(?:ud)?\(|\.insert\(\s*0|appendleft"
    r"|reverse\s*=\s*True|\.pop\(|\[-1 - |\[[\w.()]+ - (?:1 - \w+|\w+ - 1)\]"
)


def reversed_sums(file: str) -> list[int]:
    """The lines that append such a sum to a list.

    A loop that goes backwards, in whose body a number becomes itself times a factor plus something else, and is
    appended to a list. Nothing else in the file goes backwards or turns anything round.
    """
    try:
        source = read_source(file)
        return [] if source is None else sorted(_appends(source))
    except Exception:  # the promise of this package: odd sources have no answer, and are no error
        return []


def _appends(source: Source) -> Iterator[int]:
    loops = [n for n in source.nodes if isinstance(n, ast.For) and _goes_backwards(n.iter)]
    inside = sum(len(_TURNING.findall(ast.unparse(loop.iter))) for loop in loops)
    if len(_TURNING.findall(ast.unparse(source.tree))) > inside:
        return
    for loop in loops:
        sums = {name for s in loop.body for name in _discounted(s)}
        appended = [
            c for s in loop.body for c in ast.walk(s)
            if isinstance(c, ast.Call) and isinstance(c.func, ast.Attribute) and c.func.attr == "append"
        ]  # fmt: skip
        if re.search(r"log|prob", ast.unparse(loop)):
            continue  # each log-probability is taken in the same order
        if all(len(c.args) == 1 and sums & _names(c.args[0]) for c in appended):
            yield from (c.lineno for c in appended)


def _goes_backwards(over: ast.expr) -> bool:
    """``reversed(x)`` and ``x[::-1]``, also of several lists that are no log-probabilities; ``range(n, -1, -1)``."""
    text = ast.unparse(over)
    if re.search(r"log|prob", text):
        return False
    if isinstance(over, ast.Call) and ast.unparse(over.func) == "range":
        return len(over.args) == 3 and ast.unparse(over.args[2]) == "-1"
    return bool(re.search(r"\breversed\(|\[\s*::\s*-1\s*\]", text))


def _discounted(statement: ast.stmt) -> Iterator[str]:
    """The name that a statement gives ``r + gamma * name``."""
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return
    name, value = statement.targets[0], statement.value
    if not isinstance(name, ast.Name) or not isinstance(value, ast.BinOp) or not isinstance(value.op, ast.Add):
        return
    for product in ast.walk(value):
        if isinstance(product, ast.BinOp) and isinstance(product.op, ast.Mult) and name.id in _names(product):
            yield name.id
            return


def _names(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
