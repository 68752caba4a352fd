"""Lines that repeat data: each row several times, or the whole."""

from __future__ import annotations

import ast
from typing import Final

from flightcheck.recording.provenance.source import Source, last_name, line_of, read_source

_REPEATING: Final = {"repeat", "repeat_interleave", "tile"}
_OVERSAMPLING: Final = {"resample", "RandomOverSampler", "SMOTE", "ADASYN", "BorderlineSMOTE"}
_DRAWS: Final = {"choice", "choices", "randint", "integers"}
_JOINS: Final = {"concatenate", "cat", "concat", "append", "vstack", "hstack", "r_", "extend"}


def repeating_line(file: str, before: int) -> int:
    """The last line above another that calls ``repeat``, ``repeat_interleave`` or ``tile``, or has a comprehension in
    which a loop only counts (``[w for w in words for _ in range(n)]``); 0 if there is none.

    Args:
        file: the source file.
        before: line at which the data are in use.
    """
    try:
        source = read_source(file)
        found = [line_of(n) for n in source.nodes if _repeats(n)] if source is not None else []
        return max((line for line in found if line <= before), default=0)
    except Exception:  # the promise of this package: odd sources have no answer, and are no error
        return 0


def _repeats(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        return last_name(node.func) in _REPEATING and bool(node.args or node.keywords)
    if not isinstance(node, ast.ListComp | ast.GeneratorExp) or len(node.generators) < 2:
        return False
    return any(_only_counts(g, node.elt) for g in node.generators)


def _only_counts(loop: ast.comprehension, element: ast.expr) -> bool:
    over = loop.iter
    counted = isinstance(over, ast.Call) and last_name(over.func) == "range" and isinstance(loop.target, ast.Name)
    used = {n.id for n in ast.walk(element) if isinstance(n, ast.Name)}
    return counted and isinstance(loop.target, ast.Name) and loop.target.id not in used


def oversamples(file: str) -> bool:
    """A line of the file makes copies of some examples: by `repeat`, by a draw with ``replace=True``, with a function
    of scikit-learn or a class of imbalanced-learn for it, or by joining data with some that it picked by a draw.
    """
    try:
        source = read_source(file)
        return source is not None and any(_copies(source, c) for c in source.calls)
    except Exception:  # as above
        return False


def _copies(source: Source, call: ast.Call) -> bool:
    name = last_name(call.func)
    if name in _OVERSAMPLING or (name in _REPEATING and bool(call.args or call.keywords)):
        return True
    with_replacement = [k.value for k in call.keywords if k.arg == "replace"]
    if with_replacement:
        return isinstance(with_replacement[0], ast.Constant) and with_replacement[0].value is True
    drawn = name in _DRAWS and (len(call.args) > 1 or any(k.arg in ("size", "k") for k in call.keywords))
    assigned = next((a for a in source.above(call) if isinstance(a, ast.Assign)), None) if drawn else None
    if assigned is None or not isinstance(assigned.targets[0], ast.Name):
        return False
    extra = assigned.targets[0].id
    joined = (c for c in source.calls if last_name(c.func) in _JOINS and c.args)
    return any(isinstance(n, ast.Name) and n.id == extra for c in joined for n in ast.walk(c.args[0]))
