"""What a value network learns from: are state and next state of its transitions two?

In the learning pass, the rows of which a model predicts values are compared with those whose value is in the target of
the same loss. Beside that stand the single observations which models are given when an agent acts.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import torch

from flightcheck.adapters.torch.watch import Watch
from flightcheck.recording.provenance.returned_states import returned_in_place
from flightcheck.recording.records import Location
from flightcheck.recording.stored_states import StoredTransitions

_MOST_VALUES: Final = 1 << 20
_MOST_OF_ONE: Final = 1 << 16
"""Values of an observation that is copied until the next one comes."""
_MOST_SHAPES: Final = 8
_MOST_STATES: Final = 8
"""The latest inputs of a round whose outputs may learn: some agents act with gradients on."""
_SINGLE: Final = 16
"""Rows of a call that acts, in as many environments."""
_SUSPECT: Final = 0.9
"""Share of equal rows from which the source is read."""

Shape = tuple[int, torch.Size]
Split = Callable[[torch.Tensor], tuple[torch.Tensor, tuple[torch.Tensor, ...]] | None]
"""A target's next state, and what was added to its value."""


@dataclasses.dataclass
class _Acted:
    last: torch.Tensor
    calls: int = 0
    still: int = 0


class StoredStates:
    """Compares states with next states; told of calls of models and of losses."""

    def __init__(self, watch: Watch, split: Split) -> None:
        self._watch = watch
        self._split = split
        self._predicted: list[torch.Tensor] = []
        """What models were given in this round whose output may learn."""
        self._acted: dict[Shape, _Acted] = {}
        self._learnt: set[torch.Size] = set()
        """Shapes of what the losses are about: these calls are no acting."""
        self._sites: dict[int, StoredTransitions] = {}
        self._one: dict[int, torch.Tensor | None] = {}
        """The state that all rows of the last batch were, where they were one."""

    def returned(self, root: int, inputs: Sequence[torch.Tensor | None], output: Any) -> None:
        """A model was called, outermost."""
        given = next((t for t in inputs if t is not None and t.is_floating_point()), None)
        if given is None or type(output) is not torch.Tensor:
            return
        given = given.detach()
        if output.requires_grad:
            self._predicted = [*self._predicted[1 - _MOST_STATES :], given]
        one = given.dim() < 2 or len(given) <= _SINGLE
        if one and given.numel() <= _MOST_OF_ONE and self._watch.reads(given):
            self._acting((root, given.shape), given)

    def compared(self, site: int, target: torch.Tensor) -> None:
        """A loss of a training step is given this target."""
        found = self._split(target)
        if found is None:
            return
        following, added = found
        rows = len(following) if following.dim() else 0
        self._learnt.add(following.shape)
        if rows != target.numel() or not rows or following.numel() > _MOST_VALUES or not self._watch.reads(following):
            return
        states = [s for s in self._predicted if s.shape == following.shape and s.data_ptr() != following.data_ptr()]
        if not states:
            return
        # Behind an end the target is the reward alone, and the next state may be anything
        beyond = torch.ones(rows, dtype=torch.bool, device=target.device)
        for t in added:
            if t.numel() == rows and t.device == target.device:
                beyond &= t.reshape(-1) != target.detach().reshape(-1)
        beyond = beyond.to(following.device)
        known = self._sites.setdefault(site, StoredTransitions(site, self._watch.step, 0, 0, 0))
        equal = max(int(((s == following).reshape(rows, -1).all(1) & beyond).sum()) for s in states)
        one = rows > 1 and bool((following == following[0]).all())
        before = self._one.get(site)
        moved = (
            one and before is not None and before.shape == following[0].shape and bool((before != following[0]).any())
        )
        self._one[site] = following[0].clone() if one else None
        self._sites[site] = dataclasses.replace(
            known, calls=known.calls + 1, rows=known.rows + int(beyond.sum()), equal=known.equal + equal,
            single=known.single + one, moved=known.moved + moved,
        )  # fmt: skip

    def end_round(self) -> None:
        """Forget the tensors of this round."""
        self._predicted.clear()

    def save(self) -> None:
        """Write what was compared, with the lines that hand out what is changed later."""
        acted = [a for (_, shape), a in self._acted.items() if shape not in self._learnt]
        acting, still = sum(a.calls for a in acted), sum(a.still for a in acted)
        for index, site in self._sites.items():
            lines: list[Location] = []
            if site.rows and site.equal >= _SUSPECT * site.rows:
                of = self._watch.lines.of
                lines = [at for f, line in _candidates(self._watch) if (at := of(f, line)) is not None]
            record = dataclasses.replace(site, acting=acting, still=still, returned=lines)
            self._watch.writer.put(record, index)

    def _acting(self, key: Shape, given: torch.Tensor) -> None:
        known = self._acted.get(key)
        if known is None:
            if len(self._acted) < _MOST_SHAPES:
                self._acted[key] = _Acted(given.clone())
            return
        known.calls += 1
        known.still += bool((known.last == given).all())
        known.last = given.clone()


def _candidates(watch: Watch) -> Iterator[tuple[str, int]]:
    files = {getattr(m, "__file__", None) for m in list(sys.modules.values())}
    for file in sorted(f for f in files if isinstance(f, str) and f.endswith(".py") and watch.lines.is_user(f)):
        for line in returned_in_place(file):
            yield file, line
