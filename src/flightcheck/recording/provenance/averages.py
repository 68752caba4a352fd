"""Statements that keep a moving average of weights: those that change nothing, and those that never run."""

from __future__ import annotations

import ast

from flightcheck.recording.provenance.source import Source, last_name, line_of, read_source


def rebound_average(file: str) -> tuple[str, int] | None:
    """The line of ``for slow, fast in zip(…): slow = d * slow + (1 - d) * fast``, which changes no tensor."""
    try:
        source = read_source(file)
        for loop in ast.walk(source.tree) if source else ():
            if not isinstance(loop, ast.For):
                continue
            names = {n.id for n in ast.walk(loop.target) if isinstance(n, ast.Name)}
            for statement in loop.body:
                if _rebinds(loop, statement, names):
                    return file, line_of(statement)
        return None
    except Exception:  # the promise of this package: odd sources have no answer, and are no error
        return None


def _rebinds(loop: ast.For, statement: ast.stmt, names: set[str]) -> bool:
    """A mix of two names of the loop becomes one of them, which nothing reads after it."""
    if not isinstance(statement, ast.Assign) or not _is_mix(statement.value):
        return False
    (target, *more) = statement.targets
    if more or not isinstance(target, ast.Name) or target.id not in names:
        return False
    used = {n.id for n in ast.walk(statement.value) if isinstance(n, ast.Name)} & names
    after = loop.body[loop.body.index(statement) + 1 :]
    read = {n.id for s in after for n in ast.walk(s) if isinstance(n, ast.Name)}
    return target.id in used and len(used) > 1 and target.id not in read


def _is_mix(value: ast.AST) -> bool:
    """``a * x + b * y``, with one factor that is one minus the other, as far as the text tells."""
    if not (isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add)):
        return False
    sides = [s for s in (value.left, value.right) if isinstance(s, ast.BinOp) and isinstance(s.op, ast.Mult)]
    factors = {ast.unparse(f) for s in sides for f in (s.left, s.right)}
    return len(sides) == 2 and any(f.startswith(("1 - ", "1.0 - ")) for f in factors)


def unused_update(file: str) -> tuple[str, int] | None:
    """The line of a function that updates a moving average in place, where nothing in the file names that function."""
    try:
        source = read_source(file)
        if source is None:
            return None
        named = {n.attr for n in ast.walk(source.tree) if isinstance(n, ast.Attribute)}
        named |= {n.id for n in ast.walk(source.tree) if isinstance(n, ast.Name)}
        for name, functions in source.functions.items():
            updating = [f for f in functions if any(map(_updates, ast.walk(f)))]
            if updating and name not in named and not name.startswith("__") and not _overrides(source, updating[0]):
                return file, line_of(updating[0])
        return None
    except Exception:  # as above
        return None


def updates(file: str) -> list[tuple[str, int]]:
    """The lines that update a moving average in place."""
    try:
        source = read_source(file)
        return [(file, line_of(c)) for c in source.calls if _updates(c)] if source else []
    except Exception:  # as above
        return []


def _updates(node: ast.AST) -> bool:
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return False
    if node.func.attr == "lerp_":
        return True
    held = node.func.value
    scaled = isinstance(held, ast.Call) and last_name(held.func) == "mul_"
    if node.func.attr == "add_" and scaled:
        return any("1 - " in ast.unparse(k) or "1.0 - " in ast.unparse(k) for k in [*node.args, *node.keywords])
    return node.func.attr == "copy_" and any(_is_mix(a) for a in node.args)


def _overrides(source: Source, function: ast.AST) -> bool:
    """A method of a class with a base: somebody else may call it."""
    owner = source.owner(function)
    return owner is not None and bool(owner.bases)
