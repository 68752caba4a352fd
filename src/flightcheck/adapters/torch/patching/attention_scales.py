"""Patch of the scale of attention scores."""

from __future__ import annotations

from typing import Any, Final

import torch

from flightcheck.adapters.torch.patching.boundaries import Arguments, Boundaries
from flightcheck.patch import Patch

_SOFTMAXES: Final = {"softmax", "_softmax"}


def attention_scale(b: Boundaries, patch: Patch) -> None:
    """``attention-scale:train.py:31=0.25``: what a softmax at this line is given is multiplied by a number.

    Infinite scores of masks stay what they are; finite ones of masks stay far below all others.
    """
    place, _, number = patch.value.rpartition("=")
    factor = float(number)

    def operation(function: Any, name: str, given: Arguments) -> Any:
        args, kwargs = given
        scores = args[0] if args else None
        if not isinstance(scores, torch.Tensor) or name not in _SOFTMAXES:
            return function(*args, **kwargs)
        if not b.is_at(place):
            return function(*args, **kwargs)
        b.acted(patch)
        return function(scores * factor, *args[1:], **kwargs)

    b.at_operations(operation)
