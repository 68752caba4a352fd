"""Patches of how tensors are laid out: axes that a reshape cuts up are moved instead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from flightcheck.adapters.torch.patching.boundaries import Arguments, Boundaries
from flightcheck.adapters.torch.reshapes import RESHAPES
from flightcheck.patch import Patch
from flightcheck.recording.layouts import crossing


def axes(b: Boundaries, patch: Patch) -> None:
    """A reshape that cuts axes up permutes them to the shape that it was asked for.

    The value is ``permute`` and a line, ``permute:train.py:31``; without a line wherever the script reshapes so.
    """
    _, _, place = patch.value.partition(":")
    file, _, number = place.rpartition(":")
    line = int(number) if number.isdigit() else 0

    def here() -> bool:
        at = b.observer.lines.calling()
        return at is not None and (not line or (at.line == line and Path(at.file).name == file))

    def operation(function: Any, name: str, given: Arguments) -> Any:
        result = function(*given[0], **given[1])
        first = given[0][0] if given[0] else None
        if name not in RESHAPES or type(first) is not torch.Tensor or not isinstance(result, torch.Tensor):
            return result
        move = crossing(tuple(first.shape), tuple(result.shape))
        if move is None or not here():
            return result
        b.acted(patch)
        return first.reshape(move.split).permute(move.order).reshape(result.shape).contiguous()

    b.at_operations(operation)
