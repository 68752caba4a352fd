"""Targets that are what the model was given: a set, or its counts, that is to be explained as a whole."""

from __future__ import annotations

import weakref
from collections.abc import Sequence

import torch

from flightcheck.adapters.torch.watch import is_plain_tensor


def is_given(
    target: torch.Tensor, inputs: Sequence[tuple[str, weakref.ref[torch.Tensor]]], scaled: bool = True
) -> bool:
    """An input has the shape of the target, and is zero wherever that is: the target itself, scaled or with gaps.

    Args:
        target: of a loss, of any shape.
        inputs: names and tensors that the model was given last.
        scaled: False where only the very numbers count, in whatever shape.
    """
    for _, reference in inputs:
        given = reference()
        if given is target or (given is not None and _same_numbers(given, target)):
            return True
        if not scaled:
            continue
        if given is None or given.shape != target.shape or given.device != target.device or given.dim() < 2:
            continue
        there = given.detach() != 0
        if bool(there.any()) and not bool((there & (target.detach() == 0)).any()):
            return True
    return False


def _same_numbers(given: torch.Tensor, target: torch.Tensor) -> bool:
    """One is a view of the whole other."""
    readable = is_plain_tensor(given) and is_plain_tensor(target)
    return readable and given.numel() == target.numel() > 0 and given.data_ptr() == target.data_ptr()
