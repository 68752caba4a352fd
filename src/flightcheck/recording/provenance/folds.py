"""Loops over the folds of a cross-validation that train one model on, instead of a new one for each."""

from __future__ import annotations

import ast
from typing import Final

from flightcheck.recording.provenance.loops import loops_around
from flightcheck.recording.provenance.source import Source, end_of, last_name

_SPLITTERS: Final = {
    "KFold", "StratifiedKFold", "GroupKFold", "StratifiedGroupKFold", "RepeatedKFold", "RepeatedStratifiedKFold",
    "ShuffleSplit", "StratifiedShuffleSplit", "GroupShuffleSplit", "LeaveOneOut", "LeavePOut", "LeaveOneGroupOut",
    "LeavePGroupsOut",
}  # fmt: skip
"""Of scikit-learn. In ``TimeSeriesSplit`` later folds hold the earlier ones: to go on with one model is no leak."""
_RENEWS: Final = {
    "load_state_dict", "reset_parameters", "deepcopy", "apply", "set_state_dict", "copy_", "init_weights",
    "reset_weights", "weight_reset", "reinitialize", "vector_to_parameters",
}  # fmt: skip
"""Calls that may give a model its first weights back."""
_DEEPEST: Final = 3


def fold_loop_around(file: str, line: int, made: int) -> int | None:
    """The line of a loop over folds around a line of the training step, before which the model was made.

    Nothing that the loop runs may make its weights anew, as far as its source and that of the functions of its file
    tell.

    Args:
        file: the source file.
        line: a line of the training step.
        made: the line of the same file that constructed the model.
    """
    try:
        for source, loop in loops_around(file, line):
            if source.path == file and _over_folds(source, loop) and made < loop.lineno:
                same = _scope_of(source, made) in (source.scope(loop), source.tree)
                return loop.lineno if same and not _renews(source, loop, 0) else None
        return None
    except Exception:  # the promise of this package: odd sources have no answer, and are no error
        return None


def _over_folds(source: Source, loop: ast.For | ast.AsyncFor) -> bool:
    """What it goes over are splits of scikit-learn."""
    for call in (n for n in ast.walk(loop.iter) if isinstance(n, ast.Call) and last_name(n.func) == "split"):
        owner = call.func.value if isinstance(call.func, ast.Attribute) else None
        if isinstance(owner, ast.Call):
            return last_name(owner.func) in _SPLITTERS
        made = [
            n.value
            for n in source.nodes
            if isinstance(n, ast.Assign) and owner is not None and last_name(owner) in map(last_name, n.targets)
        ]
        return bool(made) and all(isinstance(m, ast.Call) and last_name(m.func) in _SPLITTERS for m in made)
    return False


def _scope_of(source: Source, line: int) -> ast.AST | None:
    around = source.around(line, ast.expr, ast.stmt)
    if any(isinstance(n, ast.Lambda | ast.ListComp | ast.DictComp | ast.GeneratorExp) for n in around):
        return None  # made when it is called, or several at once
    statements = [n for n in around if isinstance(n, ast.stmt)]
    return source.scope(max(statements, key=lambda n: (n.lineno, -end_of(n)))) if statements else None


def _renews(source: Source, node: ast.AST, depth: int) -> bool:
    """A call in it, or in a function of the file that it calls, may make the weights anew."""
    stores = (n for n in ast.walk(node) if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store))
    if any(n.attr == "data" for n in stores):
        return True
    for call in (n for n in ast.walk(node) if isinstance(n, ast.Call)):
        name = last_name(call.func)
        if name in _RENEWS or "init" in name or "reset" in name:
            return True
        functions = source.functions.get(name, []) if depth < _DEEPEST else []
        if any(_renews(source, f, depth + 1) for f in functions if f is not node):
            return True
    return False
