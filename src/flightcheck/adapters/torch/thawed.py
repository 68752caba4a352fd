"""Parameters that are thawed in the midst of a training: does an optimizer that still steps hold them?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from flightcheck.adapters.torch.optimizers import Held, Optimizers
from flightcheck.adapters.torch.pieces import pieces
from flightcheck.adapters.torch.shards import at_hand
from flightcheck.adapters.torch.watch import Watch
from flightcheck.recording.provenance.thaws import thaw_to_come
from flightcheck.recording.records import Location
from flightcheck.recording.thawed import Thawed

ENOUGH = 4
"""Looks at thawed parameters after which it is known whether they move."""
_MOST_LINES = 8
_MOST_STACKS = 256


@dataclass
class _Seen:
    step: int
    total: float
    """Sum of the values at the first look."""
    looks: int = 0
    moved: bool = False


class ThawedParameters:
    """Looks at the parameters of the models after some backwards; told by the observer."""

    def __init__(self, watch: Watch, optimizers: Optimizers) -> None:
        self.watch = watch
        self.discovery = optimizers.discovery
        self.optimizers = optimizers
        self._phase = -1
        """Index of the optimizer that began to step last."""
        self._frozen: set[int] = set()
        self._learnt: set[int] = set()
        """Those with a gradient at some time of the phase: players whose turns alternate freeze each other."""
        self._seen: dict[int, _Seen] = {}
        self._to_come: dict[tuple[Location, ...], bool] = {}

    def look(self) -> None:
        """A backward returned, on a round that is measured in full, or in which the training is learnt."""
        latest = self._latest()
        if latest is None:
            return
        if latest.info.index != self._phase:
            self._phase = latest.info.index
            self._frozen.clear()
            self._learnt.clear()
            self._seen.clear()
        held = self._held(latest)
        for root in self.discovery.roots.values():
            for index in root.parameter_indices:
                parameter = self.discovery.parameter_refs[index]()
                if parameter is None:
                    continue
                if not parameter.requires_grad:
                    self._frozen.add(index)
                elif parameter.grad is not None:
                    self._learnt.add(index)
                    if index in self._frozen and index not in held:
                        self._thawed(index, parameter)
                if index in held:
                    self._seen.pop(index, None)

    def _latest(self) -> Held | None:
        return max((h for h in self.optimizers.held if h.steps), key=lambda h: h.first_step, default=None)

    def _held(self, latest: Held) -> set[int]:
        """Parameters of the optimizers that still step."""
        return {i for h in self.optimizers.held if h.steps and h.last_step >= latest.first_step for i in h.indices}

    def _thawed(self, index: int, parameter: torch.Tensor) -> None:
        gradient, values = at_hand(parameter.grad), at_hand(parameter.detach())
        if gradient is None or values is None or not self.watch.reads(values):
            return
        if gradient.layout is not torch.strided or not bool(torch.count_nonzero(gradient)):
            return
        total = sum(float(piece.double().sum()) for piece in pieces(values))
        seen = self._seen.setdefault(index, _Seen(self.watch.step, total))
        seen.looks += 1
        seen.moved |= total != seen.total

    def awaited(self, stack: Callable[[int], list[Location]]) -> bool:
        """What is frozen is still to be thawed, as the source says, or was not looked at often enough since then.

        Args:
            stack: gives the lines of the user's code that run now, at most so many.
        """
        if self._seen:
            return max(s.looks for s in self._seen.values()) < ENOUGH
        frozen = self._frozen - self._learnt
        if not any((p := self.discovery.parameter_refs[i]()) is not None and not p.requires_grad for i in frozen):
            return False
        lines = tuple(stack(_MOST_LINES))
        if lines not in self._to_come and len(self._to_come) < _MOST_STACKS:
            self._to_come[lines] = any(thaw_to_come(at.file, at.line) for at in lines)
        return self._to_come.get(lines, False)

    def save(self) -> None:
        """Write what was seen."""
        still = {i: s for i, s in self._seen.items() if not s.moved}
        if still:
            first, looks = min(s.step for s in still.values()), min(s.looks for s in still.values())
            self.watch.writer.put(Thawed(self._phase, first, looks, sorted(still)), 0)
