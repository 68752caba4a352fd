"""Patches of the masks that attention is given."""

from __future__ import annotations

from typing import Any

import torch

from flightcheck.adapters.torch.attention_masks import ATTENTION, BLOCKED, masks_of
from flightcheck.adapters.torch.patching.boundaries import Arguments, Boundaries
from flightcheck.adapters.torch.weak_fills import FILLS
from flightcheck.patch import Patch


def mask(b: Boundaries, patch: Patch) -> None:
    """``mask:invert:attn_mask:train.py:31``: at that line attention sees what that mask blocks, and nothing else.
    ``mask:fill:train.py:31``: scores that are filled there by a mask get no weight.

    Raises:
        ValueError: the value is none of this form.
    """
    if patch.value.startswith("fill:"):
        _fill(b, patch)
        return
    how, argument, file, line = [*patch.value.split(":"), "", "", "", ""][:4]
    if how != "invert" or not line.isdigit():
        raise ValueError(f"mask: a value such as invert:attn_mask:train.py:31 wanted, but got {patch.value!r}")

    def operation(function: Any, name: str, given: Arguments) -> Any:
        found = masks_of(name, *given).get(argument) if name in ATTENTION else None
        if found is None or not b.is_at(f"{file}:{line}"):
            return function(*given[0], **given[1])
        b.acted(patch)
        args, kwargs = list(given[0]), dict(given[1])
        for i, value in enumerate(args):
            args[i] = _inverted(found) if value is found else value
        kwargs = {k: _inverted(found) if v is found else v for k, v in kwargs.items()}
        if kwargs.get("is_causal"):
            kwargs["is_causal"] = False
        return function(*args, **kwargs)

    b.at_operations(operation)


def _fill(b: Boundaries, patch: Patch) -> None:
    place = patch.value.removeprefix("fill:")

    def operation(function: Any, name: str, given: Arguments) -> Any:
        args, kwargs = list(given[0]), dict(given[1])
        scores = args[0] if args and isinstance(args[0], torch.Tensor) else None
        if name not in FILLS or scores is None or not scores.is_floating_point():
            return function(*args, **kwargs)
        if b.is_at(place):
            b.acted(patch)
            least = torch.finfo(scores.dtype).min / 2
            if len(args) > 2:
                args[2] = least
            else:
                kwargs["value"] = least
        return function(*args, **kwargs)

    b.at_operations(operation)


def _inverted(mask: torch.Tensor) -> torch.Tensor:
    if mask.dtype is torch.bool:
        return ~mask
    blocked = mask <= BLOCKED
    return torch.zeros_like(mask).masked_fill(~blocked, float("-inf"))
