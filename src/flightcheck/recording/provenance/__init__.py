"""Where a value comes from in the source: the line at which it is written or was last computed.

Everything here reads the text of the user's files with the standard library's `ast`; nothing is executed.
The functions answer with their best guess or with None, and never raise: a line that cannot be followed is no fault.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator

from flightcheck.recording.provenance.definitions import Value
from flightcheck.recording.provenance.follower import Follower
from flightcheck.recording.provenance.source import (
    Source,
    constant_of,
    end_of,
    last_name,
    line_of,
    read_source,
    walk_scope,
)
from flightcheck.recording.provenance.vocabulary import LOSSES, NOT_MODELS, UNKNOWN_LOOPS

__all__ = [
    "argument_data_origin",
    "argument_origin",
    "difference_data_origin",
    "in_every_nth_round",
    "loop_count",
    "order_origin",
    "value_origin",
]


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


def argument_value(source: Source, line: int, keyword: str, position: int | None, losses: bool = False) -> Value | None:
    calls = [c for c in source.calls if c.lineno <= line <= end_of(c)]
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


def value_origin(file: str, line: int, name: str | None, function: str = "") -> tuple[str, int] | None:
    """The line at which the data that reach a variable or expression were last computed.

    Arithmetic counts before mere conversions (``torch.tensor(X)``, ``.float()``), and these before the line that
    loaded the data.

    Args:
        file: the source file.
        line: the line that uses the value.
        name: the variable or expression, for example ``x`` or ``batch["x"]``; None is the first argument of the
            first call on the line.
        function: name of the function that holds the line, where the line alone is not enough.

    Returns:
        File and line, or None when the value cannot be followed.
    """
    try:
        source = read_source(file)
        node = _expression(source, line, name, function) if source else None
        if source is None or node is None:
            return None
        return Follower(line).data(Value(source, node))
    except Exception:  # as above
        return None


def argument_data_origin(file: str, line: int, keyword: str, position: int | None) -> tuple[str, int] | None:
    """Where the data given as one argument of the call at a line were last computed.

    As `value_origin`, but for example for the target of a loss: ``("train.py", 40, "target", 1)``.
    """
    try:
        source = read_source(file)
        argument = argument_value(source, line, keyword, position, losses=True) if source else None
        return Follower(line).data(argument) if argument is not None else None
    except Exception:  # as above
        return None


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


def order_origin(file: str, line: int, name: str | None, function: str = "") -> tuple[str, int] | None:
    """The line that decides which examples a hand-made batch holds, and in which order.

    As `value_origin`, but follows the index of the last indexing (``X[order[i : i + 32]]`` leads to
    ``order = torch.randperm(len(X))``, ``X[i : i + 32]`` to the loop over ``i``).
    """
    try:
        source = read_source(file)
        node = _expression(source, line, name, function) if source else None
        if source is None or node is None:
            return None
        found = Follower(line).order(Value(source, node))
        return found.place if found is not None else None
    except Exception:  # as above
        return None


def _expression(source: Source, line: int, name: str | None, function: str) -> ast.AST | None:
    if name is None:
        calls = [c for c in source.calls if c.lineno <= line <= end_of(c)]
        calls = [c for c in calls if c.args and not isinstance(c.args[0], ast.Constant)]
        calls.sort(key=lambda c: (_around_model(source, c), c.lineno != line, c.col_offset))
        return calls[0].args[0] if calls else None
    wanted = ast.unparse(ast.parse(name, mode="eval"))
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.expr) or not node.lineno == node.end_lineno == line or _stored(node):
            continue
        if ast.unparse(node) == wanted:
            return node
    return _planted(source, line, name, function)


def _around_model(source: Source, call: ast.Call) -> bool:
    """The call is rather a loss or a library function around the model's call than that itself."""
    module = isinstance(call.func, ast.Attribute) and Follower()._is_module(source, call.func.value)
    return module or bool(NOT_MODELS.search(last_name(call.func)))


def _stored(node: ast.expr) -> bool:
    return isinstance(getattr(node, "ctx", None), ast.Store)


def _planted(source: Source, line: int, name: str, function: str) -> ast.AST | None:
    """The expression as if it stood at the line, inside the function there."""
    expression = ast.parse(name, mode="eval").body
    functions = source.functions.get(function, []) if function else []
    if not functions:
        functions = [f for several in source.functions.values() for f in several]
    around = [f for f in functions if f.lineno <= line <= end_of(f)]
    parent: ast.AST = max(around, key=lambda f: f.lineno) if around else source.tree
    for node in ast.walk(expression):
        for child in ast.iter_child_nodes(node):
            source.parents[child] = node
        if isinstance(node, ast.expr):
            node.lineno = node.end_lineno = line
    source.parents[expression] = parent
    return expression


def loop_count(file: str, line: int, frame_values: dict[str, int | float]) -> int | None:
    """The planned number of epochs: how often the outermost counting loop around a line goes round.

    Args:
        file: the source file.
        line: a line of the training step.
        frame_values: numbers known while running, by name (``EPOCHS``, ``args.epochs``); they win over the source.

    Returns:
        The count of the loop over epochs, in this function or around a call of it; None where no loop counts, or only
        the innermost one, which goes over batches or steps unless its variable is named after epochs.
    """
    try:
        loops = _counts(file, line, frame_values)
        counted = [(loop, n) for loop, n in loops if n is not None]
        if not counted:
            return None
        for loop, rounds in counted:
            if "epoch" in ast.unparse(loop.target).lower():
                return rounds
        # The innermost loop goes over batches or steps: its count is no number of epochs.
        counted = [c for c in counted if c[0] is not loops[0][0]]
        plausible = [n for loop, n in counted if not ast.unparse(loop.target).lower().startswith(UNKNOWN_LOOPS)]
        return plausible[-1] if plausible else None
    except Exception:  # as above
        return None


