"""A patch of an optimizer's options whose values stand on other options."""

from __future__ import annotations

from typing import Any

from torch.optim import Optimizer

from flightcheck.adapters.torch.patching.boundaries import Boundaries
from flightcheck.patch import Patch
from flightcheck.recording.optimizer_options import misplaced


def moved(b: Boundaries, patch: Patch) -> None:
    """``options:moved``: each step is made with the values on their own options, and the script's are put back."""
    saved: dict[int, list[dict[str, Any]]] = {}

    def before(optimizer: Optimizer) -> None:
        own = saved[id(optimizer)] = []
        for group in optimizer.param_groups:
            right = misplaced(type(optimizer).__name__, group)
            own.append({k: group[k] for k in right})
            group.update(right)
            if right:
                b.acted(patch)

    def after(optimizer: Optimizer) -> None:
        for group, own in zip(optimizer.param_groups, saved.pop(id(optimizer), []), strict=False):
            group.update(own)

    b.around_step(before, after)
