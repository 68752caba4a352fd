"""Statements of a user's file written anew, by their syntax: what a trial runs, and what a report shows.

A rule changes a statement and keeps the number of lines, so that every other line keeps its place.
"""

from __future__ import annotations

import ast
import copy
import functools
from collections.abc import Callable, Iterator
from typing import Final

from flightcheck.recording.block_rules import Change, changed, is_of_blocks
from flightcheck.recording.carried import carried, is_carried
from flightcheck.recording.going_on import going_on
from flightcheck.recording.indenting import RULES as MOVING
from flightcheck.recording.indenting import reindented
from flightcheck.recording.missing_values import marked
from flightcheck.recording.negations import with_negations
from flightcheck.recording.numbering import kept
from flightcheck.recording.offsets import double, from_zero, single
from flightcheck.recording.places import later, unturned, with_known
from flightcheck.recording.separating import HELPER, assigned, frozen, handed_out, in_place, separated
from flightcheck.recording.shares import with_share
from flightcheck.recording.shown_masks import is_of_others, of_others
from flightcheck.recording.unactivated import unactivated
from flightcheck.recording.uncut import uncut
from flightcheck.recording.unsorted import unsorted
from flightcheck.recording.whole_numbers import with_fractions

_ORDERS: Final = {"shuffle", "permutation", "randperm", "permuted", "sample"}
_NEGATED: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt,
}  # fmt: skip
_NEGATED_NAMES: Final = {"eq": "ne", "ne": "eq", "lt": "ge", "ge": "lt", "gt": "le", "le": "gt"}
_OF_WHERE: Final = 3
"""Arguments of a ``where`` that chooses between two."""


def rewritten(source: str, rule: str, line: int) -> str:
    """The source with the statement at that line written anew; as it was if the rule does not fit.

    Args:
        source: of the whole file.
        rule: ``transform``: what was fitted is not fitted again. ``unordered``: the statement brings nothing into
            another order. ``order`` and ``same-order``: the second draws its random order as the first did. ``rows``:
            slices of rows are rows in random order. ``fractions``: whole numbers are not forced. ``copied``: a state
            that is kept is a copy. ``complement``: what a mask chooses is what it left. ``begin``: slices from the
            first row on begin at the start of their batch. ``turned``: the only order in the test of an ``if`` is the
            other one, and whatever is compared with infinity is better. ``separate``: what a list repeats is made
            anew for each place. ``assigned`` and ``masked``: the result of a call by itself is kept. ``frozen``:
            ``requires_grad_`` in the place of a name that freezes nothing. ``in-place``: what would only give a name
            another value is written into its tensor. ``share@31=correct``: what line 31 adds up as `correct` is
            divided by how many it added up. ``at-zero``: what is compared with a half is compared with zero. ``into``
            and ``out``: see `flightcheck.recording.indenting`. ``apart``: batches that begin at the rows 0, 1, 2, … of
            their numbers begin one behind the other. ``from-zero``: large numbers are counted from the
            smallest before they are made single ones. ``first``: what is appended to a list is put before the rest.
            ``marked``: zeros that fill what is missing are `flightcheck.recording.missing_values.MARK`. ``later``: what
            is taken from a series at a moving place is the element after it. ``unturned``: images are not turned over.
            ``handed-out``: of arrays that are returned, copies are. ``double``: what is made single precision is
            double. ``single``: what is made half precision is single. ``known``: what a function made of other data
            before is used again. ``uncut``: a vocabulary keeps all words. ``negations``: what is left out of
            texts are no negations. ``kept``: what a function makes in its first call is what it has in all.
            ``unactivated``: without its ReLU. ``unsorted``: what is sorted keeps its order. ``goes-on``: a state that a
            call drops takes the place of the one that it was given. ``longer@8``: the loop at that line goes round
            eight times as often. ``cleared@total``: `total` is 0 at the start of each round of the loop at that line.
            ``others@mask``: in training the mask is its complement. ``carried@i``: the count `i` of a loop goes on
            where the loop begins anew.
        line: any line of the statement.
    """
    if rule in MOVING:
        return reindented(source, rule, line)
    lines = source.splitlines(keepends=True)
    for statement, text in _changes(source, rule, line):
        first, last = statement.lineno - 1, (statement.end_lineno or statement.lineno) - 1
        before = lines[first].encode()[: statement.col_offset].decode()
        after = lines[last].encode()[statement.end_col_offset :].decode()
        lines[first] = before + text + (after or "\n")
        lines[first + 1 : last + 1] = ["\n"] * (last - first)
    return "".join(lines)


