"""Patches of how tensors are laid out: axes that a reshape cuts up are moved; a softmax is over the classes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import torch

from flightcheck.adapters.torch.patching.boundaries import Arguments, Boundaries
from flightcheck.adapters.torch.reshapes import FLATTENINGS, RESHAPES
from flightcheck.patch import Patch
from flightcheck.recording.layouts import crossing

_SOFTMAX: Final = {"softmax", "log_softmax"}


def axes(b: Boundaries, patch: Patch) -> None:
    """A reshape that cuts axes up permutes them to the shape that it was asked for.

    The value is ``permute`` and a line, ``permute:train.py:31``; without a line wherever the script reshapes so.
    ``softmax=-1:train.py:31`` is another change, see `softmax`, and so is ``target=1.0:train.py:31``, see `target`.
    """
    rule, _, place = patch.value.partition(":")
    at_a_line = place.rpartition(":")[2].isdigit()

    def here() -> bool:
        at = b.observer.lines.calling()
        return at is not None and (not at_a_line or f"{Path(at.file).name}:{at.line}" == place)

    if rule.startswith("softmax="):
        softmax(b, patch, int(rule.partition("=")[2]), place)
        return
    if rule.startswith("target="):
        target(b, patch, [int(axis) for axis in rule.partition("=")[2].split(".")], here)
        return

    def operation(function: Any, name: str, given: Arguments) -> Any:
        result = function(*given[0], **given[1])
        first = given[0][0] if given[0] else None
        if rule == "stream" and name in RESHAPES and _is_table_of_a_row(first, result) and here():
            assert first is not None
            b.acted(patch)
            return first.reshape(result.shape[1], result.shape[0]).t().contiguous()
        if name not in RESHAPES or type(first) is not torch.Tensor or not isinstance(result, torch.Tensor):
            return result
        move = crossing(tuple(first.shape), tuple(result.shape))
        if move is None or not here():
            return result
        b.acted(patch)
        return first.reshape(move.split).permute(move.order).reshape(result.shape).contiguous()

    b.at_operations(operation)


def _is_table_of_a_row(first: Any, result: Any) -> bool:
    return (
        isinstance(first, torch.Tensor) and first.dim() == 1 and isinstance(result, torch.Tensor) and result.dim() == 2
    )


def target(b: Boundaries, patch: Patch, order: list[int], here: Callable[[], bool]) -> None:
    """What is flattened at a line and has no gradient has its axes permuted before."""

    def operation(function: Any, name: str, given: Arguments) -> Any:
        args, kwargs = given
        first = args[0] if args else None
        fits = isinstance(first, torch.Tensor) and not first.requires_grad and first.dim() == len(order)
        if name in FLATTENINGS and first is not None and fits and here():
            b.acted(patch)
            return function(first.permute(order).contiguous(), *args[1:], **kwargs)
        return function(*args, **kwargs)

    b.at_operations(operation)


def softmax(b: Boundaries, patch: Patch, axis: int, place: str) -> None:
    """A softmax or log-softmax at a line is over another axis, in evaluations as well."""

    def operation(function: Any, name: str, given: Arguments) -> Any:
        args, kwargs = given
        first = args[0] if args else None
        if name not in _SOFTMAX or not isinstance(first, torch.Tensor) or not -first.dim() <= axis < first.dim():
            return function(*args, **kwargs)
        dim = kwargs.get("dim", args[1] if len(args) > 1 else None)
        if (dim is not None and int(dim) % first.dim() == axis % first.dim()) or not b.is_at(place):
            return function(*args, **kwargs)
        b.acted(patch)
        return function(first, axis, *args[2:], **{k: v for k, v in kwargs.items() if k != "dim"})

    b.at_operations(operation)
