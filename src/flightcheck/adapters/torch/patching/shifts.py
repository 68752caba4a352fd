"""Patch of targets that were shifted twice: each is the next token again."""

from __future__ import annotations

from typing import Any

import torch

from flightcheck.adapters.torch.patching.boundaries import Arguments, Boundaries
from flightcheck.adapters.torch.patching.losses import arguments_of
from flightcheck.adapters.torch.shifts import Embedded, Layout, fitting, layouts, slices_of
from flightcheck.patch import Patch

_TWICE = 2


def unshift(b: Boundaries, patch: Patch) -> None:
    """``targets:unshift``: where the target is the token two positions ahead, the loss is given the next one."""
    embedded = Embedded()

    def operation(function: Any, name: str, given: Arguments) -> Any:
        if name == "embedding":
            embedded.note(*given)
        return function(*given[0], **given[1])

    def around(call: Any, name: str, given: Arguments) -> Any:
        prediction, target, again = arguments_of(given)
        if isinstance(prediction, torch.Tensor) and isinstance(target, torch.Tensor) and prediction.requires_grad:
            with torch.no_grad(), b.unwatched():
                moved = _moved(target, prediction.grad_fn, embedded, int(given[1].get("ignore_index", -100)))
            if moved is not None:
                b.acted(patch)
                given = again(prediction, moved)
        return call(*given[0], **given[1])

    b.at_operations(operation)
    b.at_loss(around)


def _moved(target: torch.Tensor, made: Any, embedded: Embedded, ignored: int) -> torch.Tensor | None:
    if target.is_floating_point():
        return None
    slices = slices_of(made)
    for ids in reversed(embedded.ids):
        for layout in layouts(ids, target, slices):
            fits = fitting(layout, ignored)
            if fits is not None and fits[0] == _TWICE:
                return _next_tokens(layout, ignored).reshape(target.shape)
    return None


def _next_tokens(layout: Layout, ignored: int) -> torch.Tensor:
    """The tokens one position ahead, where the target has one two ahead; in the layout of the model's ids."""
    y = layout.target
    at = layout.start + torch.arange(y.shape[1], device=y.device)
    known = at + 1 < layout.ids.shape[1]
    moved = torch.roll(y, 1, 1)  # behind the last token that the model is given: what stood one position before
    moved[:, known] = layout.ids.to(y.device)[:, (at + 1)[known]].to(y.dtype)
    moved = torch.where(y == ignored, y, moved)
    return moved if layout.axis == 1 else moved.T
