"""Where a value comes from in the source: the line at which it is written or was last computed.

Everything here reads the text of the user's files with the standard library's `ast`; nothing is executed.
The functions answer with their best guess or with None, and never raise: a line that cannot be followed is no fault.
"""

from __future__ import annotations

import ast
from typing import TypeAlias

from flightcheck.recording.provenance.callers import Callers
from flightcheck.recording.provenance.counters import continued_loop
from flightcheck.recording.provenance.dividing_data import Division, divided_by
from flightcheck.recording.provenance.expressions import value_at
from flightcheck.recording.provenance.follower import Follower
from flightcheck.recording.provenance.loops import (
    asks_for_one_example,
    beside_output,
    goes_to_the_end,
    in_every_nth_round,
    loop_count,
    round_count,
)
from flightcheck.recording.provenance.source import (
    Source,
    Value,
    constant_of,
    end_of,
    last_name,
    line_of,
    read_source,
    walk_scope,
)
from flightcheck.recording.provenance.statements import freezing, skipped_step
from flightcheck.recording.provenance.vocabulary import LOSSES

__all__ = [
    "Order",
    "argument_data_origin",
    "argument_orders",
    "argument_origin",
    "asks_for_one_example",
    "attribute_write",
    "beside_output",
    "continued_loop",
    "data_divisions",
    "difference_data_origin",
    "freezing",
    "goes_to_the_end",
    "in_every_nth_round",
    "loop_count",
    "order_origin",
    "orders",
    "rate_write",
    "round_count",
    "skipped_step",
    "value_maker",
    "value_origin",
    "value_request",
]

Order: TypeAlias = "tuple[tuple[str, int], tuple[str, int]]"
"""File and line of what makes an order or an index, and of what puts a value in this order."""


def argument_origin(file: str, line: int, keyword: str, position: int | None) -> tuple[str, int] | None:
    """Where the value of a call's argument is written.

    Args:
        file: the source file.
        line: a line of the call.
        keyword: name of the argument, for example ``lr``.
        position: its position when it is given without the name, None if it must be named.

    Returns:
        File and line of the literal (of the default of a command-line option, the entry of a dictionary, the field
        of a dataclass …), the line of the argument itself when it cannot be followed further, and None when there is
        no such argument.
    """
    try:
        source = read_source(file)
        argument = argument_value(source, line, keyword, position) if source else None
        if argument is None:
            return None
        found = Follower(line).literal(argument)
        if found is None:
            return (argument.place[0], line_of(argument.node)) if not argument.path else None
        return found.place
    except Exception:  # the promise: odd sources have no origin, and are no error
        return None


def argument_value(
    source: Source, line: int, keyword: str, position: int | None, *, losses: bool = False, callee: str = ""
) -> Value | None:
    calls = [c for c in source.calls if c.lineno <= line <= end_of(c) and callee in ("", last_name(c.func))]
    calls.sort(key=lambda c: (c.lineno != line, end_of(c) - c.lineno, c.col_offset))
    if losses:
        calls.sort(key=lambda c: not LOSSES.search(last_name(c.func).lower()))
    for call in calls:
        for k in call.keywords:
            if k.arg == keyword:
                return Value(source, k.value)
    for call in calls:
        if (
            position is not None
            and len(call.args) > position
            and not any(isinstance(a, ast.Starred) for a in call.args[: position + 1])
        ):
            return Value(source, call.args[position])
    for call in calls:
        options = [Value(source, k.value, (keyword,)) for k in call.keywords if k.arg is None]
        groups = [Value(source, a, (keyword,)) for a in call.args[:1]]
        partials = [Value(source, call.func, (keyword,))] if isinstance(call.func, ast.Name) else []
        for value in (*options, *groups, *partials):
            if Follower(line).literal(value) is not None:
                return value
    return None


