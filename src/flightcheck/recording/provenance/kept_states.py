"""How a script keeps its best model: by copy or by reference, and by which comparison."""

from __future__ import annotations

import ast
import math
import re
from typing import Final

from flightcheck.frozen import frozen
from flightcheck.recording.provenance.better import meaning_of, which_is_better
from flightcheck.recording.provenance.source import (
    Source,
    constant_of,
    end_of,
    last_name,
    line_of,
    read_source,
)

_ORDERS: Final = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
_WORST: Final = re.compile(r"worst|lowest|highest|min|max", re.IGNORECASE)
_LARGE: Final = 1e4


@frozen
class Keeping:
    """An ``if`` that compares a metric with the best one so far, and keeps the model if it is better."""

    line: int
    end: int
    metric: str
    best: str
    higher: bool
    """What is kept is what has the higher metric."""
    meaning: str
    """What the metric's name says: ``higher`` or ``lower`` is better, or nothing."""
    initial: float | None
    """The value with which the best one begins, where that is a number."""


def kept_by_reference(file: str, line: int) -> bool:
    """The ``state_dict()`` at a line is kept without a copy, where it is the best, and loaded or saved in the end.

    Args:
        file: the source file.
        line: the line of the call of ``state_dict``.
    """
    try:
        source = read_source(file)
        calls = [c for c in source.calls if c.lineno <= line <= end_of(c)] if source else []
        calls = [c for c in calls if isinstance(c.func, ast.Attribute) and c.func.attr == "state_dict"]
        if source is None or len(calls) != 1:
            return False
        holder = _holder(source, calls[0])
        around = _condition(source, calls[0])
        return holder is not None and around is not None and _is_used(source, holder, around)
    except Exception:  # the promise of this package: odd sources have no answer, and are no error
        return False


def is_conditional(file: str, line: int) -> bool:
    """The ``state_dict()`` at a line is called where one value is larger, or smaller, than another."""
    try:
        source = read_source(file)
        calls = [c for c in source.calls if c.lineno <= line <= end_of(c)] if source else []
        return source is not None and any(_condition(source, c) for c in calls)
    except Exception:  # as above
        return False


def _holder(source: Source, call: ast.AST) -> str | None:
    """The variable that keeps the tensors of the call themselves; None if they are copied, or kept nowhere."""
    node, parent = call, source.parents.get(call)
    while parent is not None:
        if isinstance(parent, ast.Assign | ast.AnnAssign):
            targets = parent.targets if isinstance(parent, ast.Assign) else [parent.target]
            return _variable(targets[0], parent.value, node) if len(targets) == 1 else None
        if isinstance(parent, ast.Call):
            plain = last_name(parent.func) in ("dict", "OrderedDict", "copy", "items") and not _is_deep(parent)
            if not plain or (parent.func is not node and node not in parent.args):
                return None
        elif isinstance(parent, ast.Attribute):
            if parent.attr not in ("items", "copy"):
                return None
        elif isinstance(parent, ast.comprehension):
            node, parent = parent, source.parents.get(parent)
            if not (isinstance(parent, ast.DictComp) and _keeps_value(parent)):
                return None
        elif not isinstance(parent, ast.Dict | ast.Tuple | ast.keyword):
            return None
        node, parent = parent, source.parents.get(parent)
    return None


def _is_deep(call: ast.Call) -> bool:
    return "deepcopy" in ast.unparse(call.func)


def _variable(target: ast.AST, value: ast.AST | None, node: ast.AST) -> str | None:
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
        target = target.elts[value.elts.index(node)] if node in value.elts else target
    if isinstance(target, ast.Subscript):
        target = target.value
    return ast.unparse(target) if isinstance(target, ast.Name | ast.Attribute) else None


def _keeps_value(made: ast.DictComp) -> bool:
    """``{k: v for k, v in ….items()}``, also with ``v.detach()``, ``v.data`` and, of weights in memory, ``v.cpu()``."""
    names = {n.id for n in ast.walk(made.generators[0].target) if isinstance(n, ast.Name)}
    value: ast.AST = made.value
    while True:
        if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and not value.args:
            if value.func.attr not in ("detach", "cpu"):
                return False
            value = value.func.value
        elif isinstance(value, ast.Attribute) and value.attr == "data":
            value = value.value
        else:
            return isinstance(value, ast.Name) and value.id in names


