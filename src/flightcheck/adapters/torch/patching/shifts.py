"""Patches of targets that are not the next token: shifted twice, or not at all; and the error of the next token."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from flightcheck.adapters.torch.patching.boundaries import Arguments, Boundaries
from flightcheck.adapters.torch.patching.losses import arguments_of
from flightcheck.adapters.torch.patching.scoring import Scoring, of_classes
from flightcheck.adapters.torch.shifts import Embedded, Layout, fitting, layouts, slices_of
from flightcheck.patch import Patch

_TWICE = 2


def unshift(b: Boundaries, patch: Patch) -> None:
    """``targets:unshift``: where the target is the token two positions ahead, the loss is given the next one.

    ``targets:next``: the same where it is the token that the model was given there, or the one before that.
    """
    moved = _moving(b, (0, -1) if patch.value == "next" else (_TWICE,))

    def around(call: Any, name: str, given: Arguments) -> Any:
        prediction, _, again = arguments_of(given)
        other = moved(given)
        if other is not None:
            b.acted(patch)
            given = again(prediction, other)
        return call(*given[0], **given[1])

    b.at_loss(around)


def judged_by_the_next_token(b: Boundaries, patch: Patch) -> None:
    """``score:next``: the error of the next token, whatever the target of the script is."""
    scoring: Scoring = b.scoring
    scoring.replaced = True
    moved = _moving(b, (0, -1))

    def around(call: Any, name: str, given: Arguments) -> Any:
        result = call(*given[0], **given[1])
        other, ignored = moved(given), _ignored(given)
        if other is not None and scoring.score(
            name, given, result, lambda n, prediction, target: of_classes(prediction.detach().float(), other, ignored)
        ):
            b.acted(patch)
        return result

    b.at_loss(around)


def _moving(b: Boundaries, shifts: tuple[int, ...]) -> Callable[[Arguments], torch.Tensor | None]:
    """What gives the next tokens in the place of a loss call's target, where that lies at a shift; None elsewhere."""
    embedded = Embedded()

    def operation(function: Any, name: str, given: Arguments) -> Any:
        if name == "embedding":
            embedded.note(*given)
        return function(*given[0], **given[1])

    def moved(given: Arguments) -> torch.Tensor | None:
        prediction, target, _ = arguments_of(given)
        if not (isinstance(prediction, torch.Tensor) and isinstance(target, torch.Tensor) and prediction.requires_grad):
            return None
        with torch.no_grad(), b.unwatched():
            return _moved(target, prediction.grad_fn, embedded, _ignored(given), shifts)

    b.at_operations(operation)
    return moved


def _ignored(given: Arguments) -> int:
    return int(given[1].get("ignore_index", -100))


def _moved(
    target: torch.Tensor, made: Any, embedded: Embedded, ignored: int, shifts: tuple[int, ...] = (_TWICE,)
) -> torch.Tensor | None:
    if target.is_floating_point():
        return None
    slices = slices_of(made)
    for ids in reversed(embedded.ids):
        for layout in layouts(ids, target, slices):
            fits = fitting(layout, ignored)
            if fits is not None and fits[0] in shifts:
                tokens = _next_tokens(layout, ignored) if fits[0] == _TWICE else _following(layout, ignored, fits[0])
                return tokens.reshape(target.shape)
    return None


def _following(layout: Layout, ignored: int, shift: int = 0) -> torch.Tensor:
    """The tokens one position ahead, where the target has those of the position (shift 0), or of the one before (-1);
    nothing follows the last.
    """
    y, by = layout.target, 1 - shift
    moved = torch.cat([y[:, by:], torch.full_like(y[:, :by], ignored)], 1)
    return moved if layout.axis == 1 else moved.T


def _next_tokens(layout: Layout, ignored: int) -> torch.Tensor:
    """The tokens one position ahead, where the target has one two ahead; in the layout of the model's ids."""
    y = layout.target
    at = layout.start + torch.arange(y.shape[1], device=y.device)
    known = at + 1 < layout.ids.shape[1]
    moved = torch.roll(y, 1, 1)  # behind the last token that the model is given: what stood one position before
    moved[:, known] = layout.ids.to(y.device)[:, (at + 1)[known]].to(y.dtype)
    moved = torch.where(y == ignored, y, moved)
    return moved if layout.axis == 1 else moved.T
