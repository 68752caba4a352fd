"""Patch of noise that is drawn twice where one draw was meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from flightcheck.adapters.torch.fresh_targets import DRAWS
from flightcheck.adapters.torch.patching.boundaries import Arguments, Boundaries
from flightcheck.patch import Patch


def one_draw(b: Boundaries, patch: Patch) -> None:
    """``draws:train.py:58,60``: of two draws at these lines, the later one of a step gives what the earlier one gave.

    Both are made, so that the generator goes on as it does without the patch.

    Raises:
        ValueError: the value is none of this form.
    """
    file, _, lines = patch.value.rpartition(":")
    one, _, other = lines.partition(",")
    if not (one.isdigit() and other.isdigit()):
        raise ValueError(f"draws: a value such as train.py:58,60 wanted, but got {patch.value!r}")
    partner = {int(one): int(other), int(other): int(one)}
    waiting: dict[int, torch.Tensor] = {}

    def operation(function: Any, name: str, given: Arguments) -> Any:
        result = function(*given[0], **given[1])
        if name not in DRAWS or not isinstance(result, torch.Tensor):
            return result
        at = b.observer.lines.here()
        if at is None or at.line not in partner or Path(at.file).name != file:
            return result
        earlier = waiting.pop(partner[at.line], None)
        if earlier is None or earlier.shape != result.shape:
            waiting[at.line] = result
            return result
        b.acted(patch)
        return earlier

    b.at_operations(operation)
