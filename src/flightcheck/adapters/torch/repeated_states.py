"""Sequences that are generated step by step: is each step given the state with which the first one began?"""

from __future__ import annotations

import dataclasses
import weakref
from typing import Any, Final

import torch
from torch import nn

from flightcheck.adapters.torch.fresh_states import LAYERS, is_fresh, is_one_step
from flightcheck.adapters.torch.state_cuts import CELLS
from flightcheck.adapters.torch.watch import Watch
from flightcheck.recording.provenance.dropped_states import dropped_in_loop
from flightcheck.recording.provenance.loops import goes_round
from flightcheck.recording.records import Location
from flightcheck.recording.sequences import RepeatedState

_DEEPEST: Final = 12
"""Lines of a stack."""
_MOST_CALLS: Final = 512
_MOST_COUNTED: Final = 64
"""Of a line."""
_KINDS: Final = {
    nn.GRU: "gru", nn.LSTM: "lstm", nn.RNN: "rnn_tanh", nn.GRUCell: "gru_cell", nn.LSTMCell: "lstm_cell",
    nn.RNNCell: "rnn_tanh_cell",
}  # fmt: skip
_RECURRENT: Final = tuple(_KINDS)


@dataclasses.dataclass(frozen=True)
class _Call:
    input: weakref.ref[torch.Tensor]
    state: weakref.ref[torch.Tensor]
    written: int
    """How often something had been written into the state."""


class RepeatedStates:
    """Looks at the calls of recurrent cells and layers in the learning pass, and at those of models that hold one."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._last: dict[int, _Call] = {}
        """By the identity of the recurrent weights."""
        self._names: dict[Location, str] = {}
        """What a state is called that a line drops the new one of; empty where it goes on."""
        self._found: dict[Location, RepeatedState] = {}
        self._calls = 0
        """Of models that return what looks like a state."""

    def called(self, module: nn.Module, given: list[torch.Tensor], result: tuple[Any, ...]) -> None:
        """An outermost module was called: one that returns what has the shape of a state that it was given?"""
        if len(result) < 2 or len(given) < 2 or self._calls >= _MOST_CALLS:
            return
        last = result[-1]
        new = next(iter(last), None) if isinstance(last, (tuple, list)) else last
        state = next((t for t in given[1:] if isinstance(new, torch.Tensor) and t.shape == new.shape), None)
        if state is None or state.is_inference() or not self._watch.reads(state):
            return
        self._calls += 1
        recurrent = next((m for m in module.modules() if isinstance(m, _RECURRENT)), None)
        if recurrent is None or is_fresh(state) or not _is_one_step(recurrent, given[0]):
            return
        before, now = self._last.get(id(module)), _Call(weakref.ref(given[0]), weakref.ref(state), state._version)
        self._last[id(module)] = now
        if before is None:
            return
        first = before.input()
        if first is None or first.shape == given[0].shape:  # no prefix that grows
            self._count(_KINDS.get(type(recurrent), "gru"), self._is_same(before, now) and first is not given[0])

    def look(self, name: str, args: Any) -> None:
        """One operation of `CELLS` or `LAYERS`."""
        if len(args) < 4 or (name in LAYERS and not is_one_step(args)):
            return
        state = args[1] if isinstance(args[1], torch.Tensor) else next(iter(args[1]), None)
        if not isinstance(state, torch.Tensor) or state.is_inference() or not isinstance(args[0], torch.Tensor):
            return
        if not self._watch.reads(state):
            return
        key = id(args[3] if name in CELLS else args[2][0])
        before, now = self._last.get(key), _Call(weakref.ref(args[0]), weakref.ref(state), state._version)
        self._last[key] = now
        if before is None or is_fresh(args[1]):
            return
        self._count(name, self._is_same(before, now) and before.input() is not args[0])

    @staticmethod
    def _is_same(one: _Call, other: _Call) -> bool:
        return one.state() is other.state() is not None and one.written == other.written

    def _count(self, name: str, same: bool) -> None:
        if not same and not self._found:
            return
        stack = self._watch.lines.stack(_DEEPEST)
        loop = next((at for at in stack if goes_round(at.file, at.line)), None)
        if loop is None:
            return
        if loop not in self._names:
            self._names[loop] = dropped_in_loop(loop.file, loop.line)
        known = self._found.get(loop) or RepeatedState(name, loop, self._watch.step, self._names[loop], calls=1)
        if known.name and known.calls < _MOST_COUNTED:
            self._found[loop] = dataclasses.replace(known, calls=known.calls + 1, same=known.same + same)

    def end_round(self) -> None:
        """A sequence does not go on behind a backward."""
        self._last.clear()

    def save(self) -> None:
        """Write what was seen."""
        for i, found in enumerate(self._found.values()):
            self._watch.writer.put(found, i)


def _is_one_step(recurrent: nn.Module, given: torch.Tensor) -> bool:
    """A batch of single tokens, or of sequences that are one step long: a window would hold the history itself."""
    if isinstance(recurrent, nn.RNNCellBase) or given.dim() < 2:
        return True
    return given.shape[1 if getattr(recurrent, "batch_first", False) else 0] == 1
