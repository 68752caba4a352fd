"""The patch of a schedule that is told of epochs and counts steps: it goes on after each step of its optimizer."""

from __future__ import annotations

import functools
import weakref
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from flightcheck.adapters.torch.patching.boundaries import Boundaries
from flightcheck.patch import Patch


def each_step(b: Boundaries, patch: Patch) -> None:
    """``scheduler:batch``: a schedule steps after each step of its optimizer, and not where the script calls it.

    The first call of each is that of its construction. At its end a schedule stays as it is.
    """
    begun, over = weakref.WeakSet[LRScheduler](), weakref.WeakSet[LRScheduler]()
    steps: list[Any] = []

    def make(original: Any) -> Any:
        steps[:] = [original]

        @functools.wraps(original)
        def step(self: LRScheduler, *args: Any, **kwargs: Any) -> Any:
            if not b.observer.watch.mine() or self not in begun:
                begun.add(self)
                return original(self, *args, **kwargs)
            b.acted(patch)
            return None

        return step

    def after(optimizer: Optimizer) -> None:
        for scheduler in [s for s in begun if s.optimizer is optimizer and s not in over]:
            try:
                with b.unwatched():
                    steps[0](scheduler)
            except ValueError:  # OneCycleLR beyond its last step
                over.add(scheduler)

    b.observer.patches.replace(LRScheduler, "step", make)
    b.around_step(after=after)
