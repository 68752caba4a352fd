"""What models are fed with: the inputs of the first calls, and of some later ones, with the lines they come from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable
from typing import Any, Final

import torch

from flightcheck.adapters.torch.batches import batch_facts
from flightcheck.adapters.torch.discovery import Discovery, Root
from flightcheck.adapters.torch.features import Features
from flightcheck.adapters.torch.input_origins import InputOrigins
from flightcheck.adapters.torch.operations import Operations
from flightcheck.adapters.torch.watch import Watch, recorded
from flightcheck.recording.batches import Batch
from flightcheck.recording.records import Location

_DENSE_STEPS: Final = 64
"""Training steps whose inputs are all recorded; after that only on sampled steps."""
_SAMPLED_CALLS: Final = 4
"""Sampled steps, of which one has its inputs recorded, once the dense rounds are over."""
_EVALUATED_CALLS: Final = 16
"""Calls of an evaluation whose inputs are recorded, per line and dataset."""


class Inputs:
    """Records what the outermost calls are given."""

    def __init__(self, watch: Watch, discovery: Discovery, operations: Operations) -> None:
        self.watch = watch
        self.discovery = discovery
        self.operations = operations
        self.features = Features(watch)
        self.source_of: Callable[[bool], int] = lambda training: -1
        """Asked with every outermost call, in training or not, which dataset its batch came from."""
        self._recorded: Counter[tuple[Any, ...]] = Counter()
        self._origins = InputOrigins(watch)
        self._first_kinds: dict[int, str] = {}

    def fed(self, root: Root, inputs: list[tuple[str, torch.Tensor]], location: Location | None, training: bool) -> int:
        """A model is called with these at a line, in training or not. Returns the dataset that they came from, -1 if
        that is not known.
        """
        source = self.source_of(training)
        self._record(root, inputs, location, training, source)
        return source

    def _record(
        self, root: Root, inputs: list[tuple[str, torch.Tensor]], location: Location | None, training: bool, source: int
    ) -> None:
        if source < 0 and inputs and training:
            self.operations.slices.fed(root.info.index, inputs[0][1])
        if source < 0 and inputs:
            self.operations.tables.fed(inputs[0][1], training)
        if inputs and not self.watch.reads(inputs[0][1]) and (training or recorded()):
            return
        self.features.categories.fed(root.info.index, inputs, training, location)
        looked = not training and self._recorded[root.info.index, training] < _DENSE_STEPS
        callers = self._origins.callers(location) if looked else ()
        if not self._is_recorded(root, (location, callers), training, source):
            return
        if inputs:
            self.features.ranks.fed(root.info.index, inputs[0][1], training, location, source)
        if training and inputs:
            self.features.fed(root.info.index, *inputs[0])
        origin = self._origins.of_training(location) if training else self._origins.of(location, callers)
        if inputs and not training:
            self.features.appearances.fed(root.info.index, inputs[0][1], origin.get("request") or location)
        first = self._first_kind(root)
        for i, (name, tensor) in enumerate(inputs):
            facts = batch_facts(tensor, first=i == 0)
            if facts is not None:
                self.watch.writer.append(
                    Batch(
                        step=self.watch.step,
                        training=training,
                        root=root.info.index,
                        argument=name,
                        location=location,
                        first_module=first,
                        source=source,
                        **origin,
                        **facts,
                    )
                )

    def _is_recorded(self, root: Root, place: Hashable, training: bool, source: int) -> bool:
        """Inputs are recorded of the first calls; in evaluation, of the first ones of every place and dataset."""
        key = (root.info.index, training)
        count = self._recorded[key]
        dense = _DENSE_STEPS
        if training:
            recorded = count < dense or (self.watch.sampled and count < 4 * dense and self._has_time(key))
        else:
            of_place = (*key, place, source)
            here = self._recorded[of_place]
            recorded = count < dense and here < _EVALUATED_CALLS
            self._recorded[of_place] = here + recorded
        self._recorded[key] = count + recorded
        return recorded

    def _has_time(self, key: tuple[int, bool]) -> bool:
        """Where only few rounds are measured in full, the inputs of some of those are recorded: they cost as much again
        as all else.
        """
        sampled = (*key, "sampled")
        self._recorded[sampled] += 1
        return self.watch.may_wait or self._recorded[sampled] % _SAMPLED_CALLS == 1

    def _first_kind(self, root: Root) -> str:
        """The kind of the first layer that is called. The order is known when it was learnt."""
        known = self._first_kinds.get(root.info.index)
        if known is None or self.watch.learning:
            mine = [m for m in self.discovery.modules.values() if m.root == root.info.index]
            called = sorted((m for m in mine if m.order >= 0), key=lambda m: m.order) or mine
            known = next((m.kind for m in called if m.trainable and m.leaf), "")
            self._first_kinds[root.info.index] = known
        return known
