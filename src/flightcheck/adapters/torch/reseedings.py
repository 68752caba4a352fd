"""Notices a random generator that is set back to the same seed in one training step after another."""

from __future__ import annotations

import dataclasses
import random
from typing import Any, Final

import torch

from flightcheck.adapters.torch.watch import Watch
from flightcheck.recording.records import Location
from flightcheck.recording.reseedings import Reseeding

_MOST_CALLS: Final = 4000
"""Calls that are looked at: a data set may seed a generator for each of its examples."""
_MOST_LINES: Final = 32

_Key = tuple[str, Location | None, int]


class Reseedings:
    """Told before and after each call that seeds a global generator. Draws nothing."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._found: dict[_Key, Reseeding] = {}
        self._steps: dict[_Key, int] = {}
        """The last step in which a line seeded."""
        self._after: dict[str, Any] = {}
        """State of a generator as its last seeding left it."""
        self._calls = 0

    def seeds(self, generator: str, number: Any) -> None:
        """A generator is about to be seeded."""
        if not self.watch.step or type(number) is not int or self._calls >= _MOST_CALLS:
            return
        self._calls += 1
        key = (generator, self.watch.lines.here(), number)
        known = self._found.get(key)
        if known is None:
            if key[1] is None or len(self._found) >= _MOST_LINES:
                return
            known = Reseeding(generator, number, key[1])
        last, self._steps[key] = self._steps.get(key, -1), self.watch.step
        before = self._after.get(generator)
        self._found[key] = dataclasses.replace(
            known,
            calls=known.calls + 1,
            steps=known.steps + (last != self.watch.step),
            drawn=known.drawn + (before is not None and before != _state(generator)),
        )

    def seeded(self, generator: str) -> None:
        """It was seeded."""
        if self.watch.step and self._calls < _MOST_CALLS:
            self._after[generator] = _state(generator)

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
