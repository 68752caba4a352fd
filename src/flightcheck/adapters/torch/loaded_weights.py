"""Weights that were loaded and are gone before the model is used: drawn anew, left behind, or in no model at all.

A load is judged when its model is first called after it: until then nothing can have made use of the weights.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, Final

import torch
from torch import nn

from flightcheck.adapters.torch.discovery import Discovery
from flightcheck.adapters.torch.operations import Operations
from flightcheck.adapters.torch.optimizers import Held
from flightcheck.adapters.torch.tensor_prints import Print, print_of
from flightcheck.adapters.torch.watch import Watch
from flightcheck.recording.provenance import stored_states
from flightcheck.recording.records import Location
from flightcheck.recording.states import LostWeights

_MOST_LOADS: Final = 64
_MOST_LOOKS: Final = 4096
"""Calls of other models while a load waits for the first call of its own."""
_MOST_FRAMES: Final = 64


@dataclass
class _Matrix:
    """A weight matrix and what it was when the load, or the copy of the state, was over."""

    name: str
    tensor: weakref.ref[torch.Tensor]
    seen: Print
    elements: int
    drawn: Location | None = None
    """The line that filled it with random numbers since."""


@dataclass
class _Load:
    """A state in a model that was not called yet."""

    module: weakref.ref[nn.Module]
    kind: type[nn.Module]
    location: Location | None
    matrices: list[_Matrix]
    stack: list[tuple[Any, Location]] = field(default_factory=list)
    """The user's frames at the load, outer ones first."""
    change: Location | None = None
    """Not a load: this line changes the dictionary that ``state_dict()`` returned here, and nothing reads it."""
    read: bool = False
    """``state_dict()`` was called since: the weights may go on in another model."""

    def of(self, tensor: torch.Tensor) -> _Matrix | None:
        return next((m for m in self.matrices if m.tensor() is tensor), None)


