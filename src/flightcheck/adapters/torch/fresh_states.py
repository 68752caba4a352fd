"""Recurrent layers that are called once for each step of a sequence, and start from zeros each time."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Final

import torch

from flightcheck.adapters.torch.state_cuts import CELLS
from flightcheck.adapters.torch.watch import Watch
from flightcheck.recording.records import Location
from flightcheck.recording.sequences import FreshState

LAYERS: Final = {"lstm", "gru", "rnn_tanh", "rnn_relu"}
"""Functions of whole layers; of these the calls count that are given one step of time."""
_FEWEST: Final = 4
"""Calls in one round: encoders of pairs and triplets call one layer two or three times."""
_BATCHED: Final = 3
_BATCH_FIRST_AT: Final = 8
"""Place of ``batch_first`` among the arguments of such a function."""


@dataclasses.dataclass
class _Round:
    calls: int = 0
    fresh: int = 0
    parameter: int | None = None
    line: Location | None = None
    name: str = ""


class FreshStates:
    """Looks at the calls of recurrent cells and layers in the learning pass."""

    def __init__(self, watch: Watch, index_of: Callable[[torch.Tensor], int | None]) -> None:
        self.watch = watch
        self._index_of = index_of
        self._round: dict[int, _Round] = {}
        """By the identity of the recurrent matrix."""
        self._found: dict[tuple[str, Location | None], FreshState] = {}

    def look(self, name: str, args: Any) -> None:
        """One operation of `CELLS` or `LAYERS`."""
        if len(args) < 4:
            return
        matrix = args[3] if name in CELLS else _matrix(args)
        if matrix is None or (name in LAYERS and not is_one_step(args)):
            return
        known = self._round.get(id(matrix))
        if known is None:
            known = self._round[id(matrix)] = _Round(name=name, parameter=self._index_of(matrix))
        known.calls += 1
        if is_fresh(args[1]):
            known.fresh += 1
            known.line = self.watch.lines.here()

    def end_round(self) -> None:
        """Count this round."""
        for known in self._round.values():
            if known.calls >= _FEWEST:
                key = (known.name, known.line)
                before = self._found.get(key) or FreshState(known.name, known.line, self.watch.step)
                parameters = {*before.parameters, *([] if known.parameter is None else [known.parameter])}
                self._found[key] = dataclasses.replace(
                    before,
                    rounds=before.rounds + 1,
                    calls=before.calls + known.calls,
                    fresh=before.fresh + known.fresh,
                    parameters=sorted(parameters),
                )
        self._round.clear()

    def save(self) -> None:
        """Write what was seen."""
        for i, found in enumerate(self._found.values()):
            self.watch.writer.put(found, i)


def is_fresh(state: Any) -> bool:
    """Zeros that nothing learns."""
    tensors = [state] if isinstance(state, torch.Tensor) else list(state)
    return all(isinstance(t, torch.Tensor) and not t.requires_grad and not bool(t.any()) for t in tensors)


def is_one_step(args: Any) -> bool:
    """A layer is given a batch of sequences that are one step long."""
    given = args[0]
    if not isinstance(given, torch.Tensor) or given.dim() != _BATCHED or len(args) <= _BATCH_FIRST_AT:
        return False
    return int(given.shape[1 if args[_BATCH_FIRST_AT] else 0]) == 1


def _matrix(args: Any) -> Any:
    return args[2][1] if isinstance(args[2], (list, tuple)) and len(args[2]) > 1 else None
