"""Statements that keep a moving average of weights: those that change nothing, and those that never run."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Final

from flightcheck.recording.provenance.never_reached import never_reached
from flightcheck.recording.provenance.source import Source, last_name, line_of, read_source
from flightcheck.recording.provenance.vocabulary import words

_OF_ALL_MODELS: Final = words("self net network model q p param params parameters data state dict torch nn")
"""Words that do not tell one model from another."""
_GIVEN: Final = re.compile(r"(?<![=!<>])=(?!=)|\.load_state_dict\(")
"""Between what is given weights, and what they are of."""
_SYNCS: Final = re.compile(r"sync|polyak|soft_update|hard_update|update_target", re.IGNORECASE)
"""Names of functions that may do it, wherever they are defined."""
_MOST_FILES: Final = 50


def rebound_average(file: str) -> tuple[str, int] | None:
    """The line of ``for slow, fast in zip(…): slow = d * slow + (1 - d) * fast``, which changes no tensor."""
    try:
        source = read_source(file)
        for loop in source.nodes if source else ():
            if not isinstance(loop, ast.For):
                continue
            names = {n.id for n in ast.walk(loop.target) if isinstance(n, ast.Name)}
            for statement in ast.walk(loop):
                if _rebinds(loop, statement, names):
                    return file, line_of(statement)
        return None
    except Exception:  # the promise of this package: odd sources have no answer, and are no error
        return None


def _rebinds(loop: ast.For, statement: ast.AST, names: set[str]) -> bool:
    """A mix of two names of the loop becomes one of them, which nothing reads after it."""
    if not isinstance(statement, ast.Assign) or not _is_mix(statement.value):
        return False
    (target, *more) = statement.targets
    if more or not isinstance(target, ast.Name) or target.id not in names:
        return False
    used = {n.id for n in ast.walk(statement.value) if isinstance(n, ast.Name)} & names
    read = {n.id for n in ast.walk(loop) if isinstance(n, ast.Name) and n.lineno > (statement.end_lineno or 0)}
    return target.id in used and len(used) > 1 and target.id not in read


def _is_mix(value: ast.AST) -> bool:
    """``a * x + b * y``, with one factor that is one minus the other, as far as the text tells; or the same by calls
    that leave their tensor as it is: ``x.lerp(y, b)``, ``x.mul(a).add(y, alpha=b)``.
    """
    if isinstance(value, ast.Call) and last_name(value.func) == "lerp":
        return True
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr == "add":
        scaled = isinstance(value.func.value, ast.Call) and last_name(value.func.value.func) == "mul"
        given = [ast.unparse(k) for k in (*value.args, *value.keywords)]
        return scaled and any("1 - " in text or "1.0 - " in text for text in given)
    if not (isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add)):
        return False
    sides = [s for s in (value.left, value.right) if isinstance(s, ast.BinOp) and isinstance(s.op, ast.Mult)]
    factors = {ast.unparse(f) for s in sides for f in (s.left, s.right)}
    return len(sides) == 2 and any(f.startswith(("1 - ", "1.0 - ")) for f in factors)


def unused_update(file: str) -> tuple[str, int] | None:
    """The line of a function that updates a moving average in place, where nothing in the file names that function."""
    try:
        source = read_source(file)
        if source is None:
            return None
        named = {n.attr for n in source.nodes if isinstance(n, ast.Attribute)}
        named |= {n.id for n in source.nodes if isinstance(n, ast.Name)}
        for name, functions in source.functions.items():
            updating = [f for f in functions if any(map(_updates, ast.walk(f)))]
            if updating and name not in named and not name.startswith("__") and not _overrides(source, updating[0]):
                return file, line_of(updating[0])
        return None
    except Exception:  # as above
        return None


def unused_copying(file: str, made: str, files: Collection[str] = ()) -> tuple[str, int] | None:
    """The line of a function that copies weights into a second model, where nothing names that function.

    Args:
        file: where it may be defined. Python files beside it, or in the folder above, that import it may name it, too.
        made: the code of the line that made the second model's weights; the copying must be into what it names.
        files: others of the training, which may name it.
    """
    try:
        source = read_source(file)
        if source is None:
            return None
        own = _own_words(made)
        for name, functions in source.functions.items():
            copying = [f for f in functions if any(_words(into) & own for into in _copied_into(f))]
            if copying and len(functions) == 1 and not _may_be_called(source, name, copying[0], files):
                return file, line_of(copying[0])
        return None
    except Exception:  # as above
        return None


def follows_nowhere(file: str, made: str) -> bool:
    """No other statement of the file gives a second model its weights than the one that made it, or one that is never
    reached.

    Args:
        file: where its weights were made.
        made: the code of that line, which names the model by a word that its origin does not have.
    """
    try:
        source, own = read_source(file), _own_words(made)
        if source is None or not own:
            return False
        reached = [n for n in source.nodes if never_reached(source, n) is None]
        copied = sum(bool(_words(into) & own) for into in _copied_into(source.tree, reached))
        made_anew = [
            n for n in source.nodes
            if isinstance(n, ast.Assign) and any(_words(ast.unparse(t)) & own for t in n.targets)
            and isinstance(n.value, ast.Call) and last_name(n.value.func) in ("deepcopy", "clone", "copy")
        ]  # fmt: skip
        names = {last_name(c.func) for c in source.calls}
        syncs = any(_SYNCS.search(n) or (_words(n) & own and _words(n) - own) for n in names)
        return copied + len(made_anew) <= 1 and not syncs and not _handed_on(source, made)
    except Exception:  # as above
        return False


def unreached_copying(file: str, made: str) -> tuple[str, int] | None:
    """The line of a test that comes true after the end of its loop, and would give the second model its weights again.

    Args:
        file: where its weights were made.
        made: the code of that line.
    """
    try:
        source, own = read_source(file), _own_words(made)
        for node in source.nodes if source is not None and own else ():
            held = isinstance(node, ast.Call) and any(_words(into) & own for into in _copied_into(node, [node]))
            if source is not None and held and (test := never_reached(source, node)) is not None:
                return file, line_of(test)
        return None
    except Exception:  # as above
        return None


def _handed_on(source: Source, made: str) -> bool:
    """A function is given the model whose weights a line made, or values are assigned to the data of parameters."""
    into = _GIVEN.split(made)[0].strip()
    given = {ast.unparse(a) for c in source.calls for a in (*c.args, *(k.value for k in c.keywords))}
    targets = [t for n in source.nodes if isinstance(n, ast.Assign) for t in n.targets]
    return into in given or any(isinstance(t, ast.Attribute) and t.attr == "data" for t in targets)


def _copied_into(function: ast.AST, nodes: Iterable[ast.AST] | None = None) -> Iterator[str]:
    """What is given the weights of something else: ``target.load_state_dict(net.state_dict())``, ``p.copy_(q)``.

    Args:
        function: where.
        nodes: of it, those that count; all by default.
    """
    for node in ast.walk(function) if nodes is None else nodes:
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and len(node.args) == 1):
            continue
        given, held = node.args[0], ast.unparse(node.func.value)
        if node.func.attr == "load_state_dict":
            taken = isinstance(given, ast.Call) and isinstance(given.func, ast.Attribute) and given.func
            if taken and taken.attr == "state_dict" and ast.unparse(taken.value) != held:
                yield held
        elif node.func.attr in ("copy_", "lerp_") or _updates(node):
            yield held
            yield from _gone_through(function, held.partition(".")[0])


def _gone_through(function: ast.AST, name: str) -> Iterator[str]:
    """``target.parameters()`` of ``for p, q in zip(target.parameters(), net.parameters())``, for ``p``."""
    for loop in ast.walk(function):
        if isinstance(loop, ast.For) and isinstance(loop.target, ast.Tuple) and isinstance(loop.iter, ast.Call):
            for target, given in zip(loop.target.elts, loop.iter.args):
                if isinstance(target, ast.Name) and target.id == name:
                    yield ast.unparse(given)


def _own_words(made: str) -> set[str]:
    """The words in the name of a copy that its origin does not have: ``target`` of ``target_net = copy(net)``."""
    into, *of = _GIVEN.split(made)
    return _words(into) - _words(" ".join(of))


def _words(code: str) -> set[str]:
    return set(re.findall(r"[a-z]+", code.lower())) - _OF_ALL_MODELS


def _may_be_called(source: Source, name: str, function: ast.AST, files: Collection[str]) -> bool:
    """Something names the function, or a framework may know it by its name."""
    owner = source.owner(function)
    bases = {last_name(b) for b in owner.bases} if owner is not None else set()
    if name.startswith("__") or not bases <= {"Module", "object"} or name in ("forward", "reset_parameters"):
        return True
    for node in source.nodes:
        if name in (getattr(node, "attr", ""), getattr(node, "id", ""), getattr(node, "value", "")):
            return True
    here = Path(source.path).resolve()
    known = {Path(file).resolve() for file in files}
    beside = [p for place in (here.parent, here.parent.parent) for p in sorted(place.glob("*.py"))[:_MOST_FILES]]
    word, own = (re.compile(rf"\b{re.escape(text)}\b") for text in (name, here.stem))
    others = {p: p.read_text("utf-8", "replace") for p in {*known, *beside} - {here}}
    return any(word.search(text) and (p in known or own.search(text)) for p, text in others.items())


def updates(file: str) -> list[tuple[str, int]]:
    """The lines that update a moving average in place."""
    try:
        source = read_source(file)
        return [(file, line_of(c)) for c in source.calls if _updates(c)] if source else []
    except Exception:  # as above
        return []


def update_call(file: str, line: int) -> tuple[str, int] | None:
    """The only call, in the file, of the function in which a line updates an average; None where there is no function,
    or several calls may be of it.
    """
    try:
        source = read_source(file)
        call = next((c for c in source.calls if line_of(c) == line and _updates(c)), None) if source else None
        function = source.scope(call) if source is not None and call is not None else None
        if source is None or not isinstance(function, ast.FunctionDef):
            return None
        taken = len(function.args.args) - (source.owner(function) is not None)
        calls = [c for c in source.calls if last_name(c.func) == function.name]
        fitting = [c for c in calls if len(c.args) + len(c.keywords) == taken]
        return (file, line_of(fitting[0])) if len(fitting) == 1 else None
    except Exception:  # as above
        return None


def _updates(node: ast.AST) -> bool:
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return False
    if node.func.attr == "lerp_":
        return True
    held = node.func.value
    scaled = isinstance(held, ast.Call) and last_name(held.func) == "mul_"
    if node.func.attr == "add_" and scaled:
        return any("1 - " in ast.unparse(k) or "1.0 - " in ast.unparse(k) for k in [*node.args, *node.keywords])
    return node.func.attr == "copy_" and any(_is_mix(a) for a in node.args)


def _overrides(source: Source, function: ast.AST) -> bool:
    """A method of a class with a base: somebody else may call it."""
    owner = source.owner(function)
    return owner is not None and bool(owner.bases)
