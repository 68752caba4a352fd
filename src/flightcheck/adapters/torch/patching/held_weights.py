"""Patches of losses that are multiplied by trained weights which nothing holds, or the wrong way round."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flightcheck.adapters.torch.learned_weights import PRODUCTS, QUOTIENTS, weights_among
from flightcheck.adapters.torch.patching.boundaries import Arguments, Boundaries
from flightcheck.patch import Patch


def held(b: Boundaries, patch: Patch) -> None:
    """``weights-held:0@train.py:20``: from each loss that is multiplied by a trained weight at this line (the factor of
    this number) the logarithm of the weight is subtracted; to one that is divided by it, it is added.
    """

    def changed(result: Any, loss: Any, weight: Any, quotient: bool) -> Any:
        return result + weight.log() if quotient else result - weight.log()

    _weighted(b, patch, changed)


def turned(b: Boundaries, patch: Patch) -> None:
    """``weights-turned:0@train.py:20``: losses that are multiplied by a trained weight are divided by it, and the other
    way round.
    """

    def changed(result: Any, loss: Any, weight: Any, quotient: bool) -> Any:
        return loss * weight if quotient else loss / weight

    _weighted(b, patch, changed)


def _weighted(b: Boundaries, patch: Patch, changed: Callable[[Any, Any, Any, bool], Any]) -> None:
    number, _, place = patch.value.partition("@")

    def operation(function: Any, name: str, given: Arguments) -> Any:
        args, kwargs = given
        result = function(*args, **kwargs)
        found = weights_among(name, args) if name in PRODUCTS | QUOTIENTS else None
        if found is None or found[0] != int(number) or not b.is_at(place):
            return result
        b.acted(patch)
        return changed(result, args[1 - found[0]], args[found[0]], name in QUOTIENTS)

    b.at_operations(operation)
