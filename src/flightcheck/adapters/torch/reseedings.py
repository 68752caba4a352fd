"""Notices a random generator that is set back to the same seed in one training step after another."""

from __future__ import annotations

import dataclasses
import random
from typing import Any, Final

import torch

from flightcheck.adapters.torch.watch import Watch
from flightcheck.recording.records import Location
from flightcheck.recording.reseedings import Reseeding

_MOST_LINES: Final = 32

_Key = tuple[str, Location | None, int]


class Reseedings:
    """Told before and after each call that seeds a global generator. Draws nothing."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._found: dict[_Key, Reseeding] = {}
        self._steps: dict[_Key, int] = {}
        """The last step in which a line seeded."""
        self._fresh: dict[tuple[str, int], Any] = {}
        """State of a generator that was just given a seed."""
        self._before: dict[str, Any] = {}
        """State of a generator just before it was last seeded."""
        self._given_back: set[str] = set()
        """Generators that got this state again: what was drawn from the seed on was for a moment."""

    def seeds(self, generator: str, number: Any) -> None:
        """A generator is about to be seeded."""
        if not self.watch.step or type(number) is not int:
            return
        given_back = generator in self._given_back
        self._given_back.discard(generator)
        self._before[generator] = _state(generator)
        key = (generator, self.watch.lines.here(), number)
        known = self._found.get(key)
        if known is None:
            if key[1] is None or len(self._found) >= _MOST_LINES:
                return
            known = Reseeding(generator, number, key[1])
        if self._steps.get(key) == self.watch.step:  # a data set may do so for each of its examples
            self._found[key] = dataclasses.replace(known, calls=known.calls + 1)
            return
        self._steps[key] = self.watch.step
        fresh = self._fresh.get((generator, number))
        drawn = known.steps > 0 and not given_back and fresh is not None and fresh != self._before[generator]
        self._found[key] = dataclasses.replace(
            known, calls=known.calls + 1, steps=known.steps + 1, drawn=known.drawn + drawn
        )

    def seeded(self, generator: str, number: Any) -> None:
        """It was seeded."""
        known = not self.watch.step or type(number) is not int or (generator, number) in self._fresh
        if not known and len(self._fresh) < _MOST_LINES:
            self._fresh[generator, number] = _state(generator)

    def set(self, generator: str) -> None:
        """It was given a state that was kept (``fork_rng`` does so at its end)."""
        if generator in self._before and _state(generator) == self._before[generator]:
            self._given_back.add(generator)

    def save(self) -> None:
        """Write the lines that seed more than once while the training goes on."""
        for i, found in enumerate(f for f in self._found.values() if f.steps > 1):
            self.watch.writer.put(found, i)


def _state(generator: str) -> Any:
    if generator == "torch":
        return torch.get_rng_state().numpy().tobytes()
    if generator == "python":
        return random.getstate()
    import numpy as np

    _, key, position, *_ = np.random.get_state()
    return key.tobytes(), position  # type: ignore[attr-defined]
