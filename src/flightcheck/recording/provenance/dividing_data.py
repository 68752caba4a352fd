"""Numbers by which data are divided on their way to a model: pixels by 255, and perhaps once more."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final, TypeAlias

from flightcheck.recording.provenance.follower import Follower
from flightcheck.recording.provenance.source import Value, constant_of, last_name, parameter_names

Division: TypeAlias = "tuple[tuple[str, int], float]"
"""File and line, and the divisor."""
_DIVIDES: Final = {"div", "div_", "divide", "true_divide"}
_MULTIPLIES: Final = {"mul", "mul_", "multiply"}
_LARGE: Final = 8
"""Divisors below are no scale of pixels."""
_TWO: Final = 2


class Divisions(Follower):
    """Follows a value back over what divides it."""

    def divided(self, value: Value, depth: int = 0) -> Iterator[Division]:
        """Each division by a number on the way back, the last one first."""
        if not self._may_go_on(depth):
            return
        yield from self.at(value, depth)
        data = self._data(value, depth)
        for definition in self._rows_from(value) if data is None else [value.of(data)]:
            yield from self.divided(definition, depth + 1)

    def at(self, value: Value, depth: int = 0) -> Iterator[Division]:
        """The division that the expression is, if it is one."""
        node, data = value.node, self._data(value, depth)
        if data is None:
            return
        if isinstance(node, ast.Call):
            by, divides = node.args[0], last_name(node.func) in _DIVIDES
        else:
            left, right = _operands(node)
            by, divides = right if data is left else left, isinstance(getattr(node, "op", None), ast.Div | ast.FloorDiv)
        number = self._number(value.of(by, ()), depth)
        if number:
            yield value.place, number if divides else 1 / number

    def _data(self, value: Value, depth: int) -> ast.expr | None:
        """What is divided or multiplied by an expression."""
        node = value.node
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and len(node.args) == 1:
            return node.func.value if last_name(node.func) in _DIVIDES | _MULTIPLIES else None
        if not isinstance(node, ast.BinOp | ast.AugAssign):
            return None
        if not isinstance(node.op, ast.Div | ast.FloorDiv | ast.Mult):
            return None
        left, right = _operands(node)
        swapped = isinstance(node.op, ast.Mult) and self._number(value.of(left, ()), depth) is not None
        return right if swapped else left

    def _number(self, value: Value, depth: int) -> float | None:
        node = value.node
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            above, below = (self._number(value.of(n, ()), depth) for n in (node.left, node.right))
            return above / below if above is not None and below else None
        written = self.literal(value, depth + 1) if isinstance(node, ast.Name | ast.Attribute) else value
        number = constant_of(written.node) if written is not None else None
        return float(number) if isinstance(number, int | float) and not isinstance(number, bool) else None


def _operands(node: ast.AST) -> tuple[ast.expr, ast.expr]:
    if isinstance(node, ast.AugAssign):
        return node.target, node.value
    assert isinstance(node, ast.BinOp)
    return node.left, node.right


def divided_by(value: Value, line: int) -> list[Division]:
    """Divisions on the way back from a value at a line, the last one first, each line once.

    Functions that are handed on as values (a list of transforms) cannot be followed. Where no large divisor is found,
    and just one function of the file divides what it is given by such a number, or two by the same one, it is these, in
    the order in which they stand there.
    """
    found: dict[tuple[str, int], float] = {}
    for place, number in Divisions(line).divided(value):
        found.setdefault(place, number)
    several = [] if any(n >= _LARGE for n in found.values()) else _by_functions(value)
    return several or list(found.items())


def _by_functions(value: Value) -> list[Division]:
    source, told = value.source, Divisions()
    found: dict[ast.AST, Division] = {}
    for node in source.nodes:
        scope = source.scope(node) if isinstance(node, ast.BinOp | ast.AugAssign | ast.Call) else None
        if not isinstance(scope, ast.FunctionDef | ast.Lambda):
            continue
        names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)} & set(parameter_names(scope))
        here = [d for d in told.at(value.of(node, ())) if d[1] >= _LARGE] if names else []
        if here:
            found[scope] = here[0]
    several = sorted(found.values(), key=lambda d: -d[0][1])
    return several if len(several) <= _TWO and len({number for _, number in several}) == 1 else []