def _condition(source: Source, node: ast.AST) -> ast.If | None:
    """The nearest ``if`` around a node, inside its function, that compares two values by their order."""
    for parent in source.above(node):
        if isinstance(parent, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            return None
        if isinstance(parent, ast.If) and any(
            isinstance(o, _ORDERS) for c in ast.walk(parent.test) if isinstance(c, ast.Compare) for o in c.ops
        ):
            return parent
    return None


def _is_used(source: Source, holder: str, around: ast.If) -> bool:
    """Outside of that ``if`` the variable is loaded, or saved after it, or returned in a file that loads or saves."""
    name = holder.rpartition(".")[2]
    inside = set(map(id, ast.walk(around)))
    for node in source.nodes:  # state = torch.load(path)
        if not isinstance(node, ast.Assign) or id(node) in inside or ast.unparse(node.targets[0]) != holder:
            continue
        if any(isinstance(c, ast.Call) and last_name(c.func) == "load" for c in ast.walk(node.value)):
            return False
    saves = any(last_name(c.func) in ("load_state_dict", "save") for c in source.calls)
    for node in source.nodes:
        if id(node) in inside:
            continue
        if isinstance(node, ast.Call) and last_name(node.func) in ("load_state_dict", "save"):
            if any(_names(a, name) for a in (*node.args, *(k.value for k in node.keywords))):
                return True
        elif isinstance(node, ast.Return) and node.value is not None and saves and "." not in holder:
            parts = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value]
            if any(isinstance(p, ast.Name) and p.id == name for p in parts):
                return True
    return False


def _names(node: ast.AST, name: str) -> bool:
    return any(
        (isinstance(n, ast.Name) and n.id == name) or (isinstance(n, ast.Attribute) and n.attr == name)
        for n in ast.walk(node)
    )


def best_names(file: str) -> list[tuple[str, str, int, int]]:
    """Pairs of expressions of which one is made the other as the best model: ``best_model = model`` in such an ``if``.

    Returns:
        The name that is kept, the model's, the line, and the first line of the function (0: of the script itself).
    """
    try:
        source = read_source(file)
        found = []
        for node in source.nodes if source else ():
            if not (isinstance(node, ast.Assign) and len(node.targets) == 1 and source is not None):
                continue
            (target,) = node.targets
            plain = isinstance(target, ast.Name | ast.Attribute) and isinstance(node.value, ast.Name | ast.Attribute)
            if plain and "best" in last_name(target).lower() and _condition(source, node) is not None:
                scope = source.scope(node)
                found.append((ast.unparse(target), ast.unparse(node.value), line_of(node), line_of(scope)))
        return found
    except Exception:  # as above
        return []


def keepings(file: str) -> list[Keeping]:
    """The places that compare a metric with the best one so far and keep the model."""
    try:
        source = read_source(file)
        found = [_keeping(source, n) for n in source.nodes if isinstance(n, ast.If)] if source else []
        return [k for k in found if k is not None]
    except Exception:  # as above
        return []


def _keeping(source: Source, node: ast.If) -> Keeping | None:
    compared = [c for c in _conditions(node.test) if len(c.ops) == 1 and isinstance(c.ops[0], _ORDERS)]
    for kept, turned in ((node.body, False), (node.orelse, True)):
        if turned and (not isinstance(node.test, ast.Compare) or (len(kept) == 1 and isinstance(kept[0], ast.If))):
            continue
        if not any(_keeps_model(c) or _keeps_below(source, c) for s in kept for c in ast.walk(s)):
            continue
        assigned = [
            (ast.unparse(t), ast.unparse(v))
            for s in kept if isinstance(s, ast.Assign) and len(s.targets) == 1
            for t, v in _pairs(s.targets[0], s.value)
        ]  # fmt: skip
        for test in compared:
            sides = test.left, test.comparators[0]
            for place, metric in enumerate(map(_without_margin, sides)):
                best = ast.unparse(_without_margin(sides[1 - place]))
                if (best, ast.unparse(metric)) in assigned:
                    higher = isinstance(test.ops[0], ast.Gt | ast.GtE) is (place == 0)
                    return Keeping(
                        line_of(node),
                        end_of(kept[-1]),
                        ast.unparse(metric),
                        best,
                        higher is not turned,
                        _what_is_better(source, metric, best),
                        _initial(source, node, best),
                    )
    return None


