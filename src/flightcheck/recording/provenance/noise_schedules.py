"""Where the schedule of a diffusion model is written, and whether the script draws samples that begin as noise."""

from __future__ import annotations

import ast

from flightcheck.recording.provenance.source import end_of, last_name, line_of, read_source

_NOISE = ("randn", "randn_like", "normal_")
_DEEPEST = 4


def schedule_origin(file: str, line: int) -> tuple[str, int] | None:
    """The line that made the factors of a cumulative product: ``linspace`` of ``cumprod(1 - linspace(…))``.

    Args:
        file: the source file.
        line: a line of the cumulative product. What it multiplies is followed through names and attributes.
    """
    try:
        source = read_source(file)
        if source is None:
            return None
        assigned = [n for n in source.nodes if isinstance(n, ast.Assign) and len(n.targets) == 1]
        found = next((n for n in assigned if n.lineno <= line <= end_of(n)), None)
        for _ in range(_DEEPEST):
            if found is None:
                return None
            used = [ast.unparse(n) for n in ast.walk(found.value) if isinstance(n, ast.Name | ast.Attribute)]
            made = [
                n for name in used for n in assigned if ast.unparse(n.targets[0]) == name and n.lineno < found.lineno
            ]
            tables = [n for n in made if not isinstance(n.value, ast.Constant)]
            if not tables:
                return file, line_of(found)
            found = tables[-1]
        return None
    except Exception:  # the promise: odd sources have no answer, and are no error
        return None


def samples_from_noise(file: str) -> bool:
    """A function, or the script itself, draws noise and then goes through numbers from the last to the first."""
    try:
        source = read_source(file)
        if source is None:
            return False
        functions = [f for several in source.functions.values() for f in several]
        return any(map(_goes_back, [*functions, source.tree]))
    except Exception:  # as above
        return False


def _goes_back(scope: ast.AST) -> bool:
    loops = [n for n in ast.walk(scope) if isinstance(n, ast.For) and _is_backward(n.iter)]
    draws = [n for n in ast.walk(scope) if isinstance(n, ast.Call) and last_name(n.func) in _NOISE]
    return any(d.lineno < loop.lineno for d in draws for loop in loops)


def _is_backward(iterated: ast.expr) -> bool:
    """``reversed(range(T))``, ``range(T - 1, -1, -1)``, in wrappers or not."""
    for call in (n for n in ast.walk(iterated) if isinstance(n, ast.Call)):
        if last_name(call.func) == "reversed":
            return True
        step = call.args[2] if last_name(call.func) == "range" and len(call.args) > 2 else None
        if isinstance(step, ast.UnaryOp) and isinstance(step.op, ast.USub):
            return True
    return False
