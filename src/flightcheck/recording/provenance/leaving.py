"""Loops around a training step that are left: in their first round whatever happens, or by an early stop."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from flightcheck.frozen import frozen
from flightcheck.recording.provenance.loops import loops_around, rounds_of
from flightcheck.recording.provenance.source import Source, end_of, last_name, line_of

_LOOPS = (ast.For, ast.AsyncFor, ast.While)
_BEST: Final = re.compile(r"best|min|max|low|high|prev|last|record|patien", re.IGNORECASE)
"""Names of what a metric was before."""
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)


@frozen
class Left:
    """A loop and the statement that leaves it."""

    file: str
    loop: int
    """The line of the loop."""
    line: int
    """The line of the ``break`` or ``return``."""
    word: str
    rounds: int | None = None
    """How often the loop would go round, where the source says so."""


def left_at_once(file: str, line: int) -> Left | None:
    """The loop around a line that goes round once at the most: its own block ends with ``break`` or ``return``.

    Args:
        file: the source file.
        line: a line of the training step.
    """
    try:
        for source, loop in loops_around(file, line):
            leaving = next((s for s in loop.body if isinstance(s, ast.Return | ast.Break)), None)
            rounds = rounds_of(source, loop)
            if leaving is None or rounds == 1 or any(_continues(s) for s in loop.body):
                continue
            if not any(s.lineno <= line <= end_of(s) for s in loop.body[: loop.body.index(leaving)]) and (
                source.path == file and loop.lineno <= line <= end_of(loop)
            ):
                continue  # what is trained on is taken from the loop, and used elsewhere
            word = "return" if isinstance(leaving, ast.Return) else "break"
            return Left(source.path, loop.lineno, leaving.lineno, word, rounds)
        return None
    except Exception:  # the promise of this package: odd sources have no answer, and are no error
        return None


def stopped_early(file: str, line: int) -> Left | None:
    """The only ``break`` by which an early stop leaves a loop around a line: one that a count of rounds decides.

    The count is a name or attribute that grows by one somewhere; or the test asks an object that the script made, which
    is then one of the script's own classes.

    Args:
        file: the source file.
        line: a line of the training step.
    """
    try:
        for source, loop in loops_around(file, line):
            found = [(b, test) for b, test in _breaks(loop) if _counts(source, test)]
            if len(found) == 1 and (rounds := rounds_of(source, loop)) is not None:
                return Left(source.path, loop.lineno, line_of(found[0][0]), "break", rounds)
        return None
    except Exception:  # as above
        return None


def _continues(node: ast.AST) -> bool:
    """A ``continue`` of this very loop: it may go round again."""
    if isinstance(node, (*_LOOPS, *_FUNCTIONS)):
        return False
    return isinstance(node, ast.Continue) or any(map(_continues, ast.iter_child_nodes(node)))


def _breaks(loop: ast.For | ast.AsyncFor) -> Iterator[tuple[ast.Break, ast.expr]]:
    """The ``break`` statements of this very loop that stand under a condition, with the innermost one."""

    def walk(node: ast.AST, test: ast.expr | None) -> Iterator[tuple[ast.Break, ast.expr]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Break) and test is not None:
                yield child, test
            elif not isinstance(child, (*_LOOPS, *_FUNCTIONS)):
                yield from walk(child, child.test if isinstance(child, ast.If) else test)

    yield from walk(loop, None)


def _counts(source: Source, test: ast.expr) -> bool:
    """The test is that of a counter of rounds without progress, also one inside of an object of the script's own."""
    grows = {
        last_name(n.target)
        for n in source.nodes
        if isinstance(n, ast.AugAssign) and isinstance(n.op, ast.Add) and ast.unparse(n.value) == "1"
        if _without_progress(source, n)
    }
    names = {last_name(n) for n in ast.walk(test) if isinstance(n, ast.Name | ast.Attribute)}
    if names & grows:
        return True
    for node in ast.walk(test):  # if stopper.stop:, if stopper(loss):, if stopper.step(loss):
        asked = node.func if isinstance(node, ast.Call) else node
        owner = asked.value if isinstance(asked, ast.Attribute) else asked
        if isinstance(owner, ast.Name) and _class_of(source, owner.id, grows):
            return True
    return False


def _without_progress(source: Source, grows: ast.AugAssign) -> bool:
    """It grows where a number was compared with the best one so far: not in every round (a number of steps to make),
    nor where a fixed goal was met.
    """
    for above in source.above(grows):
        if isinstance(above, (*_LOOPS, *_FUNCTIONS)):
            return False
        if isinstance(above, ast.If):
            compared = [n for n in ast.walk(above.test) if isinstance(n, ast.Name | ast.Attribute)]
            known = {last_name(n) for n in compared}
            flag = not any(isinstance(n, ast.Compare) for n in ast.walk(above.test))  # if better:
            return flag or any(map(_BEST.search, known)) or len(known & _given_anew(source, above)) > 1
    return False


def _given_anew(source: Source, node: ast.AST) -> set[str]:
    """Names and attributes that change while the training goes on: assigned in a loop, or in methods of one class."""
    around = [a for a in source.above(node) if isinstance(a, (*_LOOPS, ast.ClassDef))]
    within = (n for a in around for n in ast.walk(a) if isinstance(n, ast.Name | ast.Attribute))
    stored = {last_name(n) for n in within if isinstance(n.ctx, ast.Store)}
    given = {a.arg for f in source.above(node) if isinstance(f, ast.FunctionDef) for a in f.args.args}
    return stored | given


def _class_of(source: Source, name: str, grows: set[str]) -> bool:
    """The name is an object of a class of this file that counts something."""
    for node in source.nodes:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and len(node.targets) == 1:
            owner = source.classes.get(last_name(node.value.func))
            if owner is not None and last_name(node.targets[0]) == name:
                inside = (n for n in ast.walk(owner) if isinstance(n, ast.AugAssign))
                return any(last_name(n.target) in grows for n in inside)
    return False


def inside_out(file: str, line: int) -> Left | None:
    """A loop that counts epochs inside of the only other loop around a line, which goes over something else.

    Args:
        file: the source file.
        line: a line of the training step.

    Returns:
        As `loop` the inner loop, as `line` the outer one; None where there is no such pair.
    """
    try:
        around = loops_around(file, line)
        if len(around) != 2:
            return None
        (source, inner), (other, outer) = around
        rounds = rounds_of(source, inner)
        epochs = "epoch" in ast.unparse(inner.target).lower()
        if not epochs or rounds is None or rounds < 2 or rounds_of(other, outer) is not None or source is not other:
            return None
        return Left(source.path, inner.lineno, line_of(outer), "for", rounds)
    except Exception:  # as above
        return None
