"""Outputs of recurrent layers over padded sequences: which are known to be padded, and who reads the last one."""

from __future__ import annotations

import dataclasses
import weakref
from typing import Any, Final

import torch

from flightcheck.recording.records import Location
from flightcheck.recording.sequences import PaddedRead

_PASSED_ON: Final = {"dropout", "contiguous", "clone", "relu", "tanh", "gelu", "layer_norm", "to", "float"}
"""Operations that leave each position where it is."""
RECURRENT: Final = {"lstm", "gru", "rnn_tanh", "rnn_relu"}
BATCH_FIRST: Final = 8
"""Place of ``batch_first`` among the arguments of a recurrent kernel that is given a padded tensor; before it stands
``bidirectional``.
"""
_BATCHED: Final = 3
"""Axes of a batch of sequences."""
_MOST_LINES: Final = 16


@dataclasses.dataclass(frozen=True)
class Padded:
    """What is known of a tensor."""

    kind: str
    """Of `PaddedRead`; ``embedded`` for what goes into a recurrent layer."""
    time: int
    """Axis of time, 0 or 1."""
    lengths: torch.Tensor
    """Of each sequence; of ``embedded`` the places that are padding."""
    outputs: torch.Tensor | None = None
    """Of a ``state``: what the layer gave at each step, where the state is the last of it."""


class PaddedOutputs:
    """Follows tensors that hold padded sequences through single operations."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[weakref.ref[torch.Tensor], Padded]] = {}

    def forget(self) -> None:
        """A round is over."""
        self._known.clear()

    def forget_dead(self) -> None:
        """Forget tensors that are no more."""
        self._known = {k: v for k, v in self._known.items() if v[0]() is not None}

    def of(self, tensor: Any) -> Padded | None:
        """What is known of this tensor."""
        reference, known = self._known.get(id(tensor), (None, None))
        return known if reference is not None and reference() is tensor else None

    def _keep(self, tensor: Any, padded: Padded) -> None:
        if isinstance(tensor, torch.Tensor):
            self._known[id(tensor)] = (weakref.ref(tensor), padded)

    def note(self, name: str, args: Any, kwargs: Any, result: Any) -> None:
        """An operation was made."""
        if name == "_pad_packed_sequence":
            self._keep(result[0], Padded("packed", 1 if args[2] else 0, result[1]))
        elif name == "embedding":
            self._embedded(args, kwargs, result)
        elif name in RECURRENT:
            self._recurred(args, result)
        elif name in _PASSED_ON or name == "index_select":
            known = self.of(args[0]) if args else None
            if known is None:
                return
            if name in _PASSED_ON:
                self._keep(result, known)
            elif known.kind == "packed" and args[1] == 1 - known.time:
                self._keep(result, dataclasses.replace(known, lengths=known.lengths[args[2].to(known.lengths.device)]))

    def _embedded(self, args: Any, kwargs: Any, result: Any) -> None:
        padding = args[2] if len(args) > 2 else kwargs.get("padding_idx")
        ids = args[0] if args else kwargs.get("input")
        if padding is None or not isinstance(ids, torch.Tensor) or ids.dim() != 2 or ids.is_floating_point():
            return
        self._keep(result, Padded("embedded", 1, ids == padding))

    def _recurred(self, args: Any, result: Any) -> None:
        if len(args) <= BATCH_FIRST or not isinstance(args[BATCH_FIRST], bool):
            return  # packed
        time = 1 if args[BATCH_FIRST] else 0
        known = self.of(args[0])
        filled = known.lengths if known is not None and known.kind == "embedded" else _zeros(args[0])
        if filled is None:
            return
        filled = filled if time == 1 else filled.T
        trailing = filled.flip(1).long().cumprod(1).sum(1)
        if bool((filled.sum(1) == trailing).all()):  # padding stands at the end of the rows and nowhere else
            lengths = filled.shape[1] - trailing
            self._keep(result[0], Padded("padded", time, lengths))
            one_way = result[0].shape[-1] == result[1].shape[-1]
            self._keep(result[1], Padded("state", time, lengths, result[0] if one_way else None))

    def reads_last_state(self, name: str, args: Any) -> bool:
        """The hidden state of the last layer is taken, and nothing else."""
        state = args[0]
        if name == "squeeze":
            return len(state) == 1 and args[1:] in ((0,), ())
        at = args[1] if name == "__getitem__" and len(args) > 1 else args[2] if len(args) > 2 and args[1] == 0 else None
        return isinstance(at, int) and not isinstance(at, bool) and at in (-1, len(state) - 1)

    def index_of(self, name: str, args: Any) -> tuple[Padded, int] | None:
        """The position in time that an index reads, for the outputs that are known; for a state -1."""
        if name not in ("__getitem__", "select", "squeeze") or not args:
            return None
        known = self.of(args[0])
        if known is None or known.kind == "embedded":
            return None
        if known.kind == "state":
            return known, -1
        if name == "__getitem__" and len(args) > 1:
            index = args[1] if isinstance(args[1], tuple) else (args[1],)
            before = index[: known.time]
            if len(index) <= known.time or any(b != slice(None) for b in before if isinstance(b, slice)):
                return None
            if not all(isinstance(b, slice) for b in before):
                return None
            at = index[known.time]
        else:
            at = args[2] if name == "select" and len(args) > 2 and args[1] == known.time else None
        return (known, at) if isinstance(at, int) and not isinstance(at, bool) else None


def _zeros(given: Any) -> torch.Tensor | None:
    """The places of a batch of sequences (rows, steps) at which every one of several features is zero, if there are
    any: what `pad_sequence` fills up with.
    """
    if (
        not isinstance(given, torch.Tensor)
        or given.dim() != _BATCHED
        or given.shape[2] < 2
        or given.grad_fn is not None
    ):
        return None
    zeros = (given == 0).all(2)
    return zeros if bool(zeros.any()) else None


class PaddedReads:
    """The lines that read the last output."""

    def __init__(self, outputs: PaddedOutputs) -> None:
        self._outputs = outputs
        self._found: dict[tuple[str, Location | None], PaddedRead] = {}
        self._loops: set[Location | None] = set()
        """Lines that read other positions as well: they go through all of them."""

    def look(self, name: str, args: Any, step: int, line: Location | None) -> None:
        """An index is read."""
        read = self._outputs.index_of(name, args)
        if read is None or not torch.is_grad_enabled():
            return
        known, at = read
        if at != -1:
            self._loops.add(line)
            return
        lengths = known.lengths
        length = int(args[0].shape[known.time]) if known.kind != "state" else int(lengths.max())
        short = int((lengths < length).sum())
        before = self._found.get((known.kind, line))
        if before is not None:
            worst = max(before, self._of(known, step, line, (short, length)), key=lambda r: r.short)
            self._found[known.kind, line] = dataclasses.replace(worst, step=before.step, count=before.count + 1)
        elif len(self._found) < _MOST_LINES:
            self._found[known.kind, line] = self._of(known, step, line, (short, length))

    @staticmethod
    def _of(known: Padded, step: int, line: Location | None, seen: tuple[int, int]) -> PaddedRead:
        short, length = seen
        mean = float(known.lengths.double().mean())
        return PaddedRead(known.kind, step, line, len(known.lengths), short, length, mean)

    def records(self) -> list[PaddedRead]:
        """Reads of the last output by lines that read no other."""
        return [r for r in self._found.values() if r.location not in self._loops]
