"""Does one mask choose what a model is shown, and the elements of its loss?"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import Final

from flightcheck.frozen import frozen
from flightcheck.recording.provenance.source import Source, end_of, last_name, line_of, read_source, walk_scope

_CHOOSING: Final = frozenset({"masked_fill", "masked_fill_", "masked_select", "where"})
_PLAIN: Final = ("len", "float", "int", "print", "tuple", "list", "zip", "range", "enumerate", "sum", "max", "min")


@frozen
class Shown:
    """The statement, its mask, and the statement that calls the model."""

    line: int
    name: str
    call: int


def masks_of_shown(file: str, line: int) -> Shown | None:
    """The first such statement before a backward pass, in the same function and the same loop.

    A mask over token ids (``ids != pad``) hides padding, and belongs in both places: it is none.

    Args:
        file: the source file.
        line: of the backward pass.
    """
    try:
        source = read_source(file)
        return None if source is None else next(_masks(source, line), None)
    except Exception:  # the promise of this package: odd sources have no answer, and are no error
        return None


def _masks(source: Source, line: int) -> Iterator[Shown]:
    before = [s for s in _block(source, line) if line_of(s) <= line]
    made: set[str] = set()
    given: dict[str, int] = {}
    for statement in before:
        for call in (n for n in ast.walk(statement) if isinstance(n, ast.Call) and _is_of_model(n)):
            for name in _masks_given(call):
                given.setdefault(name, line_of(statement))
                made |= _bound(statement)
        if made & _read(statement):
            chosen = {n for n in _choosing(statement) if n in given and given[n] < line_of(statement)}
            for name in sorted(chosen):
                if not _hides_padding(source, statement, name):
                    yield Shown(line_of(statement), name, given[name])
            made |= _bound(statement)


def _block(source: Source, line: int) -> list[ast.stmt]:
    """The simple statements of the innermost loop or function around a line, in their order."""
    around = source.around(line, ast.For, ast.While, ast.FunctionDef)
    held: Iterable[ast.AST] = ast.walk(around[-1]) if around else walk_scope(source.tree)
    simple = [n for n in held if isinstance(n, ast.stmt) and not hasattr(n, "body")]
    return sorted(simple, key=line_of)


def _is_of_model(call: ast.Call) -> bool:
    """``net(x)``, ``self.model(x)``; no function of a library, and no method of a value."""
    if isinstance(call.func, ast.Name):
        return call.func.id not in _PLAIN
    owner = call.func.value if isinstance(call.func, ast.Attribute) else None
    return isinstance(owner, ast.Name) and owner.id == "self" and not last_name(call.func).startswith("log")


def _masks_given(call: ast.Call) -> Iterator[str]:
    """Names that are an argument by themselves or a factor of one, beside another argument or factor."""
    arguments = [*call.args, *(k.value for k in call.keywords)]
    for argument in arguments:
        if isinstance(argument, ast.Name) and len(arguments) > 1:
            yield argument.id
        yield from _factors(argument)


def _factors(node: ast.AST) -> Iterator[str]:
    """``mask`` of ``x * mask``, ``x * (1 - mask)``, ``x.masked_fill(mask, 0)`` and ``where(mask, x, y)``."""
    for part in ast.walk(node):
        if isinstance(part, ast.BinOp) and isinstance(part.op, ast.Mult):
            for side in (part.left, part.right):
                yield from (n.id for n in ast.walk(side) if isinstance(n, ast.Name))
        if isinstance(part, ast.Call) and last_name(part.func) in _CHOOSING and part.args:
            yield from (n.id for n in ast.walk(part.args[0]) if isinstance(n, ast.Name))


def _choosing(statement: ast.stmt) -> Iterator[str]:
    """Names by which a statement chooses elements: arguments of ``masked_fill``, indices, and factors it has twice,
    as ``(err * mask).sum() / mask.sum()`` has.
    """
    read = [n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)]
    yield from (name for name in _factors(statement) if read.count(name) > 1)
    for part in ast.walk(statement):
        chosen: list[ast.expr] = []
        if isinstance(part, ast.Subscript) and isinstance(part.ctx, ast.Load):
            chosen = [part.slice]
        elif isinstance(part, ast.Call) and last_name(part.func) in _CHOOSING:
            chosen = part.args[:1]
        yield from (n.id for c in chosen for n in ast.walk(c) if isinstance(n, ast.Name))


def _read(statement: ast.stmt) -> set[str]:
    return {n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}


def _bound(statement: ast.stmt) -> set[str]:
    return {n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def _hides_padding(source: Source, statement: ast.stmt, name: str) -> bool:
    """The mask is made by a comparison with one value, as token ids with that of padding."""
    bound = source.bindings(source.scope(statement)).get(name, [])
    before = [b.node for b in bound if b.line < end_of(statement)]
    compared = (n for b in before for n in ast.walk(b) if isinstance(n, ast.Compare))
    return not before or any(isinstance(o, ast.Eq | ast.NotEq) for c in compared for o in c.ops)
