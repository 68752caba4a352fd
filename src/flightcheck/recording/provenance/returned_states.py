"""Lines that hand out an array which is changed in place later: ``self.state[0] += 1; return self.state, reward``."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final, TypeAlias

from flightcheck.recording.provenance.source import last_name, line_of, read_source

_Function: TypeAlias = "ast.FunctionDef | ast.AsyncFunctionDef"
_SAME_MEMORY: Final = {
    "from_numpy", "as_tensor", "asarray", "ascontiguousarray", "view", "reshape", "squeeze", "unsqueeze", "transpose",
    "permute", "detach", "numpy", "ravel", "contiguous", "swapaxes", "expand_dims",
}  # fmt: skip
"""Calls whose result may share the memory of what they are given."""
_WRITES: Final = {"fill", "put", "itemset", "shuffle", "copyto", "put_along_axis"}
_MOVES: Final = "step"
"""The method of an environment, in every library of them."""
_OF_ARRAYS: Final = {"np", "numpy", "torch"}


def returned_in_place(file: str) -> list[int]:
    """The lines that return, alone or in a tuple, an array which their object or their function changes in place.

    Methods that return an attribute into which a method of the class writes; functions that return a parameter into
    which they wrote. Where one of the classes can make a step, as an environment does, only such classes count. A
    line that returns several things stands first: that is what one gets after a step.

    Args:
        file: a source file.
    """
    try:
        source = read_source(file)
        if source is None:
            return []
        classes = [(n, list(_of_class(n))) for n in source.classes.values()]
        moving = [lines for n, lines in classes if lines and _can_step(n)]
        methods = {m for n in source.classes.values() for m in n.body}
        of_functions = [
            r for several in source.functions.values() for f in several if f not in methods for r in _of_function(f)
        ]
        returns = [r for lines in (moving or [lines for _, lines in classes]) for r in lines] + of_functions
        return [line_of(r) for r in sorted(returns, key=lambda r: (not isinstance(r.value, ast.Tuple), line_of(r)))]
    except Exception:  # the promise of this package: odd sources have no answer, and are no error
        return []


def _can_step(node: ast.ClassDef) -> bool:
    return any(isinstance(m, ast.FunctionDef) and m.name == _MOVES for m in node.body)


def _of_class(node: ast.ClassDef) -> Iterator[ast.Return]:
    """Returns of attributes that the class writes into."""
    methods = [m for m in node.body if isinstance(m, ast.FunctionDef | ast.AsyncFunctionDef)]
    arrays = {
        t.attr
        for m in methods for s in ast.walk(m) if isinstance(s, ast.Assign) and _is_array(s.value)
        for t in s.targets if isinstance(t, ast.Attribute)
    }  # fmt: skip
    written = {w for m in methods for n in ast.walk(m) for w in _written(n, arrays) if w.startswith("self.")}
    for method in methods:
        yield from (r for r in ast.walk(method) if isinstance(r, ast.Return) and written & set(_handed_out(r)))


def _of_function(function: _Function) -> Iterator[ast.Return]:
    """Returns of parameters that a function wrote into, under the name that they came with."""
    names = {a.arg for a in (*function.args.posonlyargs, *function.args.args)} - {"self"}
    names -= {
        t.id for s in ast.walk(function) if isinstance(s, ast.Assign) for t in s.targets if isinstance(t, ast.Name)
    }
    written = names & {w for n in ast.walk(function) for w in _written(n, set())}
    # One thing alone may be a library's way of working in place: `def clip_(x): …; return x`
    yield from (
        r for r in ast.walk(function)
        if isinstance(r, ast.Return) and isinstance(r.value, ast.Tuple) and written & set(_handed_out(r))
    )  # fmt: skip


def _is_array(value: ast.expr) -> bool:
    """It is computed with NumPy or PyTorch."""
    return any(isinstance(n, ast.Name) and n.id in _OF_ARRAYS for n in ast.walk(value))


def _handed_out(statement: ast.Return) -> Iterator[str]:
    value = statement.value
    for part in value.elts if isinstance(value, ast.Tuple) else (value,):
        if part is not None and (name := _held(part)):
            yield name


def _held(node: ast.expr) -> str:
    """The name or attribute whose memory an expression has: ``self.grid`` of ``self.grid[1:].reshape(-1)``."""
    while True:
        if isinstance(node, ast.Subscript) and _is_slice(node.slice):
            node = node.value
        elif isinstance(node, ast.Call) and last_name(node.func) in _SAME_MEMORY:
            owner = node.func.value if isinstance(node.func, ast.Attribute) else None
            outside = owner is None or (isinstance(owner, ast.Name) and owner.id in _OF_ARRAYS)
            if outside and not node.args:
                return ""
            node = node.args[0] if outside else owner  # type: ignore[assignment]
        else:
            break
    if isinstance(node, ast.Name):
        return node.id
    of_self = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"
    return f"self.{node.attr}" if of_self and isinstance(node, ast.Attribute) else ""


def _is_slice(index: ast.expr) -> bool:
    parts = index.elts if isinstance(index, ast.Tuple) else [index]
    return all(isinstance(p, ast.Slice) or (isinstance(p, ast.Constant) and p.value in (None, ...)) for p in parts)


def _written(node: ast.AST, arrays: set[str]) -> Iterator[str]:
    """What a statement or call writes into."""
    if isinstance(node, ast.Assign):
        targets = [t for s in node.targets for t in (s.elts if isinstance(s, ast.Tuple) else [s])]
        yield from (_base(t) for t in targets if isinstance(t, ast.Subscript))
    elif isinstance(node, ast.AugAssign):
        is_array = isinstance(node.target, ast.Attribute) and node.target.attr in arrays
        if isinstance(node.target, ast.Subscript) or is_array:
            yield _base(node.target)
    elif isinstance(node, ast.Call):
        yield from (_base(k.value) for k in node.keywords if k.arg == "out")
        name = last_name(node.func)
        owner = node.func.value if isinstance(node.func, ast.Attribute) else None
        if name in _WRITES or (name.endswith("_") and not name.endswith("__")):
            outside = owner is None or (isinstance(owner, ast.Name) and owner.id in _OF_ARRAYS) or name == "shuffle"
            of = node.args[0] if outside and node.args else owner
            if of is not None:
                yield _base(of)


def _base(node: ast.expr) -> str:
    """``self.state`` of ``self.state[:2]`` and of ``self.state[0][1]``."""
    while isinstance(node, ast.Subscript):
        node = node.value
    return _held(node)
