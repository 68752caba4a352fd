"""Loops over epochs that a number of steps ends: ``if step >= total: break``."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from flightcheck.frozen import frozen
from flightcheck.recording.provenance.loops import loops_around, number_of
from flightcheck.recording.provenance.source import last_name

_LOOPS = (ast.For, ast.AsyncFor, ast.While)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)


@frozen
class Budget:
    """Loops around a training step are left after a number of rounds: how often they would go round says nothing."""

    rounds: int | None
    """That number, where the source says it."""


def step_budget(file: str, line: int) -> Budget | None:
    """The number of rounds that ends the loops around a line, by a counter that grows by one in each of them.

    Args:
        file: the source file.
        line: a line of the training step.
    """
    try:
        around = loops_around(file, line)
        if not around:
            return None
        source, inner = around[0]
        counters = set(_counters(inner))
        for other, loop in around:
            for test in _tests_of_leaving(loop) if other is source else ():
                limit = _limit(test, counters)
                if limit is not None:
                    found = number_of(source, limit)
                    return Budget(int(found) if found is not None and found > 0 else None)
        return None
    except Exception:  # the promise of this package: odd sources have no answer, and are no error
        return None


def _counters(loop: ast.For | ast.AsyncFor) -> Iterator[str]:
    """Names that grow by one in every round of a loop."""
    always = list(loop.body)
    for node in always:
        if isinstance(node, ast.With | ast.AsyncWith):
            always += node.body
        if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add) and ast.unparse(node.value) == "1":
            yield last_name(node.target)


def _tests_of_leaving(loop: ast.For | ast.AsyncFor) -> list[ast.expr]:
    """The conditions under which a loop is left by a statement of its own."""
    found: list[ast.expr] = []

    def walk(node: ast.AST, test: ast.expr | None) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Break | ast.Return) and test is not None:
                found.append(test)
            elif not isinstance(child, (*_LOOPS, *_FUNCTIONS)):
                walk(child, child.test if isinstance(child, ast.If) else test)

    walk(loop, None)
    return found


def _limit(test: ast.expr, counters: set[str]) -> ast.expr | None:
    """What a counter is compared with: ``step >= total``, ``total == step``."""
    if not isinstance(test, ast.Compare) or len(test.ops) != 1:
        return None
    left, right = test.left, test.comparators[0]
    if isinstance(test.ops[0], ast.GtE | ast.Gt | ast.Eq) and last_name(left) in counters:
        return right
    if isinstance(test.ops[0], ast.LtE | ast.Lt | ast.Eq) and last_name(right) in counters:
        return left
    return None
