"""Which random generators were seeded, and which were used."""

from __future__ import annotations

import functools
import random
import sys
from typing import Any, Final

import torch

from flightcheck.adapters.torch.patches import Patches
from flightcheck.adapters.torch.reseedings import Reseedings
from flightcheck.adapters.torch.watch import Watch
from flightcheck.recording.records import Location, Seeding
from flightcheck.recording.starting_point import FreshGenerators

_MOST_FRESH: Final = 64


class Randomness:
    """Watches seeding calls and compares the generators' states at start and end. Draws nothing."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._seeded: dict[str, tuple[int, Location | None]] = {}
        self._values: dict[str, int] = {}
        self._first_model: tuple[int, Location | None] | None = None
        self._start = self._states()
        self._fresh: list[str] = []
        self._more = 0
        self.again = Reseedings(watch)
        self.replayed: list[int] = []
        """Seeds for the generators of NumPy that the script makes without one, in order."""

    def install(self, patches: Patches) -> None:
        """Patch the seeding functions."""
        for owner in (torch, torch.random):
            patches.replace(owner, "manual_seed", lambda f: self._noting("torch", f))
            patches.replace(owner, "set_rng_state", lambda f: self._setting("torch", f))
        patches.replace(random, "seed", lambda f: self._noting("python", f))
        patches.replace(random, "setstate", lambda f: self._setting("python", f))
        import numpy as np

        patches.replace(np.random, "seed", lambda f: self._noting("numpy", f))
        patches.replace(np.random, "set_state", lambda f: self._setting("numpy", f))
        patches.replace(np.random, "default_rng", self._making)

    def _making(self, original: Any) -> Any:
        def made(generator: Any) -> None:
            if len(self._fresh) < _MOST_FRESH:
                self._fresh.append(str(generator.bit_generator.seed_seq.entropy))
            else:
                self._more += 1

        told = self.watch.guarded(made)

        @functools.wraps(original)
        def default_rng(*args: Any, **kwargs: Any) -> Any:
            unseeded = (args[0] if args else kwargs.get("seed")) is None and self.watch.mine() and not self.watch.busy
            if not unseeded:
                return original(*args, **kwargs)
            generator = original(self.replayed.pop(0)) if self.replayed else original(*args, **kwargs)
            told(generator)
            return generator

        return default_rng

    def _noting(self, generator: str, original: Any) -> Any:
        def seeds(number: Any = None) -> None:
            self.again.seeds(generator, number)
            if generator not in self._seeded:
                if isinstance(number, int):
                    self._values[generator] = number
                self._seeded[generator] = (self.watch.next_sequence(), self.watch.lines.here())

        before, after = self.watch.guarded(seeds), self.watch.guarded(self.again.seeded)

        @functools.wraps(original)
        def seed(*args: Any, **kwargs: Any) -> Any:
            number = args[0] if args else kwargs.get("seed", kwargs.get("a"))
            before(number)
            result = original(*args, **kwargs)
            after(generator, number)
            return result

        return seed

    def _setting(self, generator: str, original: Any) -> Any:
        told = self.watch.guarded(self.again.set)

        @functools.wraps(original)
        def set_state(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            told(generator)
            return result

        return set_state

    def model_built(self, location: Location | None) -> None:
        """The first module with parameters was constructed."""
        if self._first_model is None:
            self._first_model = (self.watch.next_sequence(), location)

    def _states(self) -> dict[str, Any]:
        states: dict[str, Any] = {"torch": torch.get_rng_state(), "python": random.getstate()}
        if "numpy" in sys.modules:
            import numpy as np

            states["numpy"] = np.random.get_state()[1].tobytes()  # type: ignore[index]
        return states

    def save(self) -> None:
        """Write what is known."""
        self.again.save()
        if self._fresh:
            self.watch.writer.put(FreshGenerators(self._fresh, self._more))
        now = self._states()
        used = [
            k
            for k, v in now.items()
            if not (torch.equal(v, self._start[k]) if k == "torch" else v == self._start.get(k, v))
        ]
        seed = self._seeded.get("torch")
        late = bool(seed and self._first_model and seed[0] > self._first_model[0])
        self.watch.writer.put(
            Seeding(
                seeded=sorted(self._seeded),
                used=used,
                values=dict(self._values),
                torch_after_model=late,
                location=seed[1] if seed else None,
                first_model_location=self._first_model[1] if self._first_model else None,
            )
        )
