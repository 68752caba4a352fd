"""The patch of rows that a script picks out of two tables by numbers of their own: both are picked by the same ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from flightcheck.adapters.torch.patching.boundaries import Arguments, Boundaries
from flightcheck.patch import Patch


def picks(b: Boundaries, patch: Patch) -> None:
    """``picks:train.py:67,68``: of rows that are picked in these lines out of two tables of one length, those picked
    last are those picked first. Both may be one line. Evaluations stay as they are.

    Raises:
        ValueError: the value is none of this form.
    """
    file, _, numbers = patch.value.rpartition(":")
    lines = {int(n) for n in numbers.split(",") if n.isdigit()}
    if not file or not lines:
        raise ValueError(f"picks: a value such as train.py:67,68 wanted, but got {patch.value!r}")
    first: list[tuple[torch.Tensor, Any, int]] = []

    def operation(function: Any, name: str, given: Arguments) -> Any:
        args, kwargs = given
        result = function(*args, **kwargs)
        if name != "__getitem__" or not torch.is_grad_enabled() or not _is_pick(args, result):
            return result
        at = b.observer.lines.here()
        if at is None or at.line not in lines or Path(at.file).name != file:
            return result
        table, rows = args[0], len(result)
        if first and first[0][0] is not table and len(first[0][0]) == len(table) and first[0][2] == rows:
            b.acted(patch)
            return function(table, first.pop()[1])
        first[:] = [(table, args[1], rows)]
        return result

    b.at_operations(operation)


def _is_pick(args: tuple[Any, ...], result: Any) -> bool:
    """Some rows of a table that is no output of a model."""
    if len(args) < 2 or not isinstance(args[0], torch.Tensor) or not isinstance(result, torch.Tensor):
        return False
    index = args[1]
    by_rows = isinstance(index, slice) or (isinstance(index, torch.Tensor) and index.dim() == 1)
    return by_rows and not args[0].requires_grad and args[0].dim() > 0 and 1 < len(result) < len(args[0])
