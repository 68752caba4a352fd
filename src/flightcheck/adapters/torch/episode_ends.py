"""Targets made of a reward and the discounted value of the next state: does the end of an episode reach them?

What models put out is followed in the learning pass through the script's operations to the target of a loss: what it
was multiplied with, what was added, whether a mask or a choice of rows acted on it. Beside that stand vectors of two
values that were fetched in the same round, one for each row, and are in no part of the target.
"""

from __future__ import annotations

import dataclasses
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from flightcheck.adapters.torch.loose_terms import tensors_of
from flightcheck.adapters.torch.remembered import Remembered
from flightcheck.adapters.torch.similarities import FACTORS, factor_of
from flightcheck.adapters.torch.watch import Watch, hands_off, is_plain_tensor
from flightcheck.recording.episode_ends import UnendedTarget, ValueTarget, chance_of
from flightcheck.recording.records import Location

_SUMS: Final = {"add", "__add__", "__radd__", "add_", "__iadd__", "sub", "__sub__", "__rsub__", "rsub", "subtract"}
_KEEPS: Final = {
    "max", "amax", "min", "amin", "minimum", "gather", "take_along_dim", "mean", "sum", "detach", "detach_", "clone",
    "squeeze", "unsqueeze", "view", "reshape", "flatten", "float", "double", "to", "unbind", "select", "__get__",
    "clamp", "clip", "neg", "__neg__", "contiguous", "type", "view_as", "reshape_as", "expand",
}  # fmt: skip
"""What leaves a value one of the same row. Anything else may be a mask."""
_FETCHES: Final = {
    "__getitem__", "tensor", "as_tensor", "from_numpy", "stack", "cat", "unbind", "split", "chunk", "index_select",
    "float", "double", "to", "bool", "long", "int", "squeeze", "unsqueeze", "view", "reshape", "type", "flatten",
}  # fmt: skip
_DECISIONS: Final = {
    "gt", "ge", "lt", "le", "eq", "ne", "__gt__", "__ge__", "__lt__", "__le__", "__eq__", "__ne__", "logical_and",
    "logical_or", "logical_not", "__or__", "__and__", "__invert__", "isclose", "bernoulli", "argmax",
}  # fmt: skip
_FEWEST_ROWS: Final = 8
_MOST_ROWS: Final = 4096
_MOST_FEATURES: Final = 64
_MOST_FLAGS: Final = 16
"""Of a round."""
_MOST: Final = 400

Place = tuple[Location | None, int]


@dataclasses.dataclass(eq=False)
class _Value:
    """What a model put out, wherever operations took it."""

    state: torch.Tensor | None
    """What the model was given, without its graph."""
    masked: bool = False
    discount: Location | None = None
    added: tuple[torch.Tensor, ...] | None = None


@dataclasses.dataclass
class _Site:
    location: Location | None = None
    step: int = 0
    calls: int = 0
    masked: int = 0
    flags: dict[Place, list[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]] = dataclasses.field(
        default_factory=dict
    )
    """Flags and states of the rounds."""


