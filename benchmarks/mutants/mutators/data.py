"""Faults of the data that a model is trained with."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from benchmarks.mutants.mutators.registered import mutator
from benchmarks.mutants.source import Change, Source, keyword, last_name, number

_SPREADS = ("s", "std", "sd", "sigma", "scale", "x_std", "sx")
_INDICES = ("idx", "perm", "rows", "ids", "take", "batch", "pick", "order", "chosen", "sel", "i", "j", "b", "ix")


def _pairs(source: Source) -> Iterator[tuple[ast.Subscript, ast.Subscript]]:
    """Inputs and labels that the same statement takes by the same index."""
    for s in source.all(ast.stmt):
        if not isinstance(s, ast.Assign | ast.Expr | ast.AugAssign) or not source.loops(s):
            continue
        taken = [
            n for n in ast.walk(s) if isinstance(n, ast.Subscript) and isinstance(n.value, ast.Name | ast.Attribute)
        ]
        for first in taken:
            for second in taken:
                same = ast.unparse(first.slice) == ast.unparse(second.slice)
                index = ast.unparse(first.slice)
                indexed = index.split("[")[0].isidentifier() and not index.isdigit()
                if first is not second and same and indexed and _is_label(second) and not _is_label(first):
                    yield first, second


def _is_label(node: ast.Subscript) -> bool:
    name = last_name(node.value).lower()
    return name.startswith(("y", "label", "target", "t_", "cls")) or name in ("t", "lab", "yt")


@mutator("D07")
def labels_of_other_inputs(source: Source) -> Iterator[Change]:
    """Labels are shuffled and their inputs are not."""
    for _, label in _pairs(source):
        index, name = source.code(label.slice), source.code(label.value)
        yield Change(source.replaced((label, f"{name}[{index}][torch.randperm(len({name}[{index}]))]")))
    for call in _training_sets(source):
        y = source.code(call.args[1])
        yield Change(source.replaced((call.args[1], f"({y})[torch.randperm(len({y}))]")))


def _training_sets(source: Source) -> Iterator[ast.Call]:
    """The first data set of two tensors."""
    sets = [c for c in source.calls("TensorDataset") if len(c.args) == 2]
    yield from sets[:1]


def _is_shuffled(call: ast.Call) -> bool:
    given = keyword(call, "shuffle")
    return given is not None and ast.unparse(given.value) == "True"


@mutator("D06")
def sorted_and_not_shuffled(source: Source) -> Iterator[Change]:
    """Examples come class after class."""
    for loader in (c for c in source.calls("DataLoader") if _is_shuffled(c)):
        first = loader.args[0] if loader.args else None
        shuffle = keyword(loader, "shuffle")
        assert shuffle is not None
        if isinstance(first, ast.Call) and last_name(first.func) == "TensorDataset" and len(first.args) == 2:
            x, y = map(source.code, first.args)
            new = f"TensorDataset(({x})[({y}).argsort()], ({y})[({y}).argsort()])"
            new = f"{ast.unparse(first.func).rpartition('.')[0]}.{new}".lstrip(".")
            yield Change(source.replaced((first, new), (shuffle.value, "False")))
    for _, label in _pairs(source):
        index, name = ast.unparse(label.slice), source.code(label.value)
        drawn = [
            s for s in source.all(ast.Assign)
            if isinstance(s, ast.Assign) and ast.unparse(s.targets[0]) == index.split("[")[0]
            and isinstance(s.value, ast.Call) and last_name(s.value.func) in ("randperm", "permutation")
        ]  # fmt: skip
        if len(drawn) == 1 and "[" in index:
            yield Change(source.replaced((drawn[0].value, f"{name}.argsort()")), frozenset({label.lineno}))


@mutator("D05 D21")
def the_same_batch(source: Source) -> Iterator[Change]:
    """The slice of the order does not move."""
    for s in source.all(ast.Subscript):
        if not (isinstance(s, ast.Subscript) and isinstance(s.slice, ast.Slice) and source.loops(s)):
            continue
        first, last = s.slice.lower, s.slice.upper
        moving = isinstance(first, ast.Name) and isinstance(last, ast.BinOp) and last_name(s.value) in _INDICES
        if moving and isinstance(last, ast.BinOp) and first and ast.unparse(last.left) == ast.unparse(first):
            yield Change(source.replaced((s.slice, f":{source.code(last.right)}")))


@mutator("D03 D01 L08 L12")
def inputs_not_scaled(source: Source) -> Iterator[Change]:
    """Inputs keep the numbers of their raw form, in bytes and more."""
    for n, by in source.quotients():
        if scale := number(by) if number(by) in (8, 16, 255) else None:
            new = f"({source.code(n.left)} * {255 / scale:g})" if scale != 255 else source.code(n.left)
            yield Change(source.replaced((n, new)), _binary_losses(source))


def _binary_losses(source: Source) -> frozenset[int]:
    """Where inputs are also the targets of a loss that has a range."""
    return source.lines_of("binary_cross_entropy", "binary_cross_entropy_with_logits")


@mutator("D03")
def inputs_not_standardized(source: Source) -> Iterator[Change]:
    """Columns of a table keep their units."""
    targets = ("y", "t")
    edits: list[tuple[ast.AST, str]] = [
        (whole, source.code(raw))
        for whole, raw, _ in source.standardized()
        if last_name(whole.right) in _SPREADS and not source.code(raw).lower().startswith(targets)
    ]
    if edits:
        yield Change(source.replaced(*edits))
    for call in source.calls("fit_transform"):
        others = [c for c in source.calls("transform") if c.args]
        if len(call.args) == 1 and "Standard" in source.text:
            yield Change(
                source.replaced((call, source.code(call.args[0])), *((c, source.code(c.args[0])) for c in others))
            )


@mutator("D18")
def targets_not_scaled(source: Source) -> Iterator[Change]:
    """Targets of a regression keep a large unit, in programs that print a share and no error, which has that unit."""
    if re.search(r"\b(r2|explained)\b", source.text, re.IGNORECASE):
        for whole, raw, _ in source.standardized():
            if source.code(raw).lower().startswith(("y", "target")):
                yield Change(source.replaced((whole, f"({source.code(whole)}) * 1000 + 5000")))


@mutator("D15")
def inputs_divided_as_integers(source: Source) -> Iterator[Change]:
    """A whole-number division leaves zeros and ones of the inputs."""
    for n, by in source.quotients():
        if number(by) in (16, 255):
            yield Change(source.replaced((n, f"{source.code(n.left)} // {source.code(by)}")))


@mutator("D04 D03")
def evaluation_not_scaled(source: Source) -> Iterator[Change]:
    """Only the training inputs are standardized."""
    for call in source.calls("transform"):
        if isinstance(call.func, ast.Attribute) and len(call.args) == 1 and "Standard" in source.text:
            yield Change(
                source.replaced((call, source.code(call.args[0]))), source.lines_of("fit_transform", "transform")
            )
    scaled = source.standardized()
    if len(scaled) >= 2 and len({by for _, _, by in scaled}) == 1:
        last, raw, _ = scaled[-1]
        lines = frozenset(n.lineno for n, _, _ in scaled)  # where the training inputs are scaled, the others are not
        yield Change(source.replaced((last, source.code(raw))), lines)
