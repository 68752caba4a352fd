"""Statements that decide who learns: what freezes parameters, what keeps an optimizer from its step."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from flightcheck.recording.provenance.source import constant_of, end_of, last_name, line_of, read_source

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)


def freezing(file: str, line: int) -> tuple[str, int] | None:
    """The nearest line before this one that freezes: ``p.requires_grad = False`` or ``requires_grad_(False)``.

    Args:
        file: the source file.
        line: of the optimizer's construction.
    """
    try:
        source = read_source(file)
        found = [line_of(n) for n in source.nodes if _freezes(n)] if source else []
        return (file, max(n for n in found if n < line)) if any(n < line for n in found) else None
    except Exception:  # the promise of this package: odd sources have no origin, and are no error
        return None


def _freezes(node: ast.AST) -> bool:
    if isinstance(node, ast.Assign):
        targets = [t for t in node.targets if isinstance(t, ast.Attribute) and t.attr == "requires_grad"]
        return bool(targets) and constant_of(node.value) is False
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "requires_grad_":
        return any(constant_of(value) is False for value in (*node.args, *(k.value for k in node.keywords)))
    return False


def skipped_step(file: str, line: int) -> tuple[str, int] | None:
    """The condition under which an optimizer would step, in the function of a backward after which it never did.

    Args:
        file: the source file.
        line: of ``loss.backward()``.

    Returns:
        File and line of the ``if`` around the only ``step()`` there; None if a step stands under no condition, or there
        is none, or there are several.
    """
    try:
        source = read_source(file)
        around = [n for n in source.nodes if isinstance(n, _FUNCTIONS[:2])] if source else []
        around = [n for n in around if n.lineno <= line <= end_of(n)]
        scope = max(around, key=lambda n: n.lineno) if around else source.tree if source else None
        found = list(_steps(scope, None)) if scope is not None else []
        if len(found) != 1 or found[0] is None:
            return None
        return file, found[0].lineno
    except Exception:  # as above
        return None


def _steps(node: ast.AST, condition: ast.If | None) -> Iterator[ast.If | None]:
    """The innermost condition of each call of an optimizer's ``step`` in a scope."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, _FUNCTIONS):
            continue
        if isinstance(child, ast.Call) and isinstance(child.func, ast.Attribute) and child.func.attr == "step":
            name = last_name(child.func.value).lower()
            if not any(word in name for word in ("sched", "lr", "env", "prof", "warm")):
                yield condition
        yield from _steps(child, child if isinstance(child, ast.If) else condition)


def flag_writes(file: str, attribute: str) -> list[int]:
    """The lines that set an attribute of this name to False, of anything but a method's own object."""
    try:
        source = read_source(file)
        return [
            line_of(n)
            for n in (source.nodes if source else ())
            if isinstance(n, ast.Assign) and constant_of(n.value) is False
            for t in n.targets
            if isinstance(t, ast.Attribute) and t.attr == attribute and last_name(t.value) not in ("self", "cls")
        ]
    except Exception:  # as above
        return []


def rebound_parameters(file: str) -> list[tuple[str, int]]:
    """Names and lines of statements that give the variable of a loop over parameters another value: ``p = p - lr * g``.

    The parameter itself stays as it is.
    """
    try:
        source = read_source(file)
        found = []
        for loop in source.nodes if source else ():
            if isinstance(loop, ast.For) and _over_parameters(loop.iter):
                names = {n.id for n in ast.walk(loop.target) if isinstance(n, ast.Name)}
                for node in ast.walk(loop):
                    target = node.targets[0] if isinstance(node, ast.Assign) and len(node.targets) == 1 else None
                    if isinstance(target, ast.Name) and target.id in names and _computes_from(node, target.id):
                        found.append((target.id, line_of(node)))
        return found
    except Exception:  # as above
        return []


def _over_parameters(iterated: ast.expr) -> bool:
    calls = [n for n in ast.walk(iterated) if isinstance(n, ast.Call)]
    return any(last_name(c.func) in ("parameters", "named_parameters") for c in calls)


def _computes_from(assigned: ast.AST, name: str) -> bool:
    """``p - lr * p.grad``, ``p - 0.1 * g``: a difference or sum that begins with the parameter."""
    value = getattr(assigned, "value", None)
    if not isinstance(value, ast.BinOp) or not isinstance(value.op, ast.Sub | ast.Add):
        return False
    left = value.left.value if isinstance(value.left, ast.Attribute) and value.left.attr == "data" else value.left
    return isinstance(left, ast.Name) and left.id == name
