"""What a script does with the dictionaries that ``state_dict()`` returns, and with the models that it loads."""

from __future__ import annotations

import ast

from flightcheck.recording.provenance.source import (
    Scope,
    Source,
    constant_of,
    end_of,
    last_name,
    line_of,
    read_source,
    walk_scope,
)

Place = tuple[str, int]


def unused_change(file: str, line: int) -> Place | None:
    """The line that changes the dictionary returned by the ``state_dict()`` at a line, where nothing reads it after.

    ``state = model.state_dict(); state.update(pretrained)`` without a word of `state` after it, or
    ``model.state_dict()[name] = value``, changes a dictionary and no model.

    Args:
        file: the source file.
        line: the line of the call of ``state_dict``.
    """
    try:
        source = read_source(file)
        calls = _calls_at(source, line, "state_dict") if source else []
        if source is None or len(calls) != 1:
            return None
        (call,) = calls
        parent = source.parents.get(call)
        change = _change_of(source, call)
        if change is not None:
            return file, line_of(change)
        if isinstance(parent, ast.Call) and last_name(parent.func) in ("dict", "OrderedDict", "copy", "deepcopy"):
            parent = source.parents.get(parent)
        if not (isinstance(parent, ast.Assign) and len(parent.targets) == 1):
            return None
        (target,) = parent.targets
        return _only_changed(source, target.id, parent) if isinstance(target, ast.Name) else None
    except Exception:  # the promise: odd sources have no answer, and are no error
        return None


def unused_after(file: str, line: int) -> bool:
    """The variable whose ``load_state_dict`` is called at a line is nowhere used after it: the model is left behind."""
    try:
        source = read_source(file)
        calls = _calls_at(source, line, "load_state_dict") if source else []
        if source is None or len(calls) != 1 or not isinstance(calls[0].func, ast.Attribute):
            return False
        held = calls[0].func.value
        if not isinstance(held, ast.Name):
            return False
        scope = source.scope(calls[0])
        around = [n for n in source.above(calls[0]) if isinstance(n, ast.For | ast.While)]
        start = min((line_of(n) for n in around), default=line)
        for node in ast.walk(scope):
            if isinstance(node, ast.Name) and node.id == held.id and isinstance(node.ctx, ast.Load):
                inner = source.scope(node) is not scope
                if node is not held and (inner or line_of(node) >= start or _from_outside(scope, held.id)):
                    return False
        return True
    except Exception:  # as above
        return False


def _from_outside(scope: Scope, name: str) -> bool:
    """The name is a parameter, or another scope's: what becomes of the object cannot be told here."""
    if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        a = scope.args
        return name in {p.arg for p in (*a.posonlyargs, *a.args, *a.kwonlyargs)} or any(
            name in n.names for n in walk_scope(scope) if isinstance(n, ast.Global | ast.Nonlocal)
        )
    return False


def _calls_at(source: Source | None, line: int, method: str) -> list[ast.Call]:
    calls = source.calls if source is not None else []
    return [
        c for c in calls
        if c.lineno <= line <= end_of(c) and isinstance(c.func, ast.Attribute) and c.func.attr == method
    ]  # fmt: skip


def _change_of(source: Source, held: ast.AST) -> ast.AST | None:
    """The statement that does nothing but change the dictionary `held`: ``….update(…)``, ``…[name] = value``."""
    parent = source.parents.get(held)
    above = source.parents.get(parent) if parent is not None else None
    if isinstance(parent, ast.Attribute) and parent.attr == "update" and isinstance(above, ast.Call):
        return above if isinstance(source.parents.get(above), ast.Expr) else None
    if isinstance(parent, ast.Subscript) and parent.value is held and isinstance(parent.ctx, ast.Store):
        return above if isinstance(above, ast.Assign) else None
    return None


def _only_changed(source: Source, name: str, assigned: ast.Assign) -> Place | None:
    """The first change of the variable, if all that is done with it are changes and questions for its names."""
    scope = source.scope(assigned)
    changes = []
    for node in ast.walk(scope):
        if not isinstance(node, ast.Name) or node.id != name or node is assigned.targets[0]:
            continue
        change = _change_of(source, node)
        if change is not None and source.scope(node) is scope:
            changes.append(line_of(change))
        elif not isinstance(node.ctx, ast.Load) or not _only_asks(source, node):
            return None
    if not changes or (isinstance(scope, ast.Module) and _exported(source, name)):
        return None
    return source.path, min(changes)


def _only_asks(source: Source, node: ast.AST) -> bool:
    """``key in state``, ``state[key].shape``, ``len(state)``: the values go nowhere."""
    parent = source.parents.get(node)
    if isinstance(parent, ast.Attribute) and parent.attr == "keys":
        node, parent = parent, source.parents.get(parent)
        if isinstance(parent, ast.Call):
            node, parent = parent, source.parents.get(parent)
    if isinstance(parent, ast.Compare):
        return node in parent.comparators and isinstance(parent.ops[-1], ast.In | ast.NotIn)
    if isinstance(parent, ast.Call):
        return last_name(parent.func) in ("len", "set", "print") and node in parent.args
    if isinstance(parent, ast.Subscript) and parent.value is node and isinstance(parent.ctx, ast.Load):
        above = source.parents.get(parent)
        return isinstance(above, ast.Attribute) and above.attr in ("shape", "size", "dtype", "numel", "ndim")
    return False


def _exported(source: Source, name: str) -> bool:
    """The module names it among what others may import."""
    return any(
        isinstance(n, ast.Assign)
        and any(isinstance(t, ast.Name) and t.id == "__all__" for t in n.targets)
        and name in {constant_of(e) for e in getattr(n.value, "elts", [])}
        for n in source.tree.body
    )
