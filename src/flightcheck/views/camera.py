"""Films the models of a script while it trains: the observer tells when."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import torch

from flightcheck.adapters.torch import TorchObserver
from flightcheck.adapters.torch.discovery import Root
from flightcheck.errors import FlightcheckError, UsageError
from flightcheck.views.batch import Batch
from flightcheck.views.frames import Frames, Views

MOST_MODELS: Final = 4
"""Models of a script that are filmed; the one with most parameters is shown."""


@dataclass
class Camera:
    """Films the models that a script trains: the batch is the first one that each is given."""

    steps: Sequence[int]
    """When to take a snapshot; 0 is before the first step."""
    example: int
    model: str = ""
    """Class or name of the model that is wanted; of any, the one with most parameters."""
    problems: list[str] = field(default_factory=list)
    _films: dict[int, tuple[Root, Frames]] = field(default_factory=dict)
    _shapes: dict[int, tuple[int, ...]] = field(default_factory=dict)
    _observer: TorchObserver | None = None

    def attach(self, observer: TorchObserver) -> None:
        """Look on from now on."""
        self._observer = observer
        observer.forward.entered = self._entered
        observer.round_over = self._round_over
        answered = observer.losses.answered

        def labelled(site: int, target: Any) -> None:
            answered(site, target)
            self._labelled(target)

        observer.losses.answered = labelled

    def _entered(self, root: Root, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """A model is about to be called: the first call of each that can be trained is the batch."""
        module = root.module()
        known = root.info.index in self._films
        if (
            known
            or module is None
            or len(self._films) >= MOST_MODELS
            or not root.trainable
            or not torch.is_grad_enabled()
        ):
            return
        if self.model and self.model not in (root.info.type, root.info.name):
            return
        try:
            with self._alone():
                batch = Batch.of(args, kwargs)
                frames = Frames(module, batch, self.example)
                self._shapes[root.info.index] = batch.whole
                frames.take(self._observer.steps if self._observer is not None else 0)
            self._films[root.info.index] = (root, frames)
        except Exception as e:
            self._note(root, e)

    def _round_over(self, steps: int) -> None:
        if steps not in self.steps:
            return
        for root, frames in self._films.values():
            try:
                with self._alone():
                    if frames.snapshots[-1].step != steps:
                        frames.take(steps)
            except Exception as e:
                self._note(root, e)

    def _labelled(self, target: Any) -> None:
        """The targets of a loss: labels, if they are whole numbers, one for each example of the newest batch."""
        for index, (_, frames) in self._films.items():
            shape, axis = self._shapes.pop(index, ()), frames.batch.axis
            if len(shape) > axis:
                frames.label(target, shape[axis])

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """What runs here is not watched: it is no part of the training."""
        observer = self._observer
        if observer is None:
            yield
            return
        on, looked = observer.watch.on, observer.operations.suspend()
        observer.watch.on = False
        try:
            yield
        finally:
            observer.watch.on = on
            if looked:
                observer.operations.resume()

    def _note(self, root: Root, error: Exception) -> None:
        what = str(error) if isinstance(error, FlightcheckError) else f"{type(error).__name__}: {error}"
        if what not in self.problems:
            self.problems.append(f"{root.info.type}: {what}")

    def developed(self) -> Views:
        """All views of the model that was trained; of several, the one with most parameters.

        Raises:
            UsageError: there is none; says why.
        """
        if not self._films:
            why = f": {'; '.join(self.problems)}" if self.problems else ""
            wanted = f" of a {self.model}" if self.model else ""
            raise UsageError(f"no training{wanted} was seen, so there is nothing to look at{why}")
        trained = [(r, f) for r, f in self._films.values() if r.train_calls] or list(self._films.values())
        root, frames = max(trained, key=lambda found: sum(p.numel() for p in found[1].model.parameters()))
        self._last(root, frames)
        views = frames.views()
        others = [r.info.name or r.info.type for r, f in trained if f is not frames]
        views.notes += [f"Also trained, and shown by --model: {', '.join(others)}."] if others else []
        views.notes += self.problems
        return views

    def _last(self, root: Root, frames: Frames) -> None:
        """What was trained last is seen too, where the training ended between two moments."""
        steps = self._observer.steps if self._observer is not None else 0
        try:
            if frames.snapshots[-1].step < steps:
                frames.take(steps)
        except Exception as e:
            self._note(root, e)


def moments_without_end() -> list[int]:
    """When to take snapshots of a training that ends nobody knows when: each time it is twice as old."""
    return [0, *(2**i for i in range(40))]


def moments(steps: int, snapshots: int) -> list[int]:
    """When to take snapshots: before the first step, after the last, and closer together at the beginning."""
    if snapshots < 2 or steps < 1:
        return [0, steps] if steps > 0 else [0]
    inner = [round((steps + 1) ** (i / (snapshots - 1))) - 1 for i in range(snapshots)]
    return sorted({0, steps, *inner})