def value_origin(
    file: str, line: int, name: str | None, function: str = "", callers: Callers = ()
) -> tuple[str, int] | None:
    """The line at which the data that reach a variable or expression were last computed.

    Arithmetic counts before mere conversions (``torch.tensor(X)``, ``.float()``), and these before the line that
    loaded the data.

    Args:
        file: the source file.
        line: the line that uses the value.
        name: the variable or expression, for example ``x`` or ``batch["x"]``; None is the first argument of the
            first call on the line.
        function: name of the function that holds the line, where the line alone is not enough.
        callers: the calls that led to the line; without them all calls of a function are followed.

    Returns:
        File and line, or None when the value cannot be followed.
    """
    try:
        value = value_at(file, line, name, function, callers)
        if value is None:
            return None
        return Follower(line).data(value)
    except Exception:  # as above
        return None


def value_calls(
    file: str, line: int, name: str | None, function: str = "", callers: Callers = ()
) -> tuple[tuple[str, int] | None, tuple[str, int] | None]:
    """The lines that call the user's own functions in which `value_origin` lies: of nested calls the outermost, and the
    innermost where no loop goes round it (else it is called for each of several groups).

    The same function may prepare several data: then only the lines that call it tell them apart.

    Returns:
        File and line of each; None where no function that the user's code calls for them computed the values.
    """
    try:
        value = value_at(file, line, name, function, callers)
        if value is None:
            return None, None
        follower = Follower(line)
        follower.data(value)
        if not follower.entered:
            return None, None
        return follower.entered[-1].place, follower.maker.place if follower.maker is not None else None
    except Exception:  # as above
        return None, None


def argument_data_origin(
    file: str, line: int, keyword: str, position: int | None, callee: str = ""
) -> tuple[str, int] | None:
    """Where the data given as one argument of the call at a line were last computed.

    As `value_origin`, but for example for the target of a loss: ``("train.py", 40, "target", 1)``. Where the line holds
    several calls, `callee` is the last name of the one that is meant.
    """
    try:
        source = read_source(file)
        argument = argument_value(source, line, keyword, position, losses=True, callee=callee) if source else None
        return Follower(line).data(argument) if argument is not None else None
    except Exception:  # as above
        return None


def argument_orders(file: str, line: int, keyword: str, position: int | None) -> list[Order]:
    """As `orders`, for one argument of the call at a line: what put a loss's target in order."""
    try:
        source = read_source(file)
        argument = argument_value(source, line, keyword, position, losses=True) if source else None
        return _orders(line, argument) if argument is not None else []
    except Exception:  # as above
        return []


def difference_data_origin(file: str, line: int, side: str) -> tuple[str, int] | None:
    """Where the data on one side, ``left`` or ``right``, of the only minus between two values of a line come from."""
    try:
        source = read_source(file)
        found = [
            n for n in ast.walk(source.tree if source else ast.Module([], []))
            if isinstance(n, ast.BinOp) and isinstance(n.op, ast.Sub) and n.lineno <= line <= end_of(n)
        ]  # fmt: skip
        if source is None or len(found) != 1:
            return None
        return Follower(line).data(Value(source, getattr(found[0], side)))
    except Exception:  # as above
        return None


def order_origin(
    file: str, line: int, name: str | None, function: str = "", callers: Callers = ()
) -> tuple[str, int] | None:
    """The line that decides which examples a hand-made batch holds, and in which order.

    As `value_origin`, but follows the index of the last indexing (``X[order[i : i + 32]]`` leads to
    ``order = torch.randperm(len(X))``, ``X[i : i + 32]`` to the loop over ``i``).
    """
    try:
        value = value_at(file, line, name, function, callers)
        if value is None:
            return None
        found = Follower(line).order(value)
        return found.place if found is not None else None
    except Exception:  # as above
        return None


