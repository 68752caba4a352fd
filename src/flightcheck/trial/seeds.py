"""Known random numbers in a trial: an unseeded script is seeded, and a script that seeds itself gets other seeds."""

from __future__ import annotations

import functools
import os
import random
from typing import Any, Final

_STRIDE: Final = 7919
"""Distance of the seeds of two trials: a prime, so that scripts that add small numbers to a seed do not meet."""


def fix(seed: int) -> None:
    """Seed Python, NumPy and torch. With a `seed` above 0 every later seeding call is given another number.

    Trial 0 keeps the script's own seeds; what the script does not seed is seeded here in every trial.
    """
    import numpy as np
    import torch

    os.environ.setdefault("PYTHONHASHSEED", "0")
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    _fix_generators_of_numpy(seed)
    if seed:
        shift = seed * _STRIDE
        for owner, name in (
            (random, "seed"),
            (np.random, "seed"),
            (torch, "manual_seed"),
            (torch.random, "manual_seed"),
        ):
            setattr(owner, name, _shifted(getattr(owner, name), shift))


def _shifted(original: Any, shift: int) -> Any:
    @functools.wraps(original)
    def seed(value: Any = None, *args: Any, **kwargs: Any) -> Any:
        if isinstance(value, int) and not isinstance(value, bool):
            value = (value + shift) % 2**32
        return original(value, *args, **kwargs)

    return seed


def _fix_generators_of_numpy(seed: int) -> None:
    """``default_rng()`` without a seed would ask the operating system for one."""
    import numpy as np

    original, made = np.random.default_rng, [0]

    @functools.wraps(original)
    def default_rng(value: Any = None) -> Any:
        if value is None:
            made[0] += 1
            value = seed * _STRIDE + made[0]
        elif seed and isinstance(value, int):
            value = value + seed * _STRIDE
        return original(value)

    setattr(np.random, "default_rng", default_rng)  # noqa: B010
