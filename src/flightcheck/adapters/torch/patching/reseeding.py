"""Patch of random generators that are set back to the same seed in step after step."""

from __future__ import annotations

import functools
import random
from typing import Any

import numpy as np
import torch

from flightcheck.adapters.torch.patching.boundaries import Boundaries
from flightcheck.patch import Patch


def off(b: Boundaries, patch: Patch) -> None:
    """``reseed:off``: once the training has begun, a line that gives a generator a seed again does not.

    The first time it still does, so that both trainings begin with the same numbers.

    Raises:
        ValueError: the value is not ``off``.
    """
    if patch.value != "off":
        raise ValueError(f"reseed: off wanted, but got {patch.value!r}")

    def make(original: Any) -> Any:
        seen: set[Any] = set()

        @functools.wraps(original)
        def seed(*args: Any, **kwargs: Any) -> Any:
            if b.observer.watch.mine():
                key = (b.observer.lines.here(), args, tuple(sorted(kwargs.items())))
                if key in seen and b.observer.steps:
                    b.acted(patch)
                    return torch.default_generator if original.__name__ == "manual_seed" else None
                seen.add(key)
            return original(*args, **kwargs)

        return seed

    owners = ((torch, "manual_seed"), (torch.random, "manual_seed"), (random, "seed"), (np.random, "seed"))
    for owner, name in owners:
        b.observer.patches.replace(owner, name, make)
