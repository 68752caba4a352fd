"""Known random numbers in a trial: an unseeded script is seeded, and a script that seeds itself gets other seeds."""

from __future__ import annotations

import functools
import operator
import os
import random
from typing import Any, Final

_STRIDE: Final = 7919
"""Distance of the seeds of two trials: a prime, so that scripts that add small numbers to a seed do not meet."""

_UNSEEDED: Final = 20_231
"""What a seeding call without a number seeds with."""


def fix(seed: int) -> None:
    """Seed Python, NumPy and torch. With a `seed` above 0 every later seeding call is given another number.

    Trial 0 keeps the script's own seeds; what the script does not seed is seeded here in every trial, and so is what it
    seeds with the clock of the operating system, by a seeding call without a number.
    """
    import numpy as np
    import torch

    os.environ.setdefault("PYTHONHASHSEED", "0")
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    _fix_generators_of_numpy(seed)
    for owner, name in ((random, "seed"), (np.random, "seed"), (torch, "manual_seed"), (torch.random, "manual_seed")):
        setattr(owner, name, _shifted(getattr(owner, name), seed * _STRIDE))
    for module in (torch, torch.random):
        setattr(module, "seed", lambda: torch.manual_seed(_UNSEEDED).initial_seed())  # noqa: B010


def _shifted(original: Any, shift: int) -> Any:
    def moved(value: Any) -> Any:
        if value is None:
            return _UNSEEDED + shift
        try:
            number = operator.index(value)
        except TypeError:  # text, a list: something else than a number
            return value
        return (number + shift) % 2**32 if shift else value

    @functools.wraps(original)
    def seed(*args: Any, **kwargs: Any) -> Any:
        if args:
            args = (moved(args[0]), *args[1:])
        else:
            name = next((k for k in ("seed", "a") if k in kwargs), None)
            args = () if name else (moved(None),)
            kwargs = {k: moved(v) if k == name else v for k, v in kwargs.items()}
        return original(*args, **kwargs)

    return seed


def _fix_generators_of_numpy(seed: int) -> None:
    """``default_rng()`` without a seed would ask the operating system for one."""
    import numpy as np

    original, made = np.random.default_rng, [0]

    @functools.wraps(original)
    def default_rng(*args: Any, **kwargs: Any) -> Any:
        given = args[0] if args else kwargs.get("seed")
        if given is None:
            made[0] += 1
            given = seed * _STRIDE + made[0]
        elif seed and isinstance(given, (int, np.integer)):
            given = int(given) + seed * _STRIDE
        return original(given)

    setattr(np.random, "default_rng", default_rng)  # noqa: B010
