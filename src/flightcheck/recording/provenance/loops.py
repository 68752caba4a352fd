"""How often a line of the training runs: the loops around it, as far as the source says how often they go round."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator
from functools import lru_cache
from typing import TypeAlias

from flightcheck.frozen import frozen
from flightcheck.recording.provenance.follower import Follower
from flightcheck.recording.provenance.source import Source, Value, constant_of, end_of, last_name, line_of, read_source
from flightcheck.recording.provenance.vocabulary import UNKNOWN_LOOPS

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_LOOPS = (ast.For, ast.AsyncFor, ast.While, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_ENDS = (*_FUNCTIONS, *_LOOPS)
_WRAPPERS = ("tqdm", "enumerate", "track", "progress_bar", "reversed", "notebook_tqdm")
"""Functions that go over what they are given, element by element."""

_OUTPUT = frozenset(
    {
        "print",
        "info",
        "debug",
        "log",
        "write",
        "add_scalar",
        "add_scalars",
        "set_postfix",
        "set_description",
        "log_metric",
    }
)
"""Functions that tell how the training is doing."""

_Counted: TypeAlias = "tuple[ast.For | ast.AsyncFor, int | None]"


@frozen
class EpochLoop:
    """A loop over epochs: its lines, and the variable that counts them."""

    file: str
    first: int
    last: int
    variable: str


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
        found = over_epochs(_counts(file, line, frame_values))
        return found[1] if found is not None else None
    except Exception:  # as above
        return None


def epoch_loop(file: str, line: int) -> EpochLoop | None:
    """The loop whose rounds `loop_count` counts, where a variable of its own tells them apart.

    Args:
        file: the source file.
        line: a line of the training step.
    """
    try:
        found = over_epochs(_counts(file, line, {}))
        if found is None:
            return None
        loop = found[0]
        targets = loop.target.elts if isinstance(loop.target, ast.Tuple) else [loop.target]
        first = targets[0]
        if not isinstance(first, ast.Name) or first.id.startswith("_"):
            return None  # a name that inner loops often have as well
        return EpochLoop(file, loop.lineno, end_of(loop), first.id)
    except Exception:  # as above
        return None


def over_epochs(loops: list[_Counted]) -> tuple[ast.For | ast.AsyncFor, int] | None:
    """The loop over epochs among those around a line, inner ones first, and how often it goes round."""
    counted = [(loop, n) for loop, n in loops if n is not None]
    for loop, rounds in counted:
        if "epoch" in ast.unparse(loop.target).lower():
            return loop, rounds
    # The innermost loop goes over batches or steps: its count is no number of epochs.
    counted = [c for c in counted if c[0] is not loops[0][0]]
    plausible = [c for c in counted if not ast.unparse(c[0].target).lower().startswith(UNKNOWN_LOOPS)]
    return plausible[-1] if plausible else None


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


def _counts(file: str, line: int, known: dict[str, int | float]) -> list[_Counted]:
    """The loops around a line, inner ones first, and how often each goes round; None if that is not known."""
    return [(loop, _rounds(source, loop, known)) for source, loop in loops_around(file, line)]


@lru_cache(maxsize=256)
def goes_round(file: str, line: int) -> bool:
    """The line stands in a loop or comprehension of its own function."""
    try:
        source = read_source(file)
        if source is None:
            return False
        around = source.around(line, *_ENDS)
        inner = max(around, key=lambda n: (line_of(n), -end_of(n)), default=None)
        return isinstance(inner, _LOOPS)
    except Exception:  # as above
        return False


def in_every_nth_round(file: str, line: int) -> bool:
    """The line runs only when a counter is a multiple of something: under ``if (i + 1) % n == 0``, inside a loop."""
    try:
        source = read_source(file)
        if source is None:
            return False
        around = source.around(line, ast.stmt)
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


def goes_to_the_end(file: str, line: int) -> bool:
    """A ``for`` statement over a loader, given by its line, has no way out and skips no batch.

    Where a loss is not finite a loop may be left all the same.
    """
    try:
        source = read_source(file)
        loops = [n for n in source.nodes if isinstance(n, ast.For)] if source else []
        loops = [n for n in loops if n.iter.lineno <= line <= end_of(n.iter)]
        if source is None or len(loops) != 1:
            return False
        iterated: ast.AST = loops[0].iter
        while isinstance(iterated, ast.Call) and last_name(iterated.func) in _WRAPPERS and iterated.args:
            iterated = iterated.args[0]
        if not isinstance(iterated, ast.Name | ast.Attribute | ast.Subscript):
            return False
        return not any(map(_leaves, loops[0].body))
    except Exception:  # as above
        return False


def _leaves(node: ast.AST) -> bool:
    """The statement may end the loop around it, skip the rest of a round, or hand over to another place."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
        return False
    if isinstance(node, ast.If) and any(word in ast.unparse(node.test) for word in ("isnan", "isinf", "isfinite")):
        return False
    if isinstance(node, ast.Break | ast.Continue | ast.Return | ast.Yield | ast.YieldFrom | ast.Try):
        return True
    return any(map(_leaves, ast.iter_child_nodes(node)))


