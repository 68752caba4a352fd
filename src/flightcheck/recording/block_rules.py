"""Rules for statements that hold others: loops and the tests of an ``if``."""

from __future__ import annotations

import ast
import copy
import re
from typing import Final, TypeAlias

from flightcheck.recording.provenance.idle_loops import takes_first_rows
from flightcheck.recording.provenance.rounds import range_of
from flightcheck.recording.separating import HELPER

Change: TypeAlias = "tuple[ast.stmt | ast.expr, str]"
"""A part of the source, and what stands in its place."""
_LONGER: Final = re.compile(r"longer@(\d+)")
_CLEARED: Final = re.compile(r"cleared@([A-Za-z_]\w*)")
_TURNED: Final = {ast.Lt: ">", ast.LtE: ">=", ast.Gt: "<", ast.GtE: "<="}


def is_of_blocks(rule: str) -> bool:
    """The rule is one of these: ``begin``, ``turned``, ``longer@8``, ``cleared@total``."""
    return rule in ("begin", "turned") or any(r.fullmatch(rule) for r in (_LONGER, _CLEARED))


def changed(statement: ast.stmt, rule: str, line: int) -> list[Change] | None:
    """What a rule changes in the statement that stands at a line; None where it is another one."""
    if isinstance(statement, ast.If):
        return _other_order(statement.test) if rule == "turned" and statement.test.lineno == line else None
    cleared = _CLEARED.fullmatch(rule)
    if cleared is not None and isinstance(statement, ast.For | ast.While) and statement.lineno == line:
        return _cleared(statement, cleared[1])
    if not isinstance(statement, ast.For) or statement.lineno != line:
        return None
    if rule == "begin":
        return _beginnings(statement)
    longer = _LONGER.fullmatch(rule)
    return _longer(statement, int(longer[1])) if longer is not None else None


def _longer(loop: ast.For, times: int) -> list[Change]:
    """The ``range`` of a loop with so many times its rounds."""
    call = range_of(loop)
    if call is None or call.keywords:
        return []
    name, bounds = ast.unparse(call.func), [ast.unparse(a) for a in call.args]
    if len(bounds) == 1:
        return [(call, f"{name}({times} * {_factor(bounds[0])})")]
    first, last = map(_factor, bounds)
    return [(call, f"{name}({first}, {first} + {times} * ({last} - {first}))")]


def _cleared(loop: ast.For | ast.While, name: str) -> list[Change]:
    """Each round of a loop begins with ``name = 0``."""
    if isinstance(loop, ast.While):
        return [(loop.test, f"({ast.unparse(loop.test)}) and [{name} := 0]")]
    rounds, target = ast.unparse(loop.iter), ast.unparse(loop.target)
    return [(loop.iter, f"((_round, 0) for _round in {rounds})"), (loop.target, f"({target}), {name}")]  # from behind


def _factor(expression: str) -> str:
    return expression if re.fullmatch(r"[\w.]+", expression) else f"({expression})"


def _beginnings(loop: ast.For) -> list[Change]:
    """The statements of a loop that take the first rows of something, with rows from the loop's variable on."""
    if not isinstance(loop.target, ast.Name):
        return []
    name = loop.target.id
    simple = [s for s in ast.walk(loop) if isinstance(s, ast.stmt) and not hasattr(s, "body")]
    found = [(s, _begin(copy.deepcopy(s), s, name)) for s in simple]
    return [(s, text) for s, text in found if text and "\n" not in text]


def _begin(statement: ast.stmt, chosen: ast.stmt, variable: str) -> str:
    """``x[:size]`` becomes ``x[start:start + size]``, with the variable of the loop around it."""
    found = False
    for node in ast.walk(statement):
        if takes_first_rows(node) and isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice):
            start, cut = ast.Name(variable, ast.Load()), node.slice
            assert cut.upper is not None
            cut.lower, cut.upper = start, ast.BinOp(start, ast.Add(), cut.upper)
            found = True
    return ast.unparse(ast.fix_missing_locations(statement)) if found else ""


def _other_order(test: ast.expr) -> list[Change]:
    found = [n for n in ast.walk(test) if isinstance(n, ast.Compare) and any(type(o) in _TURNED for o in n.ops)]
    if len(found) != 1 or len(found[0].ops) != 1:
        return []
    sides = f"{ast.unparse(found[0].left)}, {ast.unparse(found[0].comparators[0])}"
    return [(found[0], f"{HELPER}.turned({sides}, {_TURNED[type(found[0].ops[0])]!r})")]
