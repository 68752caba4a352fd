"""Lines that cut what a model returned at about a half, where no operation of PyTorch is seen: in NumPy, in lists."""

from __future__ import annotations

import ast
from collections.abc import Set
from typing import Final

from flightcheck.frozen import frozen
from flightcheck.recording.provenance.definitions import Definitions
from flightcheck.recording.provenance.handing_on import is_module
from flightcheck.recording.provenance.source import EACH, Source, Value, constant_of, last_name, line_of, read_source
from flightcheck.recording.provenance.vocabulary import words

_ORDERS: Final[dict[type[ast.cmpop], str]] = {ast.Gt: ">", ast.GtE: ">=", ast.Lt: "<", ast.LtE: "<="}
_LOWEST, _HIGHEST = 0.4, 0.6
_SAME_VALUES: Final = words(
    "detach cpu numpy tolist item squeeze flatten ravel reshape view view_as contiguous clone copy float double to "
    "astype unsqueeze array asarray"
)
_OF_ELEMENTS: Final = words("cat concatenate stack vstack hstack")


@frozen
class Threshold:
    """A comparison with a number, of what the call in another line returned."""

    line: int
    operation: str
    value: float
    call_line: int


def thresholds(file: str, calls: Set[int]) -> list[Threshold]:
    """The comparisons with about a half whose left side has the values that a model returned.

    Args:
        file: of the user's code.
        calls: lines that call the model.
    """
    try:
        source = read_source(file)
        return _thresholds(source, calls) if source is not None else []
    except Exception:  # odd sources have no answer, and are no error
        return []


def _thresholds(source: Source, calls: Set[int]) -> list[Threshold]:
    found = []
    for node in source.nodes:
        if not isinstance(node, ast.Compare) or len(node.ops) != 1 or type(node.ops[0]) not in _ORDERS:
            continue
        value = constant_of(node.comparators[0])
        if isinstance(value, float) and _LOWEST <= value <= _HIGHEST:
            line = _Unchanged(calls).call_line(Value(source, node.left))
            if line:
                found.append(Threshold(line_of(node), _ORDERS[type(node.ops[0])], value, line))
    return found


def _may_be_the_model(source: Source, call: ast.Call) -> bool:
    """``model(x)``, ``self.net.forward(x)``: no method of what another call returned, and no function of a library."""
    if any(isinstance(n, ast.Call) for n in ast.walk(call.func)) or is_module(source, call.func):
        return False
    return last_name(call.func) not in _SAME_VALUES | _OF_ELEMENTS


class _Unchanged(Definitions):
    """Follows a value back to a call of the model, as long as nothing computes another one of it."""

    def __init__(self, calls: Set[int]) -> None:
        super().__init__()
        self._calls = calls

    def call_line(self, value: Value, depth: int = 0) -> int:
        """The line of the call; 0 where another value is computed on the way, or on one of several ways."""
        if not self._may_go_on(depth):
            return 0
        node = value.node
        if isinstance(node, ast.Call):
            return self._of_call(value, node, depth)
        if not isinstance(node, ast.Name | ast.Attribute | ast.Subscript | ast.IfExp | ast.ListComp | ast.NamedExpr):
            return 0
        return self._agreed(value, depth)

    def _agreed(self, value: Value, depth: int) -> int:
        """All definitions lead there; lists that are filled later begin empty."""
        made = [d for d in self._definitions(value) if not (isinstance(d.node, ast.List) and not d.node.elts)]
        ways = [self.call_line(d, depth + 1) for d in made]
        return ways[0] if ways and all(ways) else 0

    def _of_call(self, value: Value, call: ast.Call, depth: int) -> int:
        name = last_name(call.func)
        method = isinstance(call.func, ast.Attribute) and not is_module(value.source, call.func.value)
        if name in _SAME_VALUES | _OF_ELEMENTS:
            of = call.func.value if method and isinstance(call.func, ast.Attribute) else next(iter(call.args), None)
            path = (EACH, *value.path) if name in _OF_ELEMENTS else value.path
            return self.call_line(value.of(of, path), depth + 1) if of is not None else 0
        if line_of(call) in self._calls and _may_be_the_model(value.source, call):
            inside = [c for a in call.args for c in ast.walk(a) if isinstance(c, ast.Call)]
            return 0 if any(_may_be_the_model(value.source, c) for c in inside) else line_of(call)
        if self._callee(value, call) is None:
            return 0
        return self._agreed(value, depth)
