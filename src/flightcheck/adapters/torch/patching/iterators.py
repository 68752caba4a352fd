"""Patches of iterators over loaders: the next pass begins when the last one is over; batches by which to judge."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import torch
from torch.optim import Optimizer
from torch.utils.data import DataLoader

from flightcheck.adapters.torch.patching.boundaries import Boundaries
from flightcheck.adapters.torch.weighted_classes import weighted_classes
from flightcheck.patch import Patch

_EVERY: Final = 3
"""Rounds of which the last one is spent on a batch that judges: a third of sixty are enough for a comparison."""


class _Continued:
    """The pass that a loader has begun, and another one when it is over before it gave anything."""

    def __init__(self, passing: _Pass) -> None:
        self._passing = passing
        self._gave = False

    def __iter__(self) -> _Continued:
        return self

    def __next__(self) -> Any:
        try:
            batch = next(self._passing.iterator)
        except StopIteration:
            if self._gave:
                raise
            self._passing.begin()
            batch = next(self._passing.iterator)
        self._gave = True
        return batch


class _Pass:
    """One pass over the data of a loader."""

    def __init__(self, loader: Any, begin: Any) -> None:
        self.loader = loader  # held, so that the identity of its data is not given to others
        self._begin = begin
        self.begin()

    def begin(self) -> None:
        """Another pass."""
        self.iterator = self._begin(self.loader)


def continued(b: Boundaries, patch: Patch) -> None:
    """``loader:continue``: where a new iterator is made for every batch, it goes on where the last one stopped.

    In training only. Loaders are told apart by their data: some scripts build one for every batch.
    """
    begun: dict[tuple[int, Any], _Pass] = {}

    def make(original: Any) -> Any:
        @functools.wraps(original)
        def __iter__(self: Any) -> Any:  # noqa: N807
            if not b.observer.watch.mine() or not torch.is_grad_enabled():
                return original(self)
            key = (id(self.dataset), self.batch_size)
            if key in begun:
                b.acted(patch)
            else:
                begun[key] = _Pass(self, original)
            return _Continued(begun[key])

        return __iter__

    b.observer.patches.replace(DataLoader, "__iter__", make)


def judged_by_other_batches(b: Boundaries, patch: Patch) -> None:
    """``score:others``: every third round is given the next batch of a pass of its own, in random order, and trains
    nothing; only its error counts.

    A training that sees a part of the data at a time has a low error there and then; here it is asked about all.
    ``score:classes``: these batches have equally many examples of each class that a weighted sampler knows, on average.
    """
    scoring = b.scoring
    loaders: list[Any] = []
    passes: dict[int, Iterator[Any]] = {}
    gradients: dict[int, list[tuple[Any, Any]]] = {}

    def judging() -> bool:
        return b.observer.steps % _EVERY == _EVERY - 1

    def make(original: Any) -> Any:
        @functools.wraps(original)
        def __iter__(self: Any) -> Any:  # noqa: N807
            if b.observer.watch.mine() and torch.is_grad_enabled():
                loaders[:] = [self]
            return original(self)

        return __iter__

    def batch(value: Any) -> Any:
        if not judging() or not torch.is_grad_enabled() or not loaders:
            return value
        with _aside(b):
            other = _next(passes, loaders[0], patch.value == "classes")
        if other is None:
            return value
        b.acted(patch)
        return other

    def before(optimizer: Optimizer) -> None:
        if judging():
            held = gradients[id(optimizer)] = [(p, p.grad) for g in optimizer.param_groups for p in g["params"]]
            for p, _ in held:
                p.grad = None

    def after(optimizer: Optimizer) -> None:
        for p, gradient in gradients.pop(id(optimizer), []):
            p.grad = gradient

    scoring.counts = judging
    b.observer.patches.replace(DataLoader, "__iter__", make)
    b.at_batches(batch)
    b.around_step(before, after)


@contextmanager
def _aside(b: Boundaries) -> Iterator[None]:
    """The training draws the same random numbers as without it, and the observer does not take it for the script's."""
    with b.unwatched(), torch.random.fork_rng(devices=[]):
        yield


def _next(passes: dict[int, Iterator[Any]], loader: Any, balanced: bool) -> Any:
    """The next examples of the loader's data in random order, as many as it gives at once; None if that is unknown."""
    size, key = loader.batch_size, id(loader.dataset)
    if size is None or not hasattr(loader.dataset, "__getitem__") or not hasattr(loader.dataset, "__len__"):
        return None
    for _ in range(2):
        if key not in passes:
            drawn = torch.Generator().manual_seed(29 + torch.initial_seed() % 2**31)
            order = torch.randperm(len(loader.dataset), generator=drawn)
            if balanced:
                weights = getattr(loader.sampler, "weights", None)
                classes = None if weights is None else weighted_classes(loader.dataset, weights)
                if classes is None:
                    return None
                order = torch.multinomial(classes.balancing(), len(order), replacement=True, generator=drawn)
            whole = range(0, max(len(order) - size, 0) + 1, size)
            passes[key] = iter([order[start : start + size].tolist() for start in whole])
        if (rows := next(passes[key], None)) is not None:
            return loader.collate_fn([loader.dataset[i] for i in rows])
        del passes[key]
    return None
