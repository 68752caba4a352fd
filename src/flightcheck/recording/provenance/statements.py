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
        found = [line_of(n) for n in ast.walk(source.tree) if _freezes(n)] if source else []
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
        around = [n for n in ast.walk(source.tree) if isinstance(n, _FUNCTIONS[:2])] if source else []
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
