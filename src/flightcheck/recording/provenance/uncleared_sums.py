"""Sums that go on over the passes of an outer loop, and are divided as if they were of one pass."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final, TypeAlias

from flightcheck.frozen import frozen
from flightcheck.recording.provenance.source import (
    Binding,
    Source,
    constant_of,
    end_of,
    last_name,
    line_of,
    read_source,
)

Loop: TypeAlias = ast.For | ast.AsyncFor | ast.While

_SIZES: Final = ("len", "size", "numel", "shape")
_HARMLESS: Final = (*_SIZES, "float", "int", "max", "round", "range", "enumerate", "ceil")
"""Calls in a divisor that do not move from pass to pass by themselves, as the time does."""
_MEANS: Final = ("mean", "fmean", "average")
_DEEPEST: Final = 3
"""Names behind names in a divisor."""


@frozen
class UnclearedSum:
    """``total += …`` in a loop within a loop, where `total` becomes 0 before both."""

    name: str
    line: int
    """Of the sum."""
    cleared: int
    """The line before both loops that makes it 0 …"""
    loop: int
    """… the outer loop, at whose beginning that belongs."""
    used: int
    """The line that takes it for the sum of one pass …"""
    averaged: bool = False
    """… as one of those of which a list is averaged."""


def uncleared_sums(file: str) -> list[UnclearedSum]:
    """Such sums in a file, each name once.

    What uses the sum stands in the outer loop: a division by the number of batches or examples of one pass, or an
    ``append`` to a list of which the mean is taken. A sum that is divided by what grows with it (a count of all passes,
    the number of the pass, the time) is a mean over all of them, and one of sizes a measure of how far the training is.
    """
    try:
        source = read_source(file)
        found = {} if source is None else {(s.name, s.loop): s for s in _sums(source)}
        return list(found.values())
    except Exception:  # the promise of this package: odd sources have no answer, and are no error
        return []


def _sums(source: Source) -> Iterator[UnclearedSum]:
    shared = {name for n in source.nodes if isinstance(n, ast.Global | ast.Nonlocal) for name in n.names}
    for node in source.nodes:
        if not isinstance(node, ast.AugAssign) or not isinstance(node.op, ast.Add):
            continue
        if not isinstance(node.target, ast.Name) or node.target.id in shared:
            continue
        name = node.target.id
        cleared = _zeros(source, node, name)
        loops = _loops(source, node, name)
        if cleared is None or len(loops) < 2 or cleared.lineno >= line_of(loops[-1]):
            continue
        used = _used(source, node, loops[-1])
        if used is not None:
            averaged = isinstance(used, ast.Call)
            yield UnclearedSum(name, line_of(node), cleared.lineno, line_of(loops[-1]), line_of(used), averaged)


def _zeros(source: Source, node: ast.AST, name: str) -> ast.Assign | None:
    """The only statements besides sums that bind the name are ``name = 0``; the last one before the node."""
    scope = source.scope(node)
    bindings = [b for b in source.bindings(scope).get(name, []) if not isinstance(b.node, ast.AugAssign)]
    if any(_constant(b) not in (0, 0.0) or b.inside is not None for b in bindings):
        return None
    statements = [source.parents.get(b.node) for b in bindings if b.line < line_of(node)]
    assigned = [s for s in statements if isinstance(s, ast.Assign)]
    return assigned[-1] if assigned else None


def _constant(binding: Binding) -> object:
    """The literal that it gives its name, also as a part of a tuple."""
    node: ast.AST = binding.node
    for step in binding.path:
        if not isinstance(node, ast.Tuple | ast.List) or not isinstance(step, int) or step >= len(node.elts):
            return None
        node = node.elts[step]
    return constant_of(node)


def _loops(source: Source, node: ast.AST, name: str) -> list[Loop]:
    """The loops around a sum in whose rounds nothing clears it, inner ones first."""
    scope, loops = source.scope(node), []
    cleared = [b.line for b in source.bindings(scope).get(name, []) if not isinstance(b.node, ast.AugAssign)]
    for parent in source.above(node):
        if parent is scope:
            break
        if isinstance(parent, ast.For | ast.AsyncFor | ast.While):
            if any(line_of(parent) <= line <= end_of(parent) for line in cleared):
                break
            loops.append(parent)
    return loops


def _used(source: Source, node: ast.AugAssign, outer: Loop) -> ast.BinOp | ast.Call | None:
    """The division, or the ``append``, in the outer loop that takes the sum for that of one pass."""
    assert isinstance(node.target, ast.Name)
    name = node.target.id
    counts = constant_of(node.value) is not None or _is_size(source, node, node.value)
    for use in ast.walk(outer):
        if isinstance(use, ast.BinOp) and isinstance(use.op, ast.Div) and not counts and _is_sum(use.left, name):
            divisor = _Divisor(source, outer)
            if divisor.is_of_one_pass(use.right):
                return use
        if isinstance(use, ast.Call) and isinstance(use.func, ast.Attribute) and use.func.attr == "append":
            kept = last_name(use.func.value)
            if len(use.args) == 1 and _is_sum(use.args[0], name) and _is_averaged(source, use, kept, outer):
                return use
    return None


def _is_sum(node: ast.AST, name: str) -> bool:
    """The name alone, ``100 * name``, ``name.item()`` or ``float(name)``."""
    while True:
        if isinstance(node, ast.Name):
            return node.id == name
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
            node = node.right if constant_of(node.left) is not None else node.left
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and not node.args:
            node = node.func.value
        elif isinstance(node, ast.Call) and len(node.args) == 1 and last_name(node.func) in ("float", "int"):
            node = node.args[0]
        else:
            return False


def _is_size(source: Source, node: ast.AST, value: ast.AST) -> bool:
    """``len(x)``, ``x.size(0)``, ``x.shape[0]``, or a name of such a number."""
    if any(last_name(n) in _SIZES for n in ast.walk(value)) and not any(
        isinstance(n, ast.BinOp) for n in ast.walk(value)
    ):
        return True
    if not isinstance(value, ast.Name):
        return False
    bound = source.bindings(source.scope(node)).get(value.id, [])
    return any(last_name(n) in _SIZES for b in bound for n in ast.walk(b.node))


def _is_averaged(source: Source, append: ast.Call, kept: str, outer: Loop) -> bool:
    """The list begins before the outer loop, the sum is appended behind the loops within it, and its mean is taken."""
    inner = [p for p in source.above(append) if isinstance(p, ast.For | ast.AsyncFor | ast.While)]
    if not kept or not inner or inner[0] is not outer:
        return False
    scope = source.scope(append)
    quotients = (n.left for n in source.nodes if isinstance(n, ast.BinOp) and isinstance(n.op, ast.Div))
    sums = (n for n in quotients if isinstance(n, ast.Call) and last_name(n.func) == "sum")
    means = (*sums, *(c for c in source.calls if last_name(c.func) in _MEANS))
    return any(
        c.args and isinstance(c.args[0], ast.Name) and c.args[0].id == kept and source.scope(c) is scope for c in means
    )


class _Divisor:
    """What a sum is divided by in an outer loop."""

    def __init__(self, source: Source, outer: Loop) -> None:
        self.source = source
        self.outer = outer
        self.bound = source.bindings(source.scope(outer))
        target = [] if isinstance(outer, ast.While) else ast.walk(outer.target)
        self.counted = {n.id for n in target if isinstance(n, ast.Name)}

    def is_of_one_pass(self, divisor: ast.expr) -> bool:
        """It holds the number of batches or examples of one pass, and nothing that moves from pass to pass."""
        return self._stays(divisor, 0) and self._counts(divisor, 0)

    def _within(self, line: int) -> bool:
        return line_of(self.outer) < line <= end_of(self.outer)

    def _stays(self, node: ast.AST, depth: int) -> bool:
        if depth > _DEEPEST:
            return False
        for part in ast.walk(node):
            if isinstance(part, ast.Call) and last_name(part.func) not in _HARMLESS:
                return False
            if isinstance(part, ast.Attribute) and self._attribute_moves(part):
                return False
            if isinstance(part, ast.Name) and not self._name_stays(part.id, depth):
                return False
        return True

    def _name_stays(self, name: str, depth: int) -> bool:
        if name in self.counted:
            return False
        within = [b for b in self.bound.get(name, []) if self._within(b.line)]
        plain = [b for b in within if not isinstance(b.node, ast.AugAssign) and b.inside is None]
        if len(plain) < len(within) and not plain:
            return False  # a count that goes on, a list that grows
        return all(self._stays(b.node, depth + 1) for b in plain if not isinstance(b.node, ast.Call) or b.path == ())

    def _attribute_moves(self, attribute: ast.Attribute) -> bool:
        text = ast.unparse(attribute)
        return any(
            isinstance(n, ast.AugAssign | ast.Assign)
            and text in [ast.unparse(t) for t in (n.targets if isinstance(n, ast.Assign) else [n.target])]
            for n in ast.walk(self.outer)
        )

    def _counts(self, node: ast.AST, depth: int) -> bool:
        """Sizes, or what a loop within the outer one counts."""
        if depth > _DEEPEST:
            return False
        for part in ast.walk(node):
            if last_name(part) in _SIZES:
                return True
            if isinstance(part, ast.Name):
                if self._is_counted_within(part.id):
                    return True
                if any(self._counts(b.node, depth + 1) for b in self.bound.get(part.id, []) if not b.path):
                    return True
        return False

    def _is_counted_within(self, name: str) -> bool:
        """A number that a loop within counts, or how many rounds it has."""
        loops = [n for n in ast.walk(self.outer) if isinstance(n, ast.For) and n is not self.outer]
        for loop in loops:
            over = loop.iter
            if isinstance(over, ast.Call) and last_name(over.func) == "enumerate":
                first = loop.target.elts[0] if isinstance(loop.target, ast.Tuple) else None
                if isinstance(first, ast.Name) and first.id == name:
                    return True
            if isinstance(over, ast.Call) and last_name(over.func) == "range":
                names = {n.id for a in over.args for n in ast.walk(a) if isinstance(n, ast.Name)}
                if name in names or (isinstance(loop.target, ast.Name) and loop.target.id == name):
                    return True
        added = [b for b in self.bound.get(name, []) if self._within(b.line)]
        return any(isinstance(b.node, ast.AugAssign) for b in added) and any(_constant(b) == 0 for b in added)