def round_count(file: str, line: int) -> int | None:
    """The planned rounds of a line in all, where every loop around it counts: a loop over steps, say.

    Args:
        file: the source file.
        line: a line of the training step.
    """
    try:
        counts = [n for _, n in _counts(file, line, {})]
        known = [n for n in counts if n is not None]
        return math.prod(known) if known and len(known) == len(counts) else None
    except Exception:  # as above
        return None


def _counts(file: str, line: int, known: dict[str, int | float]) -> list[tuple[ast.For | ast.AsyncFor, int | None]]:
    """The loops around a line, inner ones first, and how often each goes round; None if that is not known."""
    source = read_source(file)
    if source is None:
        return []
    around = [n for n in ast.walk(source.tree) if isinstance(n, ast.stmt) and n.lineno <= line <= end_of(n)]
    if not around:
        return []
    inner = max(around, key=lambda n: (n.lineno, -end_of(n)))
    return [(loop, _rounds(source, loop, known)) for loop in _loops(source, inner, 0)]


def in_every_nth_round(file: str, line: int) -> bool:
    """The line runs only when a counter is a multiple of something: under ``if (i + 1) % n == 0``, inside a loop."""
    try:
        source = read_source(file)
        if source is None:
            return False
        around = [n for n in ast.walk(source.tree) if isinstance(n, ast.stmt) and n.lineno <= line <= end_of(n)]
        for node in sorted(around, key=lambda n: -n.lineno):
            if isinstance(node, ast.For | ast.AsyncFor | ast.While | ast.FunctionDef | ast.AsyncFunctionDef):
                return False
            if isinstance(node, ast.If) and line > end_of(node.test):
                tests = [node.test, *(d.node for d in Follower()._definitions(Value(source, node.test)))]
                if any(isinstance(n, ast.BinOp) and isinstance(n.op, ast.Mod) for t in tests for n in ast.walk(t)):
                    return True
        return False
    except Exception:  # as above
        return False


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


def _loops(source: Source, node: ast.AST, depth: int) -> Iterator[ast.For | ast.AsyncFor]:
    """The loops around a node, inner ones first, then those around the calls of its function."""
    function: ast.FunctionDef | ast.AsyncFunctionDef | None = None
    for parent in source.above(node):
        if isinstance(parent, ast.For | ast.AsyncFor):
            yield parent
        elif isinstance(parent, ast.FunctionDef | ast.AsyncFunctionDef):
            function = parent
            break
    if function is None or depth >= 4:
        return
    calls = [c for c in Follower()._calls_of(source, function) if not Follower()._holds(source, function, c)]
    for call in calls[:3]:
        yield from _loops(source, call, depth + 1)
    if source.owner(function) is None and not isinstance(source.scope(function), ast.Module):
        yield from _loops(source, function, depth + 1)  # a closure: what encloses its definition may loop


def _rounds(source: Source, loop: ast.For | ast.AsyncFor, known: dict[str, int | float]) -> int | None:
    iterated: ast.AST = loop.iter
    while isinstance(iterated, ast.Call) and last_name(iterated.func) not in ("range", "trange"):
        if last_name(iterated.func) not in ("tqdm", "enumerate", "track", "progress_bar", "reversed", "notebook_tqdm"):
            return None
        if not iterated.args:
            return None
        iterated = iterated.args[0]
    if isinstance(iterated, ast.Name):  # bar = tqdm(range(EPOCHS))
        for definition in Follower()._definitions(Value(source, iterated)):
            if isinstance(definition.node, ast.Call) and not definition.path:
                copy = ast.For(target=loop.target, iter=definition.node, body=[], orelse=[])
                return _rounds(source, copy, known)
        return None
    if not isinstance(iterated, ast.Call) or not 1 <= len(iterated.args) <= 2:
        return None
    numbers = [_number(Value(source, a), known, 0) for a in iterated.args]
    if any(n is None for n in numbers):
        return None
    stop, start = numbers[-1] or 0, (numbers[0] or 0) if len(numbers) == 2 else 0
    return max(int(stop - start), 0)


def _number(value: Value, known: dict[str, int | float], depth: int) -> float | None:
    """The number an expression stands for; None also for sizes of data."""
    node = value.node
    if depth > 8 or not isinstance(node, ast.expr):
        return None
    constant = constant_of(node)
    if isinstance(constant, int | float) and not isinstance(constant, bool):
        return constant
    text = ast.unparse(node)
    if isinstance(node, ast.Name | ast.Attribute | ast.Subscript) and text in known:
        return known[text]
    if isinstance(node, ast.BinOp):
        left, right = (_number(value.of(n), known, depth + 1) for n in (node.left, node.right))
        if left is None or right is None:
            return None
        match node.op:
            case ast.Add():
                return left + right
            case ast.Sub():
                return left - right
            case ast.Mult():
                return left * right
            case ast.Div() | ast.FloorDiv() if right:
                return left / right if isinstance(node.op, ast.Div) else left // right
        return None
    if isinstance(node, ast.Call):
        if last_name(node.func) in ("int", "round", "max", "min") and len(node.args) == 1:
            return _number(value.of(node.args[0]), known, depth + 1)
        return None
    found = Follower().literal(value)
    if found is None or found.node is node:
        return None
    return _number(found, known, depth + 1)
