"""Optimizers and schedulers that a script builds and never steps."""

from __future__ import annotations

import ast
from collections.abc import Collection
from typing import Final

from flightcheck.recording.provenance.source import Source, end_of, last_name, read_source

_STEPPING: Final = {"step", "step_update", "lr_scheduler_step", "scheduler_step"}


def never_stepped(file: str, line: int) -> bool:
    """The name that an optimizer gets at a line is used for nothing else in its file than to clear gradients.

    Args:
        file: the source file.
        line: the line that constructs the optimizer.
    """
    try:
        source = read_source(file)
        made = [n for n in source.nodes if isinstance(n, ast.Assign)] if source else []
        made = [n for n in made if n.lineno <= line <= end_of(n) and isinstance(n.value, ast.Call)]
        if source is None or len(made) != 1 or len(made[0].targets) != 1:
            return False
        target = made[0].targets[0]
        if not isinstance(target, ast.Name | ast.Attribute):
            return False
        return all(_clears(source, n) for n in _uses(source, last_name(target)) if n is not target)
    except Exception:  # the promise of this package: odd sources have no answer, and are no error
        return False


def steps_later(file: str, line: int) -> bool:
    """The optimizer that is constructed at a line steps from some round on: ``if epoch >= warm_up: optimizer.step()``.

    Args:
        file: the source file.
        line: the line that constructs the optimizer.
    """
    try:
        source = read_source(file)
        made = [n for n in source.nodes if isinstance(n, ast.Assign)] if source else []
        names = {last_name(t) for n in made if n.lineno <= line <= end_of(n) for t in n.targets} - {""}
        return source is not None and any(
            _waits(source, n) for name in names for n in _uses(source, name) if _is_step(source, n)
        )
    except Exception:  # as above
        return False


def steps_elsewhere(file: str, lines: Collection[int]) -> bool:
    """Something is stepped at another line of a file than these (``for s in schedulers: s.step()``), or may be by a
    library: where these lines name no step, a framework makes those of the optimizers.

    Args:
        file: the source file.
        lines: those at which optimizers step.
    """
    try:
        source = read_source(file)
        calls = [n for n in source.nodes if isinstance(n, ast.Call)] if source else []
        steps = [range(n.lineno, end_of(n) + 1) for n in calls if last_name(n.func) in _STEPPING]
        elsewhere = any(not set(at).intersection(lines) for at in steps)
        return source is None or elsewhere or not all(any(k in at for at in steps) for k in lines)
    except Exception:  # as above
        return True


def _is_step(source: Source, node: ast.AST) -> bool:
    """It is the object of a call of ``step``."""
    method = source.parents.get(node)
    return isinstance(method, ast.Attribute) and method.attr == "step" and method.value is node


def _waits(source: Source, node: ast.AST) -> bool:
    """A condition around a node asks whether the variable of a loop, or a counter, is large enough."""
    above = list(source.above(node))
    loops = [a for a in above if isinstance(a, ast.For | ast.AsyncFor)]
    counters = {last_name(n) for loop in loops for n in ast.walk(loop.target)}
    counters |= {last_name(n.target) for n in source.nodes if isinstance(n, ast.AugAssign)}
    for test in (a.test for a in above if isinstance(a, ast.If)):
        for compared in (n for n in ast.walk(test) if isinstance(n, ast.Compare) and len(n.ops) == 1):
            left, right = last_name(compared.left), last_name(compared.comparators[0])
            larger = left if isinstance(compared.ops[0], ast.Gt | ast.GtE) else ""
            smaller = right if isinstance(compared.ops[0], ast.Lt | ast.LtE) else ""
            if {larger, smaller} & (counters - {""}):
                return True
    return False


def _uses(source: Source, name: str) -> list[ast.AST]:
    nodes = (n for n in source.nodes if isinstance(n, ast.Name | ast.Attribute))
    return [n for n in nodes if last_name(n) == name]


def _clears(source: Source, node: ast.AST) -> bool:
    """It is the object of ``zero_grad`` or, without a call, of ``step``."""
    method = source.parents.get(node)
    if not isinstance(method, ast.Attribute) or method.value is not node:
        return False
    called = isinstance(source.parents.get(method), ast.Call)
    return method.attr == "zero_grad" or (method.attr == "step" and not called)
