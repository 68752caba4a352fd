"""Evaluations that are still to come when the watch ends: what would models be given, as far as it exists by then?

A training of thousands of steps is stopped after a few hundred, and the test set is often evaluated once, behind it.
What the script calls there is read from its source, and the tensors are those that its variables hold by now. None of
the user's code runs, and what is computed on the way to the call is not known.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any, Final

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from flightcheck.adapters.torch.batches import batch_facts
from flightcheck.adapters.torch.discovery import Discovery, Root
from flightcheck.adapters.torch.frames import local
from flightcheck.adapters.torch.watch import Watch, is_plain_tensor
from flightcheck.recording.batches import AwaitedBatch
from flightcheck.recording.provenance.ahead import behind, conditional, names_itself, plain, scaling_left_out
from flightcheck.recording.provenance.source import (
    Scope,
    Source,
    end_of,
    last_name,
    line_of,
    parameter_names,
    read_source,
)
from flightcheck.recording.provenance.source import walk_scope as nodes_of

_MOST: Final = 8
_DEEPEST: Final = 3
"""Functions that hand the data on to one another."""
_FRAMES: Final = 8


@dataclass(frozen=True)
class _Place:
    """A piece of source that will run, and what its names hold."""

    source: Source
    scope: Scope
    nodes: list[ast.AST]
    value_of: Callable[[str], Any]
    after: int
    """Line from which on its bindings have not run yet."""


@dataclass(frozen=True)
class _Given:
    root: Root
    tensor: torch.Tensor
    name: str


def look_ahead(watch: Watch, discovery: Discovery) -> None:
    """Record the tensors that a known model is given behind the loops that run now."""
    found: dict[tuple[int, int], AwaitedBatch] = {}
    frame: FrameType | None = sys._getframe(1)
    frames = 0
    while frame is not None and frames < _FRAMES and len(found) < _MOST:
        if watch.lines.is_user(frame.f_code.co_filename):
            frames += 1
            for line, given in _of_frame(frame, discovery):
                key = (given.root.info.index, id(given.tensor))
                if key not in found and len(found) < _MOST:
                    batch = _awaited(watch, frame, line, given)
                    if batch is not None:
                        found[key] = batch
        frame = frame.f_back
    for i, batch in enumerate(found.values()):
        watch.writer.put(batch, i)


def _awaited(watch: Watch, frame: FrameType, line: int, given: _Given) -> AwaitedBatch | None:
    facts = batch_facts(given.tensor, first=True)
    if facts is None or not facts.get("quantiles"):
        return None
    file = frame.f_code.co_filename
    trained = given.root.call_location
    missing = scaling_left_out(file, line, given.name, trained) if trained else None
    location = watch.lines.of(file, line)
    return AwaitedBatch(
        step=watch.step, training=False, root=given.root.info.index, argument="0", location=location, name=given.name,
        left_out=watch.lines.of(*missing) if missing else None, **facts,
    )  # fmt: skip


def _of_frame(frame: FrameType, discovery: Discovery) -> Iterator[tuple[int, _Given]]:
    source = read_source(frame.f_code.co_filename)
    ahead = behind(source, frame.f_lineno) if source is not None else None
    if source is None or ahead is None:
        return
    scope, end, nodes = ahead

    def value_of(name: str) -> Any:
        found = local(frame, name)
        return frame.f_globals.get(name) if found is None else found

    for node in nodes:
        for given in _given(_Place(source, scope, [node], value_of, end), discovery, 0):
            yield line_of(node), given


def _given(place: _Place, discovery: Discovery, depth: int) -> Iterator[_Given]:
    """What known models are given in a piece of source."""
    for node in place.nodes:
        if isinstance(node, ast.For):
            yield from _of_loop(place, node, discovery)
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        called = place.value_of(node.func.id)
        if isinstance(called, nn.Module):
            root, first = discovery.roots.get(id(called)), node.args[0] if node.args else None
            value = _value(place, first) if first is not None else None
            if root is not None and root.train_calls and isinstance(value, torch.Tensor) and is_plain_tensor(value):
                yield _Given(root, value, ast.unparse(plain(first)) if first else "")
        elif depth < _DEEPEST and len(several := place.source.functions.get(node.func.id, [])) == 1:
            yield from _inside(place, node, several[0], discovery, depth)


def _inside(
    place: _Place, call: ast.Call, function: ast.FunctionDef | ast.AsyncFunctionDef, discovery: Discovery, depth: int
) -> Iterator[_Given]:
    names = parameter_names(function)
    arguments = dict(zip(names, call.args)) | {k.arg: k.value for k in call.keywords if k.arg}
    if any(isinstance(a, ast.Starred) for a in call.args):
        return

    def value_of(name: str) -> Any:
        if name in arguments:
            return _value(place, arguments[name])
        return None if name in names else place.value_of(name)

    nodes = [n for n in nodes_of(function) if not conditional(place.source, n, function)]
    inner = _Place(place.source, function, nodes, value_of, function.lineno)
    for given in _given(inner, discovery, depth + 1):
        own = arguments.get(given.name)
        rows = [plain(b.node) for b in place.source.bindings(function).get(given.name, [])]
        for picked in rows if own is None else ():  # xb = x[i : i + 32]
            own = arguments.get(picked.id) if isinstance(picked, ast.Name) else None
        yield _Given(given.root, given.tensor, ast.unparse(plain(own)) if own is not None else given.name)


def _of_loop(place: _Place, loop: ast.For, discovery: Discovery) -> Iterator[_Given]:
    """``for x, y in loader: model(x)``, where the loader hands out rows of a tensor as they are."""
    target = loop.target.elts[0] if isinstance(loop.target, ast.Tuple) and loop.target.elts else loop.target
    loader = _value(place, loop.iter)
    if not isinstance(target, ast.Name) or type(loader) is not DataLoader:
        return
    dataset = loader.dataset
    own = loader.collate_fn is torch.utils.data.default_collate
    if type(dataset) is not TensorDataset or not own or not isinstance(loop.iter, ast.Name):
        return

    def value_of(name: str) -> Any:
        return dataset.tensors[0] if name == target.id else place.value_of(name)

    body = [n for s in loop.body for n in ast.walk(s) if not isinstance(n, ast.For)]
    bound = [b for b in place.source.bindings(place.scope).get(target.id, []) if loop.lineno < b.line <= end_of(loop)]
    if all(names_itself(b, target.id) for b in bound):
        inner = _Place(place.source, ast.Module([], []), body, value_of, 0)
        for given in _given(inner, discovery, _DEEPEST):
            yield _Given(given.root, given.tensor, loop.iter.id)


def _value(place: _Place, node: ast.expr, depth: int = 0) -> Any:
    """What an expression will hold, where it is a variable, or rows of one, or the tensor of an array."""
    base = plain(node)
    if isinstance(base, ast.Call) and last_name(base.func) in ("tensor", "as_tensor", "from_numpy", "FloatTensor"):
        array = _value(place, base.args[0], depth + 1) if base.args and depth < _DEEPEST else None
        if isinstance(array, np.ndarray) and array.dtype.kind == "f" and array.dtype.itemsize in (4, 8):
            return torch.from_numpy(array if array.flags.writeable else array.copy()).float()
        return array if isinstance(array, torch.Tensor) else None
    if not isinstance(base, ast.Name) or depth > _DEEPEST:
        return None
    bound = place.source.bindings(place.scope).get(base.id, [])
    later = [b for b in bound if place.after < b.line <= line_of(node)]
    changes = [b for b in later if not names_itself(b, base.id)]
    if not changes:
        return place.value_of(base.id)
    only = changes[-1]
    if len(changes) > 1 or only.path or only.inside is not None or not isinstance(only.node, ast.expr):
        return None
    return _value(place, only.node, depth + 1)