def orders(file: str, line: int, name: str | None, function: str = "", callers: Callers = ()) -> list[Order]:
    """As `order_origin`, all such lines on the way back from a value, the last one first: shuffles and sorts, too.

    Each with the line that puts the value in this order.
    """
    try:
        value = value_at(file, line, name, function, callers)
        return [] if value is None else _orders(line, value)
    except Exception:  # as above
        return []


def data_divisions(file: str, line: int, name: str | None, function: str = "", callers: Callers = ()) -> list[Division]:
    """Where a value was divided by a number on its way to a line, and by which; the last division first."""
    try:
        value = value_at(file, line, name, function, callers)
        return [] if value is None else divided_by(value, line)
    except Exception:  # as above
        return []


def _orders(line: int, value: Value) -> list[Order]:
    found: dict[tuple[str, int], tuple[str, int]] = {}
    for made, used in Follower(line).orders(value):
        found.setdefault(made.place, used.place)
    return list(found.items())


def attribute_write(file: str, owner: str, attribute: str) -> tuple[str, int] | None:
    """The first line of a class that assigns to ``self.attribute``.

    Args:
        file: the source file of the class.
        owner: name of the class.
        attribute: name of the attribute.
    """
    try:
        source = read_source(file)
        there = source.classes.get(owner) if source else None
        for node in ast.walk(there) if there is not None else ():
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            if isinstance(node, ast.Assign | ast.AnnAssign) and any(
                ast.unparse(t) == f"self.{attribute}" for several in targets for t in _each(several)
            ):
                return file, line_of(node)
        return None
    except Exception:  # as above
        return None


def _each(target: ast.AST | None) -> list[ast.AST]:
    """The targets of an assignment, those of a tuple one by one."""
    if isinstance(target, ast.Tuple | ast.List):
        return [t for e in target.elts for t in _each(e)]
    return [] if target is None else [target]


def rate_write(file: str) -> tuple[str, int] | None:
    """The only line of a file that sets a learning rate by hand: ``group["lr"] = …``.

    Args:
        file: the source file of the optimizer's step.

    Returns:
        File and line; None if there is no such line, or more than one.
    """
    try:
        source = read_source(file)
        written: list[ast.AST] = []
        for node in source.nodes if source else ():
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            if isinstance(node, ast.Assign | ast.AugAssign) and any(
                isinstance(t, ast.Subscript) and constant_of(t.slice) == "lr" for t in targets
            ):
                written.append(node)
        return (file, line_of(written[0])) if len(written) == 1 else None
    except Exception:  # as above
        return None


def keeps_graph(file: str, line: int) -> tuple[str, int] | None:
    """The line that adds a loss with its graph to a sum or a list: ``total += loss``, ``losses.append(loss)``.

    Args:
        file: the source file.
        line: the line of ``loss.backward()``.

    Returns:
        File and line in the same function or script, None if there is no such line.
    """
    try:
        source = read_source(file)
        calls = [c for c in source.calls if c.lineno <= line <= end_of(c)] if source else []
        names = {n.id for c in calls for n in ast.walk(c) if isinstance(n, ast.Name)}
        if source is None or not names:
            return None
        lines: list[int] = []
        for node in walk_scope(source.scope(calls[0])):
            added: ast.AST | None = None
            if isinstance(node, ast.AugAssign):
                added = node.value
            elif isinstance(node, ast.Call) and last_name(node.func) == "append" and node.args:
                added = node.args[0]
            elif isinstance(node, ast.Assign) and isinstance(node.value, ast.BinOp):
                targets = {ast.unparse(t) for t in node.targets}
                sides = (node.value.left, node.value.right)
                added = node.value if targets & {ast.unparse(side) for side in sides} else None
            if added is not None and not any(isinstance(n, ast.Call) for n in ast.walk(added)):
                held = {n.id for n in ast.walk(added) if isinstance(n, ast.Name)}
                if held & names:
                    lines.append(line_of(node))
        after = sorted(lines, key=lambda n: (n < line, n))
        return (file, after[0]) if after else None
    except Exception:  # as above
        return None
