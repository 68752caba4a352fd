"""Layers that turn the gradient round: what is in front of them works against what is behind."""

from __future__ import annotations

import ast
from functools import lru_cache

from flightcheck.recording.provenance.source import last_name, read_source


@lru_cache(maxsize=64)
def reverses_gradients(file: str) -> bool:
    """A function of the file's own hands back the negative of its gradient, or a hook on a tensor does.

    Args:
        file: a source file.
    """
    try:
        source = read_source(file)
        if source is None:
            return False
        functions = [c for c in source.classes.values() if any(last_name(b) == "Function" for b in c.bases)]
        backwards = [m for c in functions for m in c.body if isinstance(m, ast.FunctionDef) and m.name == "backward"]
        hooks = [
            a for c in source.calls if last_name(c.func) == "register_hook" for a in c.args if isinstance(a, ast.Lambda)
        ]
        return any(map(_turns, backwards)) or any(_is_negative(h.body, {a.arg for a in h.args.args}) for h in hooks)
    except Exception:  # the promise of this package: odd sources have no answer, and are no error
        return False


def _turns(backward: ast.FunctionDef) -> bool:
    """It returns, first of all, its second argument times something negative."""
    given = {a.arg for a in backward.args.args[1:]}
    given |= {backward.args.vararg.arg} if backward.args.vararg is not None else set()
    for node in ast.walk(backward):
        if isinstance(node, ast.Assign) and _is_negative(node.value, given):
            given |= {f"-{t.id}" for t in node.targets if isinstance(t, ast.Name)}
    returned = [n.value for n in ast.walk(backward) if isinstance(n, ast.Return) and n.value is not None]
    firsts = [r.elts[0] if isinstance(r, ast.Tuple) and r.elts else r for r in returned]
    return any(_is_negative(f, given) or (isinstance(f, ast.Name) and f"-{f.id}" in given) for f in firsts)


def _is_negative(value: ast.AST, names: set[str]) -> bool:
    """A product with one minus, or ``neg``, of one of these names and nothing else that holds a tensor's operations."""
    held = {n.id for n in ast.walk(value) if isinstance(n, ast.Name)}
    minuses = sum(isinstance(n, ast.UnaryOp) and isinstance(n.op, ast.USub) for n in ast.walk(value))
    minuses += sum(isinstance(n, ast.Call) and last_name(n.func) in ("neg", "neg_") for n in ast.walk(value))
    products = all(
        isinstance(n.op, ast.Mult) for n in ast.walk(value) if isinstance(n, ast.BinOp)
    )  # sums and powers: the derivative of something
    calls = [n for n in ast.walk(value) if isinstance(n, ast.Call)]
    plain = all(last_name(c.func) in ("neg", "neg_", "clone", "mul", "view_as") for c in calls)
    return bool(held & names) and minuses == 1 and products and plain
