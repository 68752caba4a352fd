"""Following a value back over many hops."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from flightcheck.recording.provenance.definitions import Definitions
from flightcheck.recording.provenance.handing_on import is_module
from flightcheck.recording.provenance.source import Value, constant_of, last_name, line_of
from flightcheck.recording.provenance.vocabulary import (
    CONSTRUCTORS,
    CONVERSIONS,
    INTEGERS,
    ITERATORS,
    REORDERS,
    SAME,
)

_REPEATS = (ast.For, ast.AsyncFor, ast.While, ast.ListComp, ast.DictComp, ast.GeneratorExp, ast.Lambda)
_OF_WHERE = 3
"""Arguments of a ``where`` that chooses between two tensors."""


class Follower(Definitions):
    """Follows one value back to where it is written, computed, or chosen."""

    def __init__(self, use_line: int = 0) -> None:
        super().__init__()
        self.use_line = use_line
        self.conversions: list[Value] = []
        self.entered: list[Value] = []
        """The calls of the user's own functions on the way to what `data` found, the farthest back first."""
        self.sources: list[Value] = []

    @property
    def maker(self) -> Value | None:
        """The innermost of these calls; None where a loop goes round it: it is called for each of several groups."""
        call = self.entered[0] if self.entered else None
        for node in call.source.above(call.node) if call is not None else ():
            if isinstance(node, _REPEATS):
                return None
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                break
        return call

    def from_bytes(self, value: Value) -> Value | None:
        """Where bytes were made floating point on the way to a value; None where they were not computed as bytes."""
        changed = self._changed(value, 0)
        if changed is None or not isinstance(changed.node, ast.Call) or "uint8" not in ast.unparse(changed.node):
            return None
        return next((c for c in self.conversions if "float" in ast.unparse(c.node).lower()), None)

    # -- literals ------------------------------------------------------------------------------------------------

    def literal(self, value: Value, depth: int = 0) -> Value | None:
        """The expression in which the value is written."""
        if not self._may_go_on(depth):
            return None
        node, path = value.node, value.path
        if isinstance(node, ast.Constant) and node.value is None:
            return None
        if not path and isinstance(node, ast.Constant | ast.UnaryOp | ast.BinOp | ast.AugAssign | ast.JoinedStr):
            return value
        for definition in self._definitions(value):
            if (found := self.literal(definition, depth + 1)) is not None:
                return found
        computed = isinstance(node, ast.Call | ast.List | ast.Tuple | ast.Dict | ast.ListComp)
        return value if computed and not path else None

    # -- data ----------------------------------------------------------------------------------------------------

    def data(self, value: Value) -> tuple[str, int] | None:
        """The line that last changed the values: arithmetic first, else a conversion, else where they came from."""
        if (changed := self._changed(value, 0)) is not None:
            return changed.place
        elsewhere = [c for c in self.conversions if line_of(c.node) != self.use_line]
        for candidates in (elsewhere, self.conversions, self.sources):
            if candidates:
                return candidates[0].place
        return None

    def _changed(self, value: Value, depth: int) -> Value | None:
        if not self._may_go_on(depth):
            return None
        node = value.node
        if isinstance(node, ast.BinOp | ast.AugAssign | ast.Compare | ast.Assign) or (
            isinstance(node, ast.UnaryOp) and not isinstance(node.operand, ast.Constant)
        ):
            return value
        if isinstance(node, ast.Call):
            kind = self._kind(value, node)
            if kind == "changes":
                return value
            if kind == "converts":
                self.conversions.append(value)
            if kind == "source":
                self.sources.append(value)
                return None
        for definition in self._definitions(value):
            if (found := self._changed(definition, depth + 1)) is not None:
                if isinstance(node, ast.Call) and self._callee(value, node) is not None:
                    self.entered.append(value)
                return found
        return None

    def _kind(self, value: Value, call: ast.Call) -> str:
        """What a call does to the values: ``same``, ``converts``, ``changes`` or ``source``."""
        name = last_name(call.func)
        if name in ("TensorDataset", "train_test_split", "enumerate", "zip", "next", "map", "getattr"):
            return "same"
        if self._callee(value, call) is not None:
            return "same"
        method = isinstance(call.func, ast.Attribute) and not is_module(value.source, call.func.value)
        integer = any(w in ast.unparse(a) for a in [*call.args, *(k.value for k in call.keywords)] for w in INTEGERS)
        if method and name in ("to", "type", "astype"):
            return "changes" if integer else "same" if name == "to" else "converts"
        if method and name in SAME:
            return "same"
        if method and name in CONVERSIONS:
            return "converts"
        if name in ITERATORS:
            return "same"
        if name in CONSTRUCTORS and not method:
            dtype = next((ast.unparse(k.value) for k in call.keywords if k.arg == "dtype"), "")
            return "changes" if any(w in dtype for w in INTEGERS) else "converts"
        if any(k.arg in ("transform", "dataset") for k in call.keywords):
            return "same"
        if method:
            loads = name.startswith(("load", "read", "open", "fetch", "download", "parse"))
            return "source" if loads else "changes"
        random = name.startswith(("rand", "normal", "uniform", "linspace", "arange", "zeros", "ones", "full", "make_"))
        depends = any(constant_of(a) is None and not isinstance(a, ast.JoinedStr) for a in call.args)
        loads = name.startswith(("load", "read", "open", "fetch", "genfromtxt"))
        return "changes" if random or (depends and not loads) else "source"

    def order(self, value: Value, depth: int = 0) -> Value | None:
        """The expression that decides which elements are taken, of the last place that picks some by an index."""
        if not self._may_go_on(depth):
            return None
        node = value.node
        if isinstance(node, ast.Subscript) and not isinstance(constant_of(node.slice), int | str):
            found = self._index(value.of(node.slice, ()), depth + 1)
            if found is not None:
                return found
        if isinstance(node, ast.Call) and last_name(node.func) in ("index_select", "take", "gather") and node.args:
            found = self._index(value.of(node.args[-1], ()), depth + 1)
            if found is not None:
                return found
        for definition in self._rows_from(value):
            if (found := self.order(definition, depth + 1)) is not None:
                return found
        return None

    def orders(self, value: Value, depth: int = 0) -> Iterator[tuple[Value, Value]]:
        """As `order`, of every place on the way back that picks elements by an index, shuffles, sorts or rolls them.

        Each with the expression that does so: ``x[order]`` beside ``torch.randperm(len(x))``.
        """
        if not self._may_go_on(depth):
            return
        node = value.node
        picked: ast.expr | None = None
        if isinstance(node, ast.Subscript) and not isinstance(constant_of(node.slice), int | str):
            picked = node.slice
        elif isinstance(node, ast.Call) and last_name(node.func) in ("index_select", "take", "gather") and node.args:
            picked = node.args[-1]
        elif isinstance(node, ast.Call) and last_name(node.func) in REORDERS and not _inside_examples(node):
            yield value, value
        found = self._index(value.of(picked, ()), depth + 1) if picked is not None else None
        if found is not None:
            yield found, value
        for definition in self._rows_from(value):
            yield from self.orders(definition, depth + 1)

    def _rows_from(self, value: Value) -> list[Value]:
        """Where the rows of a value come from; a `where` takes each element from one tensor or the other, and what is
        computed with a number or with statistics (``(x - mean) / 16``) or by a scaler has the rows of what is given.
        """
        node = value.node
        if isinstance(node, ast.UnaryOp):
            return [value.of(node.operand)]
        if isinstance(node, ast.BinOp):
            return [value.of(node.right if constant_of(node.left) is not None else node.left)]
        if isinstance(node, ast.Call) and last_name(node.func) == "where" and len(node.args) == _OF_WHERE:
            return [value.of(argument) for argument in node.args[1:]]
        if isinstance(node, ast.Call) and last_name(node.func) in ("transform", "fit_transform") and node.args:
            return [value.of(node.args[0])]
        return list(self._definitions(value))

    def _index(self, value: Value, depth: int) -> Value | None:
        if not self._may_go_on(depth):
            return None
        node = value.node
        if isinstance(node, ast.Call) and self._callee(value, node) is None:
            name = last_name(node.func)
            method = isinstance(node.func, ast.Attribute) and not is_module(value.source, node.func.value)
            if name not in ("enumerate", "zip", "next") and name not in ITERATORS and not (method and name in SAME):
                return value
        parts: list[ast.expr | None] = []
        if isinstance(node, ast.Slice):
            parts = [node.lower, node.upper]
        elif isinstance(node, ast.BinOp):
            parts = [node.left, node.right]
        elif isinstance(node, ast.Tuple):
            parts = [e for e in node.elts if not isinstance(e, ast.Slice)]
        onward = [value.of(p) for p in parts if p is not None] or self._definitions(value)
        for definition in onward:
            if (found := self._index(definition, depth + 1)) is not None:
                return found
        return None


def _inside_examples(call: ast.Call) -> bool:
    """The axes that are rolled or flipped are written down, and the first, that of the examples, is none of them."""
    written = [k.value for k in call.keywords if k.arg in ("dims", "axis", "dim")]
    places = 2 if last_name(call.func) == "roll" else 1
    written += call.args[places:] if isinstance(call.func, ast.Attribute) else []
    axes = [constant_of(e) for w in written for e in (w.elts if isinstance(w, ast.Tuple | ast.List) else [w])]
    return bool(axes) and all(isinstance(axis, int) and axis != 0 for axis in axes)
