"""Patch of the factor that similarities are multiplied with."""

from __future__ import annotations

from typing import Any

import torch

from flightcheck.adapters.torch.patching.boundaries import Arguments, Boundaries
from flightcheck.adapters.torch.similarities import FACTORS, factor_of
from flightcheck.patch import Patch


def temperature(b: Boundaries, patch: Patch) -> None:
    """``temperature:train.py:31``: a matrix that is made smaller by a factor at this line is made larger by it.

    ``own:train.py:31`` does the same in a loss that the script computes by itself: numbers that it prints judge.
    """
    place = patch.value.removeprefix("own:")

    def operation(function: Any, name: str, given: Arguments) -> Any:
        args, kwargs = given
        factor = factor_of(name, args) if name in FACTORS else None
        matrix = next((a for a in args[:2] if isinstance(a, torch.Tensor) and a.dim() > 1), None)
        if factor is None or matrix is None or not 0 < abs(factor) < 1 or not b.is_at(place):
            return function(*args, **kwargs)
        b.acted(patch)
        in_place = name.endswith("_") and (not name.startswith("__") or name.startswith("__i"))
        return matrix.mul_(1 / factor) if in_place else matrix * (1 / factor)

    b.at_operations(operation)
