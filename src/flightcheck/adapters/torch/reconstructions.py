"""Targets that are what the model was given: a set, or its counts, that is to be explained as a whole."""

from __future__ import annotations

import weakref
from collections.abc import Sequence

import torch


def is_given(target: torch.Tensor, inputs: Sequence[tuple[str, weakref.ref[torch.Tensor]]]) -> bool:
    """An input has the shape of the target, and is zero wherever that is: the target itself, scaled or with gaps.

    Args:
        target: of a loss, of any shape.
        inputs: names and tensors that the model was given last.
    """
    for _, reference in inputs:
        given = reference()
        if given is target:
            return True
        if given is None or given.shape != target.shape or given.device != target.device or given.dim() < 2:
            continue
        there = given.detach() != 0
        if bool(there.any()) and not bool((there & (target.detach() == 0)).any()):
            return True
    return False
