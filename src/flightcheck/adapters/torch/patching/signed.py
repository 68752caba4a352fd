"""The patch of losses of signs, written by hand, whose labels are zeros and ones."""

from __future__ import annotations

from typing import Any

import torch

from flightcheck.adapters.torch.masked_extremes import PRODUCTS, mask_of
from flightcheck.adapters.torch.patching.boundaries import Arguments, Boundaries
from flightcheck.adapters.torch.signed_products import zeros_and_ones
from flightcheck.patch import Patch


def signed(b: Boundaries, patch: Patch) -> None:
    """``signed:train.py:31``: zeros and ones with which this line multiplies scores become -1 and 1."""

    def operation(function: Any, name: str, given: Arguments) -> Any:
        args, kwargs = given
        labels = mask_of(args) if name in PRODUCTS and b.is_at(patch.value) else None
        if labels is None or not all(zeros_and_ones(labels)):
            return function(*args, **kwargs)
        b.acted(patch)
        sign = -1 if bool((labels == -1).any()) else 1
        scores = next(a for a in args[:2] if a is not labels)
        signs = torch.where(labels == 0, -sign, sign).to(labels.dtype if labels.is_floating_point() else scores.dtype)
        return function(*(signs if a is labels else a for a in args), **kwargs)

    b.at_operations(operation)