def asks_for_one_example(file: str) -> bool:
    """The code compares the length of something with 1 or 2, as a guard against batches of one example would."""
    try:
        source = read_source(file)
        if source is None:
            return True
        assigned = [n for n in source.nodes if isinstance(n, ast.Assign) and _lengths(n.value)]
        named = {e.id for n in assigned for t in n.targets for e in ast.walk(t) if isinstance(e, ast.Name)}
        for node in source.nodes:
            if isinstance(node, ast.Compare):
                sides = [node.left, *node.comparators]
                names = {n.id for side in sides for n in ast.walk(side) if isinstance(n, ast.Name)}
                if any(constant_of(s) in (1, 2) for s in sides) and (names & named or any(map(_lengths, sides))):
                    return True
        return False
    except Exception:  # as above
        return True


def _lengths(node: ast.AST) -> bool:
    """An expression with the length of something in it, or with a first dimension."""
    for n in ast.walk(node):
        if isinstance(n, ast.Call) and last_name(n.func) == "len" and "argv" not in ast.unparse(n):
            return True
        if isinstance(n, ast.Attribute) and n.attr in ("shape", "size"):
            return True
    return False


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
        if last_name(iterated.func) not in _WRAPPERS:
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


def beside_output(file: str, line: int) -> bool:
    """The line stands in an ``if`` inside a loop, together with what prints or logs, and without a ``zero_grad``."""
    try:
        source = read_source(file)
        if source is None:
            return False
        around = source.around(line, ast.stmt)
        for node in sorted(around, key=lambda n: -n.lineno):
            if isinstance(node, ast.For | ast.AsyncFor | ast.While | ast.FunctionDef | ast.AsyncFunctionDef):
                return False
            if isinstance(node, ast.If) and line > end_of(node.test):
                called = {last_name(n.func) for s in node.body for n in ast.walk(s) if isinstance(n, ast.Call)}
                return bool(called & _OUTPUT) and "zero_grad" not in called
        return False
    except Exception:  # as above
        return False


def loops_around(file: str, line: int) -> list[tuple[Source, ast.For | ast.AsyncFor]]:
    """The loops around a line, inner ones first, then those around the calls of its function, with their files.

    May raise what the caller has to answer for.
    """
    source = read_source(file)
    around = [n for n in source.nodes if isinstance(n, ast.stmt)] if source else []
    around = [n for n in around if n.lineno <= line <= end_of(n)]
    if source is None or not around:
        return []
    return [(source, loop) for loop in _loops(source, max(around, key=lambda n: (n.lineno, -end_of(n))), 0)]


def rounds_of(source: Source, loop: ast.For | ast.AsyncFor) -> int | None:
    """How often a loop goes round, where the source says so."""
    return _rounds(source, loop, {})


def number_of(source: Source, node: ast.expr) -> float | None:
    """The number that an expression stands for, where the source says so."""
    return _number(Value(source, node), {}, 0)