def statement_at(source: str, rule: str, line: int) -> str:
    """The new statement alone; empty if the rule does not fit."""
    return next((text for _, text in _changes(source, rule, line)), "")


def _changes(source: str, rule: str, line: int) -> list[Change]:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return []
    for block in blocks(tree):
        for statement in block:
            if rule == "rows" and isinstance(statement, ast.For) and statement.lineno == line:
                return _changes(source, rule, _first_cut(statement))
            if is_of_blocks(rule):
                if (changes := changed(statement, rule, line)) is not None:
                    return changes
                continue
            if statement.lineno <= line <= (statement.end_lineno or 0) and not hasattr(statement, "body"):
                together = block if rule in ("rows", "apart") else [statement]
                made = _RULES.get(rule) or functools.partial(_named(rule), rule)
                if rule == "known":
                    made = functools.partial(with_known, tree)
                found = [(s, made(copy.deepcopy(s), statement)) for s in together if not hasattr(s, "body")]
                return [(s, text) for s, text in found if text and "\n" not in text]
    return []


def _named(rule: str) -> Callable[[str, ast.stmt, ast.stmt], str]:
    """The function of a rule that names something: ``carried@i``."""
    if is_of_others(rule):
        return of_others
    return carried if is_carried(rule) else with_share


def shuffled_beside(source: str, line: int) -> bool:
    """Another statement of the block draws an order, too: without that of this line alone, it would part the two."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return False
    for block in blocks(tree):
        if any(s.lineno <= line <= (s.end_lineno or 0) and not hasattr(s, "body") for s in block):
            return any(_shuffles(s) for s in block if not s.lineno <= line <= (s.end_lineno or 0))
    return False


def _shuffles(statement: ast.stmt) -> bool:
    """It draws an order and puts something into it: ``y[permutation(n)]``, ``y = permutation(y)``, ``shuffle(y)``."""
    if hasattr(statement, "body"):
        return False
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        return _draws(statement.value) and called(statement.value) == "shuffle"
    if any(isinstance(n, ast.Subscript) and _draws(n.slice) for n in ast.walk(statement)):
        return True
    targets = {ast.unparse(t) for t in getattr(statement, "targets", ())}
    return any(ast.unparse(c.args[0]) in targets for c in drawing_calls(statement) if c.args)


def _first_cut(loop: ast.For) -> int:
    """The line in which a loop over the starts of batches cuts the first rows; 0 without one."""
    names = {n.id for n in ast.walk(loop.target) if isinstance(n, ast.Name)}
    cuts = [n for n in ast.walk(loop) if (cut := _cut(n)) and isinstance(cut.lower, ast.Name) and cut.lower.id in names]
    return min((n.lineno for n in cuts if isinstance(n, ast.Subscript)), default=0)


def blocks(tree: ast.Module) -> Iterator[list[ast.stmt]]:
    """Statements that follow each other: bodies of modules, functions, loops, branches."""
    for node in ast.walk(tree):
        for _, value in ast.iter_fields(node):
            if isinstance(value, list) and value and isinstance(value[0], ast.stmt):
                yield value


def _transform(statement: ast.stmt, chosen: ast.stmt) -> str:
    """``scaler.fit_transform(x)`` becomes ``scaler.transform(x)``, where the scaler has a name."""
    calls = [c for c in _calls(statement) if called(c) == "fit_transform" and isinstance(c.func, ast.Attribute)]
    for call in calls:
        assert isinstance(call.func, ast.Attribute)
        if not isinstance(call.func.value, (ast.Name, ast.Attribute)):
            return ""  # one that was made for this
        call.func.attr, call.args, call.keywords = "transform", call.args[:1], []
    return ast.unparse(statement) if calls else ""


def _order(statement: ast.stmt, chosen: ast.stmt) -> str:
    return _drawing(statement, "order")


def _same_order(statement: ast.stmt, chosen: ast.stmt) -> str:
    return _drawing(statement, "same_order")


def _drawing(statement: ast.stmt, how: str) -> str:
    """The statement, after the helper was told the objects that may draw its random numbers."""
    if not any(called(c) in _ORDERS for c in _calls(statement)):
        return ""
    names = sorted({n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)})
    return f"{HELPER}.{how}({', '.join(names)}); {ast.unparse(statement)}"


def _unordered(statement: ast.stmt, chosen: ast.stmt) -> str:
    """``x[order]`` and ``permutation(x)`` become ``x``, ``shuffle(x)`` in place becomes ``pass``."""
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        return "pass" if called(statement.value) in _ORDERS else ""
    found = 0

    class Plain(ast.NodeTransformer):
        def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
            nonlocal found
            if isinstance(node.ctx, ast.Load) and (isinstance(node.slice, ast.Name) or _draws(node.slice)):
                found += 1
                return node.value
            return self.generic_visit(node)

        def visit_Call(self, node: ast.Call) -> ast.AST:
            nonlocal found
            if _draws(node) and len(node.args) == 1 and called(node) in ("shuffle", "permutation", "permuted"):
                found += 1
                return node.args[0]
            return self.generic_visit(node)

    made = Plain().visit(statement)
    return ast.unparse(ast.fix_missing_locations(made)) if found == 1 else ""


def _rows(statement: ast.stmt, chosen: ast.stmt) -> str:
    """``x[start:end]`` becomes ``helper.rows(x, start, end)``, wherever the same rows are cut as in the statement."""
    wanted = {ast.dump(cut) for cut in map(_cut, ast.walk(chosen)) if cut is not None}
    found = False

    class Helped(ast.NodeTransformer):
        def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
            nonlocal found
            cut = _cut(node)
            if cut is None or ast.dump(cut) not in wanted:
                return self.generic_visit(node)
            found = True
            helper = ast.Attribute(ast.Name(HELPER, ast.Load()), "rows", ast.Load())
            assert cut.lower is not None and cut.upper is not None
            return ast.Call(helper, [node.value, cut.lower, cut.upper], [])

    made = Helped().visit(statement)
    return ast.unparse(ast.fix_missing_locations(made)) if found else ""


def _apart(statement: ast.stmt, chosen: ast.stmt) -> str:
    """``x[i : i + size]`` becomes ``x[i * size : i * size + size]``, wherever the same rows are cut."""
    wanted = {ast.dump(cut) for cut in map(_cut, ast.walk(chosen)) if cut is not None}
    found = False
    for node in ast.walk(statement):
        cut = _cut(node)
        if cut is None or ast.dump(cut) not in wanted or not isinstance(cut.upper, ast.BinOp) or cut.lower is None:
            continue
        if not isinstance(cut.upper.op, ast.Add) or ast.dump(cut.upper.left) != ast.dump(cut.lower):
            continue
        size = cut.upper.right
        cut.lower = ast.BinOp(cut.lower, ast.Mult(), size)
        cut.upper = ast.BinOp(cut.lower, ast.Add(), size)
        found = True
    return ast.unparse(ast.fix_missing_locations(statement)) if found else ""


def _copied(statement: ast.stmt, chosen: ast.stmt) -> str:
    """``x.state_dict()`` becomes ``deepcopy(x.state_dict())``, in the place of a shallow copy where there is one."""

    class Copied(ast.NodeTransformer):
        def visit_Call(self, node: ast.Call) -> ast.AST:
            if called(node) == "state_dict" and isinstance(node.func, ast.Attribute):
                return ast.Call(ast.Attribute(ast.Name(HELPER, ast.Load()), "deepcopy", ast.Load()), [node], [])
            made = self.generic_visit(node)
            inside = node.args[0] if len(node.args) == 1 else getattr(node.func, "value", None)
            held = isinstance(inside, ast.Call) and ast.unparse(inside).startswith(f"{HELPER}.deepcopy(")
            shallow = called(node) in ("copy", "dict", "OrderedDict")
            return inside if held and shallow and isinstance(inside, ast.Call) else made

    made = ast.unparse(ast.fix_missing_locations(Copied().visit(statement)))
    return made if f"{HELPER}.deepcopy(" in made else ""


def _at_zero(statement: ast.stmt, chosen: ast.stmt) -> str:
    """``x > 0.5`` becomes ``x > 0.0``, where the statement compares once with about a half."""
    halves = [
        n for n in ast.walk(statement)
        if isinstance(n, ast.Compare) and len(n.comparators) == 1 and isinstance(n.comparators[0], ast.Constant)
        and isinstance(n.comparators[0].value, float) and n.comparators[0].value
    ]  # fmt: skip
    if len(halves) != 1:
        return ""
    halves[0].comparators = [ast.Constant(0.0)]
    return ast.unparse(ast.fix_missing_locations(statement))


def _first(statement: ast.stmt, chosen: ast.stmt) -> str:
    """``x.append(v)`` becomes ``x.insert(0, v)``."""
    calls = [c for c in _calls(statement) if called(c) == "append" and isinstance(c.func, ast.Attribute)]
    if len(calls) != 1 or not isinstance(calls[0].func, ast.Attribute):
        return ""
    calls[0].func.attr, calls[0].args = "insert", [ast.Constant(0), *calls[0].args]
    return ast.unparse(ast.fix_missing_locations(statement))


def _complement(statement: ast.stmt, chosen: ast.stmt) -> str:
    """``x[mask] = v``, ``x.masked_fill(mask, v)`` and ``where(mask, x, v)`` with the other elements."""
    masks: list[tuple[ast.AST, str, int | None]] = []
    for target in getattr(statement, "targets", ()):
        if isinstance(target, ast.Subscript) and not isinstance(target.slice, (ast.Slice, ast.Tuple, ast.Constant)):
            masks.append((target, "slice", None))
    for call in _calls(statement):
        chosen_by = {"masked_fill": 2, "masked_fill_": 2, "where": _OF_WHERE}.get(called(call))
        if chosen_by == len(call.args):
            masks.append((call, "args", 0))
    if not masks:
        return _other_comparison(statement)
    if len(masks) != 1:
        return ""
    owner, field, at = masks[0]
    mask = getattr(owner, field) if at is None else getattr(owner, field)[at]
    inverted = isinstance(mask, ast.UnaryOp) and isinstance(mask.op, ast.Invert)
    other = mask.operand if inverted else ast.UnaryOp(ast.Invert(), mask)
    if at is None:
        setattr(owner, field, other)
    else:
        getattr(owner, field)[at] = other
    return ast.unparse(ast.fix_missing_locations(statement))


def _other_comparison(statement: ast.stmt) -> str:
    """``mask = x == 0`` and ``x.eq(0)`` the other way round, where there is one comparison."""
    compared = [n for n in ast.walk(statement) if isinstance(n, ast.Compare) and len(n.ops) == 1]
    compared = [n for n in compared if type(n.ops[0]) in _NEGATED]
    methods = [c.func for c in _calls(statement) if isinstance(c.func, ast.Attribute) and c.func.attr in _NEGATED_NAMES]
    if len(compared) + len(methods) != 1:
        return ""
    for node in compared:
        node.ops = [_NEGATED[type(node.ops[0])]()]
    for method in methods:
        method.attr = _NEGATED_NAMES[method.attr]
    return ast.unparse(ast.fix_missing_locations(statement))


def _cut(node: ast.AST) -> ast.Slice | None:
    """The slice of ``x[start:end]``, where the start is no plain number."""
    if (
        not isinstance(node, ast.Subscript)
        or not isinstance(node.ctx, ast.Load)
        or not isinstance(node.slice, ast.Slice)
    ):
        return None
    cut = node.slice
    moves = cut.lower is not None and any(isinstance(n, ast.Name) for n in ast.walk(cut.lower))
    return cut if moves and cut.upper is not None and cut.step is None else None


def drawing_calls(statement: ast.stmt) -> list[ast.Call]:
    """The calls of a statement that draw an order, or put something into one."""
    return [c for c in _calls(statement) if _draws(c)]


def _draws(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and called(node) in _ORDERS


def _calls(statement: ast.AST) -> Iterator[ast.Call]:
    return (n for n in ast.walk(statement) if isinstance(n, ast.Call))


def called(call: ast.Call) -> str:
    """The last name of what is called."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


_RULES: Final[dict[str, Callable[[ast.stmt, ast.stmt], str]]] = {
    "transform": _transform,
    "order": _order,
    "same-order": _same_order,
    "unordered": _unordered,
    "rows": _rows,
    "apart": _apart,
    "fractions": with_fractions,
    "copied": _copied,
    "separate": separated,
    "assigned": assigned,
    "masked": assigned,
    "frozen": frozen,
    "in-place": in_place,
    "at-zero": _at_zero,
    "from-zero": from_zero,
    "double": double,
    "single": single,
    "first": _first,
    "complement": _complement,
    "later": later,
    "marked": marked,
    "uncut": uncut,
    "negations": with_negations,
    "kept": kept,
    "unactivated": unactivated,
    "unsorted": unsorted,
    "goes-on": going_on,
    "unturned": unturned,
    "handed-out": handed_out,
}