def _conditions(test: ast.expr) -> list[ast.Compare]:
    """``score < best``, also in ``best is None or score < best``."""
    parts = test.values if isinstance(test, ast.BoolOp) else [test]
    return [p for p in parts if isinstance(p, ast.Compare)]


def _without_margin(side: ast.expr) -> ast.expr:
    """``best`` of ``best - min_delta`` and of ``best * 0.99``."""
    plain = isinstance(side, ast.BinOp) and isinstance(side.left, ast.Name | ast.Attribute)
    return side.left if isinstance(side, ast.BinOp) and plain else side


def _what_is_better(source: Source, metric: ast.expr, best: str) -> str:
    """What the names say; where they say nothing, what the metric is computed by."""
    name = ast.unparse(metric)
    told = _meaning(name, best)
    return which_is_better(source, metric) if not told and _is_open(name, best) else told


def _pairs(target: ast.AST, value: ast.AST) -> list[tuple[ast.AST, ast.AST]]:
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
        return list(zip(target.elts, value.elts))
    return [(target, value)]


def _keeps_model(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and (
        last_name(node.func) in ("state_dict", "save", "save_checkpoint", "save_model")
        or (
            last_name(node.func) == "deepcopy"
            and any("model" in ast.unparse(a) or "net" in ast.unparse(a) for a in node.args)
        )
    )


def _keeps_below(source: Source, node: ast.AST) -> bool:
    """A function of the script's own that keeps a model is called."""
    if not isinstance(node, ast.Call):
        return False
    own = source.functions.get(last_name(node.func), [])
    return len(own) == 1 and any(map(_keeps_model, ast.walk(own[0])))


def _meaning(metric: str, best: str) -> str:
    if not re.fullmatch(r"[\w.]+|[\w.]+\[['\"]\w+['\"]\]", metric) or _WORST.search(best):
        return ""
    said = _said(metric, best)
    return said.pop() if len(said) == 1 else ""


def _is_open(metric: str, best: str) -> bool:
    """The names say nothing, and do not tell that the worst is looked for."""
    return not _said(metric, best) and not _WORST.search(best) and not _WORST.search(metric)


def _said(metric: str, best: str) -> set[str]:
    names = (re.split(r"[^\w]+", name.rstrip("'\"]"))[-1] for name in (metric, best))
    return {said for name in names for said in meaning_of(name)}


def _initial(source: Source, node: ast.If, best: str) -> float | None:
    """The only number that the variable is given outside of the ``if``."""
    inside = set(map(id, ast.walk(node)))
    values = []
    for other in source.nodes:
        if isinstance(other, ast.Assign) and id(other) not in inside:
            for target in other.targets:
                values += [v for t, v in _pairs(target, other.value) if ast.unparse(t) == best]
        elif isinstance(other, ast.AugAssign | ast.NamedExpr | ast.For) and ast.unparse(other.target) == best:
            return None
    numbers = [_number(v) for v in values]
    return numbers[0] if len(set(numbers)) == 1 else None


def _number(node: ast.AST) -> float | None:
    text = ast.unparse(node).replace('"', "'").replace(" ", "").lower()
    sign = -1.0 if text.startswith(("-", "float('-")) else 1.0
    if re.fullmatch(r"-?(float\('[-+]?inf(inity)?'\)|(math|np|numpy|torch)\.inf)", text):
        return sign * math.inf
    value = constant_of(node)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def never_true(keeping: Keeping) -> bool:
    """The metric cannot be better than the value with which the best one begins: nothing is ever kept."""
    begin = keeping.initial
    return begin is not None and (begin >= _LARGE if keeping.higher else begin <= -_LARGE)