class LoadedWeights:
    """Loads, and copies of states, whose models were not called yet."""

    def __init__(self, watch: Watch, discovery: Discovery, operations: Operations) -> None:
        self.watch = watch
        self.discovery = discovery
        self.operations = operations
        self._waiting: list[_Load] = []
        self._loads = 0
        self._looks = 0
        self._written = 0
        self._changes: dict[Location, Location | None] = {}

    # -- told by the wrappers -----------------------------------------------------------------------------------

    def loaded(self, module: nn.Module, state: Any) -> None:
        """``load_state_dict`` put a state into the module."""
        if self._loads >= _MOST_LOADS or not isinstance(state, Mapping):
            return
        parameters = {n: p for n, p in module.named_parameters() if n in state}
        given = {id(p) for p in parameters.values()}
        for load in self._waiting:
            load.matrices = [m for m in load.matrices if id(m.tensor()) not in given]
        self._waiting = [w for w in self._waiting if w.matrices and not (w.change and w.module() is module)]
        matrices = _matrices(parameters)
        if len(matrices) > 1:
            self._loads += 1
            self._waiting.append(
                _Load(weakref.ref(module), type(module), self.watch.lines.here(), matrices, self._stack())
            )
            self.operations.filled = self._filled
            self.operations.resume()

    def state_taken(self, module: nn.Module) -> None:
        """``state_dict()`` was called."""
        inside = {id(m) for m in module.modules()} if self._waiting else set()
        for load in self._waiting:
            held = load.module()
            if not load.change and held is not None and (id(held) in inside or _within(module, held)):
                load.read = True
        line = self.watch.lines.here()
        if line is None or len(self._waiting) >= _MOST_LOADS:
            return
        if line not in self._changes:
            place = stored_states.unused_change(line.file, line.line)
            self._changes[line] = self.watch.lines.of(*place) if place is not None else None
        change = self._changes[line]
        if change is not None and not any(w.change and w.module() is module for w in self._waiting):
            matrices = _matrices(dict(module.named_parameters()))
            if matrices:
                self._waiting.append(_Load(weakref.ref(module), type(module), line, matrices, change=change))

    def called(self, module: nn.Module) -> None:
        """A model is about to be called."""
        if not self._waiting:
            return
        self._looks += 1
        if self._looks > _MOST_LOOKS:
            self._forget()
            return
        own = {id(p): p for p in module.parameters()}
        for load in list(self._waiting):
            tensors = [t for m in load.matrices if (t := m.tensor()) is not None]
            if any(own.get(id(t)) is t for t in tensors):
                self._waiting.remove(load)
                self._judge(load, tensors)
        if not self._waiting:
            self._forget()

    def before_step(self, held: Held) -> None:
        """An optimizer is about to step: with its first step, a training begins."""
        if not self._waiting:
            return
        if not held.steps:
            for load in self._waiting:
                if load.change is None:
                    self._left_behind(load, held)
        self._forget()

    def _forget(self) -> None:
        self._waiting.clear()
        self._looks = 0
        self.operations.filled = None

    # -- judging ------------------------------------------------------------------------------------------------

    def _filled(self, target: Any) -> None:
        """A tensor was filled with random numbers."""
        if not isinstance(target, torch.Tensor) or target.layout is not torch.strided:
            return
        for load in self._waiting:
            for matrix in load.matrices:
                tensor = matrix.tensor()
                if tensor is None or tensor.data_ptr() != target.data_ptr() or tensor.numel() != target.numel():
                    continue
                matrix.drawn = self._statement(load.stack) or self.watch.lines.here()

    def _judge(self, load: _Load, tensors: list[torch.Tensor]) -> None:
        changed = {id(m) for m in load.matrices if (t := m.tensor()) is not None and print_of(t) != m.seen}
        if load.change is not None:
            if not changed:
                self._write(load, "not-loaded", load.matrices, load.change)
            return
        drawn = [m for m in load.matrices if m.drawn is not None and id(m) in changed]
        if drawn:
            self._write(load, "overwritten", drawn, drawn[0].drawn)

    def _left_behind(self, load: _Load, held: Held) -> None:
        """The loaded model is gone, or named nowhere below; another one of its class is called in its place."""
        line = load.location
        gone = all(m.tensor() is None for m in load.matrices)
        if load.read or not (gone or (line is not None and stored_states.unused_after(line.file, line.line))):
            return
        optimizer = held.optimizer()
        trained = {id(p) for g in optimizer.param_groups for p in g["params"]} if optimizer is not None else set()
        if any(id(t) in trained for m in load.matrices if (t := m.tensor()) is not None):
            return
        for root in self.discovery.roots.values():
            for module in root.module().modules() if root.module() is not None else ():  # type: ignore[union-attr]
                if type(module) is load.kind and self._in_its_place(module, load, trained):
                    self._write(load, "left-behind", load.matrices, self._built(module, root.module()))
                    return

    def _in_its_place(self, module: nn.Module, load: _Load, trained: set[int]) -> bool:
        """Of the same shapes, with weights that no state gave and no other optimizer is to train."""
        own = dict(module.named_parameters())
        known = [i for p in own.values() if (i := self.discovery.parameter_index(p)) is not None]
        if not any(id(p) in trained for p in own.values()) and any(
            self.discovery.parameters[i].optimizers for i in known
        ):
            return False  # of an earlier training
        pairs = [(own.get(m.name), m) for m in load.matrices]
        return all(
            p is not None and tuple(p.shape) == m.seen[0] and print_of(p) != m.seen and not self.discovery.was_loaded(p)
            for p, m in pairs
        )

    def _built(self, module: nn.Module, root: nn.Module | None) -> Location | None:
        return self.discovery.where_built(module) or (self.discovery.where_built(root) if root is not None else None)

    def _write(self, load: _Load, kind: str, lost: list[_Matrix], line: Location | None) -> None:
        order = [id(m) for m in load.matrices]
        record = LostWeights(
            index=self._written,
            kind=kind,
            location=load.location,
            type=load.kind.__name__,
            matrices=len(load.matrices),
            lost=len(lost),
            share=sum(m.elements for m in lost) / max(1, sum(m.elements for m in load.matrices)),
            first=order.index(id(lost[0])),
            lost_location=line,
            step=self.watch.step,
        )
        self.watch.writer.put(record, record.index)
        self._written += 1

    # -- lines --------------------------------------------------------------------------------------------------

    def _stack(self) -> list[tuple[Any, Location]]:
        frame: FrameType | None = sys._getframe(1)
        found: list[tuple[Any, Location]] = []
        while frame is not None and len(found) < _MOST_FRAMES:
            if self.watch.lines.is_user(frame.f_code.co_filename):
                found.append((frame.f_code, self.watch.lines.at(frame)))
            frame = frame.f_back
        return found[::-1]

    def _statement(self, before: list[tuple[Any, Location]]) -> Location | None:
        """The statement that is executed now in the innermost function that also executed the load."""
        for (code, line), (code_then, line_then) in zip(self._stack(), before):
            if code is not code_then:
                return None
            if line != line_then:
                return line
        return None


def _within(module: nn.Module, held: nn.Module) -> bool:
    return any(m is module for m in held.modules())


def _matrices(parameters: dict[str, nn.Parameter]) -> list[_Matrix]:
    return [
        _Matrix(n, weakref.ref(p), print_of(p), p.numel())
        for n, p in parameters.items()
        if p.dim() > 1 and not nn.parameter.is_lazy(p) and print_of(p)[1]
    ]
