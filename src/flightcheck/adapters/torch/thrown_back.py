"""A model in training that is given, again and again, the weights of another one which is never changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from torch import nn

from flightcheck.adapters.torch.discovery import Discovery, Root
from flightcheck.adapters.torch.tensor_prints import Print, prints_of
from flightcheck.adapters.torch.watch import Watch
from flightcheck.recording.drawn_anew import ThrownBack as Record
from flightcheck.recording.records import Location

_MOST_LINES: Final = 16


@dataclass
class _Line:
    """What a line did so far."""

    weights: dict[str, Print]
    """Of the model that gave them, when the line first ran."""
    source: Root
    calls: int
    """Of that model, when the line first ran."""
    parameters: list[int]
    rounds: list[int] = field(default_factory=list)
    calls_between: int = 0
    others: bool = False
    """It gave other weights in between, or those that the model had anyway."""


class ThrownBack:
    """The lines of ``load_state_dict`` that do so, and when."""

    def __init__(self, watch: Watch, discovery: Discovery) -> None:
        self.watch = watch
        self.discovery = discovery
        self._lines: dict[Location, _Line] = {}

    def loaded(self, module: nn.Module, state: Mapping[str, Any], before: dict[str, Print]) -> None:
        """A module was given a state; `before` are its matrices as they were."""
        line = self.watch.lines.here()
        if not self.watch.step or not before or line is None:
            return
        source = self._source(module, state, before)
        trained = [i for p in module.parameters() if (i := self.discovery.parameter_index(p)) is not None]
        trained = [i for i in trained if self._was_trained(i)]
        if source is None or not trained:
            return
        weights = prints_of((n, state[n]) for n in before)
        if line not in self._lines:
            if len(self._lines) >= _MOST_LINES:
                return
            self._lines[line] = _Line(weights, source, _calls(source), trained)
        seen = self._lines[line]
        seen.others |= weights != seen.weights or weights == before or seen.source is not source
        seen.rounds.append(self.watch.step)
        seen.calls_between = _calls(source) - seen.calls

    def _was_trained(self, index: int) -> bool:
        info = self.discovery.parameters[index]
        return bool(info.optimizers) and info.joined < self.watch.step

    def _source(self, module: nn.Module, state: Mapping[str, Any], names: Mapping[str, Any]) -> Root | None:
        """The other model that was called and whose own matrices the state holds."""
        given = [getattr(state.get(n), "data_ptr", int)() for n in names]
        for root in self.discovery.roots.values():
            other = root.module()
            if other is None or other is module:
                continue
            own = dict(other.named_parameters())
            if all(n in own and at and own[n].data_ptr() == at for n, at in zip(names, given)):
                return root
        return None

    def save(self) -> None:
        """Write the records."""
        lines = ((line, seen) for line, seen in self._lines.items() if not seen.others)
        for i, (line, seen) in enumerate(lines):
            root = seen.source.info.index
            self.watch.writer.put(Record(i, line, seen.rounds, seen.parameters, root, seen.calls_between), i)


def _calls(root: Root) -> int:
    return root.train_calls + root.eval_calls
