"""What stands behind the loop that runs, and which data go there without a step that others went through."""

from __future__ import annotations

import ast
from collections.abc import Collection
from typing import Final

from flightcheck.recording.provenance.source import (
    Binding,
    Scope,
    Source,
    Step,
    end_of,
    last_name,
    line_of,
    read_source,
)
from flightcheck.recording.provenance.source import walk_scope as nodes_of
from flightcheck.recording.provenance.standardizing import scales
from flightcheck.recording.records import Location

_LOOPS: Final = (ast.For, ast.AsyncFor, ast.While)
_KEEPS: Final = {"to", "float", "cuda", "cpu", "contiguous", "detach", "clone", "copy", "astype", "to_numpy"}
"""Methods that leave the numbers as they are."""
_RESHAPES: Final = {"unsqueeze", "squeeze", "reshape", "view", "flatten", "permute", "transpose", "t"}
_CONVERTS: Final = {
    "tensor", "as_tensor", "from_numpy", "FloatTensor", "Tensor", "asarray", "array", "TensorDataset", "DataLoader",
    "train_test_split", "DataFrame",
}  # fmt: skip
_LONGEST: Final = 40


def behind(source: Source, line: int) -> tuple[Scope, int, list[ast.AST]] | None:
    """The scope of a line, the last line of the outermost loop around it there, and the calls and loops that run in any
    case when that is over.
    """
    around = source.around(line, ast.stmt)
    if not around:
        return None
    inner = max(around, key=lambda n: (n.lineno, -end_of(n)))
    scope = source.scope(inner)
    if isinstance(scope, ast.ClassDef | ast.Lambda):
        return None
    mine = [n for n in (inner, *source.above(inner)) if isinstance(n, _LOOPS) and source.scope(n) is scope]
    end = max(map(end_of, mine), default=end_of(inner) if not isinstance(inner, ast.If | ast.With) else line)
    conditions = [n for n in source.above(inner) if isinstance(n, ast.If | ast.Try)]
    found = [
        n for n in nodes_of(scope)
        if isinstance(n, ast.Call | ast.For) and line_of(n) > end and not conditional(source, n, scope, conditions)
    ]  # fmt: skip
    return scope, end, sorted(found, key=lambda n: (line_of(n), isinstance(n, ast.Call)))


def conditional(source: Source, node: ast.AST, scope: Scope, ours: Collection[ast.AST] = ()) -> bool:
    """The node runs under a condition that is none of ours."""
    for parent in source.above(node):
        if parent is scope:
            return False
        if isinstance(parent, ast.If | ast.IfExp | ast.ExceptHandler | ast.While) and parent not in ours:
            return True
    return False


def plain(node: ast.AST, reshaped: bool = False) -> ast.AST:
    """An expression without what picks rows of it, moves it, or changes its type; its shape, too, if `reshaped`."""
    methods = _KEEPS | _RESHAPES if reshaped else _KEEPS
    for _ in range(_LONGEST):
        if isinstance(node, ast.Subscript) or (isinstance(node, ast.Attribute) and node.attr == "values"):
            node = node.value
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in methods:
            node = node.func.value
        elif isinstance(node, ast.Call) and last_name(node.func) == "tqdm" and node.args:
            node = node.args[0]
        else:
            break
    return node


def names_itself(binding: Binding, name: str) -> bool:
    """It binds a name to what it held before: ``x = x.to(device)``, ``x, y = x.float(), y.float()``."""
    node, path = binding.node, binding.path
    if isinstance(node, ast.Tuple) and len(path) == 1 and isinstance(path[0], int) and path[0] < len(node.elts):
        node = node.elts[path[0]]
    node = plain(node)
    return isinstance(node, ast.Name) and node.id == name and binding.inside is None


def scaling_left_out(file: str, line: int, name: str, trained: Location) -> tuple[str, int] | None:
    """The line that puts the training's data on another scale, where what a name holds comes from the same data and
    went through nothing but splits and conversions.

    Args:
        file: the source file.
        line: the line at which the name is used.
        name: the variable.
        trained: where the model is called in training.
    """
    from flightcheck.recording import provenance

    try:
        source = read_source(file)
        at = provenance.value_origin(trained.file, trained.line, None, trained.function)
        if source is None or at is None or at[0] != file or not name.isidentifier():
            return None
        use = [n for n in source.nodes if isinstance(n, ast.Name) and n.id == name and n.lineno == line]
        steps = [n for n in source.nodes if isinstance(n, ast.stmt) and n.lineno <= at[1] <= end_of(n)]
        step = max(steps, key=lambda n: (n.lineno, -end_of(n)), default=None)
        if not use or step is None or not _puts_on_another_scale(step):
            return None
        value = step.value if isinstance(step, ast.Assign | ast.AugAssign | ast.AnnAssign) else None
        if value is None:
            return None
        here, other = _History(source), _History(source)
        here.follow(use[0])
        for n in ast.walk(value if not isinstance(step, ast.AugAssign) else step.target):
            if isinstance(n, ast.Name):
                other.follow(n)
        shared = here.lines & other.lines
        same = bool(shared) and here.ends <= shared and at[1] not in here.lines
        return at if here.known and same else None
    except Exception:  # the promise of this package: odd sources have no answer, and are no error
        return None


def _puts_on_another_scale(step: ast.stmt) -> bool:
    if isinstance(step, ast.AugAssign):
        return isinstance(step.op, ast.Div | ast.Sub | ast.Mult)
    return any(scales(n) or (isinstance(n, ast.BinOp) and isinstance(n.op, ast.Div)) for n in ast.walk(step))


class _History:
    """The lines that gave a variable its data, as far back as they only pick, split and convert."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.lines: set[int] = set()
        self.ends: set[int] = set()
        """Those whose statement makes the data, in a way that is not looked into."""
        self.known = True
        """Nothing on the way changes the numbers."""

    def follow(self, name: ast.Name, before: int | None = None, depth: int = 0) -> None:
        """Add the lines on the way back from a name, as it is bound before a line."""
        use = line_of(name) if before is None else before
        scope = self.source.scope(name)
        bound = [b for b in self.source.bindings(scope).get(name.id, []) if b.line < use]
        if not bound and not isinstance(scope, ast.Module):
            bound = self.source.bindings(self.source.tree).get(name.id, [])
        if not bound or depth > _LONGEST:
            return
        last = bound[-1]
        self.lines.add(last.line)
        if isinstance(last.node, ast.AugAssign | ast.Assign) or last.inside is not None:
            self.known = False  # an element of it was written, or all of it was changed in place
        else:
            self._through(last.node, last.line, depth, last.path)

    def _through(self, node: ast.AST, line: int, depth: int, path: tuple[Step, ...] = ()) -> None:
        base = plain(node, reshaped=True)
        at = path[0] if path and isinstance(path[0], int) else 0
        if isinstance(base, ast.Name):
            self.follow(base, line, depth + 1)
        elif isinstance(base, ast.Tuple | ast.List) and at < len(base.elts):
            self._through(base.elts[at], line, depth + 1)
        elif isinstance(base, ast.Call) and last_name(base.func) in _CONVERTS and at // 2 < len(base.args):
            # of each array that it is given train_test_split makes two; the others make one
            self._through(base.args[at // 2], line, depth + 1)
        elif isinstance(base, ast.BinOp) or any(map(scales, ast.walk(base))):
            self.known = False
        else:
            self.ends.add(line)