class EpisodeEnds:
    """Follows values to targets in the learning pass; told of each operation outside of models by `Operations`."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._values: dict[int, tuple[weakref.ref[torch.Tensor], _Value]] = {}
        self._decided = Remembered()
        """Answers that the script computed itself: they are no flags of a memory."""
        self._flags: list[tuple[Place, torch.Tensor]] = []
        self._places: dict[Location | None, int] = {}
        self._chosen: list[torch.Tensor] = []
        """Indices of what was picked out of a prediction: actions."""
        self._sites: dict[int, _Site] = {}
        self._targets: dict[int, int] = {}
        """Losses with a target that adds something to a value → their calls."""
        self._best = Remembered()
        """The places of maxima over outputs that may learn, whose values were asked for as well."""
        self._greedy = False
        """Something is done with such a place: the agent takes the action whose value it moves."""

    def returned(self, inputs: Sequence[torch.Tensor | None], output: Any) -> None:
        """A model was called, outermost."""
        if type(output) is not torch.Tensor or not output.is_floating_point():
            return
        given = next((t for t in inputs if t is not None and t.is_floating_point()), None)
        small = given is not None and given.numel() <= _MOST_ROWS * _MOST_FEATURES
        self._follow(output, _Value(given.detach() if given is not None and small else None))

    def look(self, name: str, args: Any, kwargs: Any, result: Any) -> None:
        """The script's own code computed `result`."""
        if hands_off() or not (self._values or name in _FETCHES or name in _DECISIONS):
            return
        self._greedy |= bool(self._best) and any(t in self._best for t in tensors_of(args))
        if name == "max" and isinstance(result, tuple) and args and getattr(args[0], "requires_grad", False):
            self._best.add(result[-1])
        if name in ("gather", "take_along_dim") and args and getattr(args[0], "requires_grad", False):
            index = args[2] if len(args) > 2 else kwargs.get("index", kwargs.get("indices"))
            if isinstance(index, torch.Tensor) and len(self._chosen) < _MOST_FLAGS:
                self._chosen.append(index)
        values = [v for t in tensors_of(args) if (v := self._of(t)) is not None]
        if values:
            self._passed(name, args, kwargs, result, values)
            return
        given = [t for t in tensors_of(args) if is_plain_tensor(t)]  # others may have no size to be asked for
        for tensor in filter(is_plain_tensor, _results(result)):
            if name in _DECISIONS or any(t in self._decided for t in given if t.numel() == tensor.numel()):
                self._decided.add(tensor)
            elif name in _FETCHES:
                self._fetched(tensor)

    def compared(self, site: int, target: torch.Tensor) -> None:
        """A loss of a training step is given this target."""
        value = self._of(target)
        if value is None or value.added is None:
            return
        if value.added and (value.masked or value.discount):
            self._targets[site] = self._targets.get(site, 0) + 1
        if value.discount is None:
            return
        known = self._sites.setdefault(site, _Site(value.discount, self._watch.step))
        known.calls += 1
        known.masked += value.masked
        state, rows = value.state, target.numel()
        if (
            value.masked
            or state is None
            or not self._watch.reads(state)
            or not state.dim()
            or len(state) != rows
            or rows < _FEWEST_ROWS
        ):
            return
        states = state.reshape(rows, -1).double().cpu().numpy()
        if states.shape[1] > _MOST_FEATURES:
            return
        for place, flag in self._flags:
            if flag.numel() == rows and not any(_same(flag, t) for t in (*value.added, *self._chosen)):
                seen = known.flags.setdefault(place, [])
                if sum(len(f) for f, _ in seen) < _MOST_ROWS and len(known.flags) <= _MOST_FLAGS:
                    seen.append((flag.reshape(-1).double().cpu().numpy() != 0, states))

    def next_state(self, target: torch.Tensor) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]] | None:
        """What the model was given whose output a sum made a target of, and what was added to it."""
        value = self._of(target)
        if value is None or value.state is None or not value.added:
            return None
        return value.state, value.added

    def flag_at(self, file: str, line: int, number: int, rows: int) -> torch.Tensor | None:
        """The flag that a line of this round fetched, of so many rows."""
        for (at, place), flag in self._flags:
            here = at is not None and (Path(at.file).name, at.line, place) == (file, line, number)
            if here and flag.numel() == rows:
                return flag
        return None

    def is_value(self, tensor: Any) -> bool:
        """It is what a model put out, or was computed of that."""
        return self._of(tensor) is not None

    def end_round(self) -> None:
        """Forget the tensors of this round."""
        self._values.clear()
        self._decided.clear()
        self._best.clear()
        self._flags.clear()
        self._places.clear()
        self._chosen.clear()

    def save(self) -> None:
        """Write the losses with such targets, each with the flag that tells ends best."""
        for site_index, calls in self._targets.items() if not self._greedy else ():
            self._watch.writer.put(ValueTarget(site_index, calls), site_index)
        for index, site in self._sites.items():
            found = UnendedTarget(index, site.location, site.step, site.calls, site.masked)
            told = [_with_flag(found, place, seen) for place, seen in site.flags.items()]
            self._watch.writer.put(min(told, key=lambda f: f.chance, default=found), index)

    def _passed(self, name: str, args: Any, kwargs: Any, result: Any, values: list[_Value]) -> None:
        """An operation on a value gave another one."""
        first = dataclasses.replace(values[0])
        for other in values[1:]:
            first.masked |= other.masked
            first.discount, first.added = first.discount or other.discount, first.added or other.added
        number = factor_of(name, args) if name in FACTORS else None
        others = [t for t in tensors_of(args[:2]) if self._of(t) is None]
        if number is not None:
            if 0 < number < 1:
                first.discount = self._watch.lines.here()
        elif name in _SUMS:
            first.added = tuple(t for t in others if t.numel() > 1 and not t.requires_grad)
            if 0 < kwargs.get("alpha", 1) < 1:
                first.discount = self._watch.lines.here()
        elif name == "__getitem__":
            first.masked |= any(t.dtype is torch.bool for t in tensors_of(args[1:]))
        elif name not in _KEEPS:
            first.masked = True
        if name == "__setitem__" and (written := self._of(args[0])) is not None:
            written.masked = True
        for tensor in _results(result):
            if tensor.is_floating_point():
                self._follow(tensor, first)

    def _fetched(self, tensor: torch.Tensor) -> None:
        rows = tensor.numel()
        vector = tensor.dim() == 1 or (tensor.dim() == 2 and tensor.shape[1] == 1)
        if not vector or not _FEWEST_ROWS <= rows <= _MOST_ROWS or tensor.requires_grad:
            return
        line = self._watch.lines.here()
        number = self._places.get(line, 0)
        self._places[line] = number + 1
        if len(self._flags) >= _MOST_FLAGS or not is_plain_tensor(tensor) or not self._watch.reads(tensor):
            return
        if bool(((tensor == 0) | (tensor == 1)).all()):
            self._flags.append(((line, number), tensor))

    def _follow(self, tensor: torch.Tensor, value: _Value) -> None:
        if len(self._values) < _MOST:
            self._values[id(tensor)] = (weakref.ref(tensor), value)

    def _of(self, tensor: Any) -> _Value | None:
        held = self._values.get(id(tensor))
        return held[1] if held is not None and held[0]() is tensor else None


def _results(result: Any) -> Iterator[torch.Tensor]:
    for value in result if isinstance(result, (tuple, list)) else (result,):
        if type(value) is torch.Tensor:
            yield value


def _same(flag: torch.Tensor, other: torch.Tensor) -> bool:
    """The numbers of one are those of the other."""
    if flag.numel() != other.numel() or flag.device != other.device:
        return False
    return bool((flag.reshape(-1).double() == other.detach().reshape(-1).double()).all())


def _with_flag(found: UnendedTarget, place: Place, seen: list[Any]) -> UnendedTarget:
    """The record with what a flag tells of the states; its rarer value is the end."""
    flags = np.concatenate([flag for flag, _ in seen])
    states = np.concatenate([state for _, state in seen])
    rare = bool(2 * flags.sum() <= len(flags))
    chance, count = chance_of(states, flags == rare)
    return dataclasses.replace(
        found,
        flag_location=place[0],
        flag_place=place[1],
        end_value=int(rare),
        rows=len(flags),
        ends=count,
        chance=chance,
    )
