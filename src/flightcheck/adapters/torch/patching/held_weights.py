"""Patch of losses that are multiplied by trained weights which nothing holds."""

from __future__ import annotations

from typing import Any

from flightcheck.adapters.torch.learned_weights import PRODUCTS, QUOTIENTS, weights_among
from flightcheck.adapters.torch.patching.boundaries import Arguments, Boundaries
from flightcheck.patch import Patch


def held(b: Boundaries, patch: Patch) -> None:
    """``weights-held:0@train.py:20``: from each loss that is multiplied by a trained weight at this line (the factor of
    this number) the logarithm of the weight is subtracted; to one that is divided by it, it is added.
    """
    number, _, place = patch.value.partition("@")

    def operation(function: Any, name: str, given: Arguments) -> Any:
        args, kwargs = given
        result = function(*args, **kwargs)
        found = weights_among(name, args) if name in PRODUCTS | QUOTIENTS else None
        if found is None or found[0] != int(number) or not b.is_at(place):
            return result
        b.acted(patch)
        logarithm = args[found[0]].log()
        return result + logarithm if name in QUOTIENTS else result - logarithm

    b.at_operations(operation)
