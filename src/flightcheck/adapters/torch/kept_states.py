"""Models that are kept as the best: is what is kept a copy, and is it kept by the right comparison?"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from types import FrameType
from typing import Any, Final

import torch
from torch import nn

from flightcheck.adapters.torch.discovery import Discovery
from flightcheck.adapters.torch.frames import local
from flightcheck.adapters.torch.optimizers import Held
from flightcheck.adapters.torch.watch import Watch, is_plain_tensor
from flightcheck.recording.kept_states import KeptState
from flightcheck.recording.provenance import kept_states as source
from flightcheck.recording.records import Location

_MOST_VALUES: Final = 64
_MOST_LINES: Final = 256


@dataclass
class _Taken:
    """The latest call of ``state_dict()`` at a line."""

    module: weakref.ref[nn.Module]
    line: Location
    steps: int
    by_reference: bool
    """The source keeps the result without a copy."""
    state: weakref.ref[Any] | None = None


class KeptStates:
    """States and models that are kept, and what becomes of the weights in them."""

    def __init__(self, watch: Watch, discovery: Discovery) -> None:
        self.watch = watch
        self.discovery = discovery
        self.steps = 0
        self._taken: dict[Location, _Taken] = {}
        self._by_reference: dict[Location, bool] = {}
        self._written: dict[Location | None, int] = {}
        self._saved: list[int] = []
        """Rounds in which any state was taken."""
        self._values: dict[tuple[str, int], list[tuple[float, int]]] = {}
        self._keepings: dict[str, list[source.Keeping]] = {}
        self._names: dict[str, list[tuple[str, str, int, int]]] = {}

    def state_taken(self, module: nn.Module, state: Any) -> None:
        """``state_dict()`` returned."""
        if self.watch.step not in self._saved[-1:]:
            self._saved.append(self.watch.step)
        line = self.watch.lines.here()
        if line is None or len(self._taken) >= _MOST_LINES:
            return
        if line not in self._by_reference:
            self._by_reference[line] = source.kept_by_reference(line.file, line.line)
        moves = ".cpu(" in line.code and not all(p.is_cpu for p in module.parameters())  # which makes copies
        taken = _Taken(weakref.ref(module), line, self.steps, self._by_reference[line] and not moves)
        try:
            taken.state = weakref.ref(state)
        except TypeError:
            taken.state = None
        self._taken[line] = taken
        self._note_metric(line)

    def loaded(self, module: nn.Module, state: Any) -> None:
        """A module was given a state: its own, as it is now?"""
        own = {n: p for n, p in module.named_parameters() if p.dim() > 1}
        if not isinstance(state, Mapping) or not own or not self.steps:
            return
        if not all(_same_memory(state.get(n), p) for n, p in own.items()):
            return
        here = self.watch.lines.here()
        calls = [t for t in self._taken.values() if t.module() is module and t.steps < self.steps and t.line != here]
        exact = [t for t in calls if t.state is not None and t.state() is state]
        kept = exact or [t for t in calls if t.by_reference]
        if len(kept) == 1 and (kept[0].by_reference or source.is_conditional(kept[0].line.file, kept[0].line.line)):
            self._write(kept[0].line, self.steps - kept[0].steps, load=here)

    def before_step(self, held: Held) -> None:
        """An optimizer is about to change the weights that somebody may think are kept."""
        self.steps += 1
        for taken in self._taken.values():
            if taken.by_reference and taken.line not in self._written and (module := taken.module()) is not None:
                indices = {self.discovery.parameter_index(p) for p in module.parameters()}
                if indices.intersection(held.indices):
                    self._write(taken.line, self.steps - taken.steps)
        if self.watch.sampled:
            self._look_for_models()

    # -- the model itself ---------------------------------------------------------------------------------------

    def _look_for_models(self) -> None:
        """``best_model = model``: in the functions that run now, two names of one model."""
        frame: FrameType | None = sys._getframe(1)
        depth = 0
        while frame is not None and depth < 64:
            file = frame.f_code.co_filename
            if self.watch.lines.is_user(file):
                if file not in self._names:
                    self._names[file] = source.best_names(file)
                for kept, model, line, scope in self._names[file]:
                    if scope in (0, frame.f_code.co_firstlineno) or "." in kept:
                        self._one_model(frame, kept, model, file, line)
            frame, depth = frame.f_back, depth + 1

    def _one_model(self, frame: FrameType, kept: str, model: str, file: str, line: int) -> None:
        one, other = _value(frame, kept), _value(frame, model)
        where = self.watch.lines.of(file, line)
        if not isinstance(one, nn.Module) or one is not other or where in self._written:
            return
        root = self.discovery.roots.get(id(one))
        if root is not None and root.train_calls:
            self._write(where, 1, module=True)

    # -- the comparison -----------------------------------------------------------------------------------------

    def _note_metric(self, line: Location) -> None:
        """The metric in the ``if`` around a call of ``state_dict``, as it is now."""
        if line.file not in self._keepings:
            self._keepings[line.file] = source.keepings(line.file)
        keeping = next((k for k in self._keepings[line.file] if k.line <= line.line <= k.end), None)
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and frame.f_code.co_filename != line.file:
            frame = frame.f_back
        if keeping is None or frame is None:
            return
        value = _value(frame, keeping.metric.removesuffix(".item()"))
        noted = self._values.setdefault((line.file, keeping.line), [])
        if isinstance(value, torch.Tensor) and value.numel() == 1 and value.is_cpu:
            value = float(value.detach())
        if isinstance(value, int | float) and len(noted) < _MOST_VALUES:
            noted.append((float(value), self.watch.step))

    def save(self, files: set[str]) -> None:
        """Write the comparisons that keep models, and when any was kept."""
        self.watch.writer.put(KeptState(2 * _MOST_LINES, "saved", None, kept_at=self._saved), 2 * _MOST_LINES)
        for file in sorted(files.union(self._keepings, self._names)):
            for keeping in self._keepings.get(file) or source.keepings(file):
                noted = self._values.get((file, keeping.line), [])
                record = KeptState(
                    index=len(self._written) + _MOST_LINES,
                    kind="direction",
                    location=self.watch.lines.of(file, keeping.line),
                    metric=keeping.metric,
                    best=keeping.best,
                    higher=keeping.higher,
                    meaning=keeping.meaning,
                    never=source.never_true(keeping),
                    initial=keeping.initial,
                    values=[v for v, _ in noted],
                    kept_at=[s for _, s in noted],
                )
                self.watch.writer.put(record, record.index)
                self._written.setdefault(record.location, record.index)

    def _write(self, line: Location, steps: int, load: Location | None = None, module: bool = False) -> None:
        index = self._written.setdefault(line, len(self._written))
        record = KeptState(index, "reference", line, load_location=load, steps=steps, module=module)
        self.watch.writer.put(record, index)


def _value(frame: FrameType, text: str) -> Any:
    """The value of a name, or of an attribute of one, in a frame; None if it has none that can be read harmlessly."""
    first, *rest = text.split(".")
    value = local(frame, first, frame.f_globals.get(first))
    for name in rest:
        if isinstance(value, type) or not hasattr(type(value), "__dict__"):
            return None
        inside = getattr(value, "__dict__", {})
        value = inside.get(name, (inside.get("_modules") or {}).get(name))
    return value


def _same_memory(one: Any, other: torch.Tensor) -> bool:
    return is_plain_tensor(one) and is_plain_tensor(other) and other.numel() > 0 and one.data_ptr() == other.data_ptr()
