"""Patches of the targets at the loss call: another range, signs, class ids from 0, no gaps, no padding."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import torch

from flightcheck.adapters.torch.patching.boundaries import Arguments, Boundaries
from flightcheck.adapters.torch.patching.losses import arguments_of
from flightcheck.patch import Patch, unit_range
from flightcheck.recording.missing_values import MARK

OF_UNIT_TARGETS: Final = ("binary_cross_entropy", "binary_cross_entropy_with_logits")
OF_SIGNS: Final = ("soft_margin_loss", "hinge_embedding_loss")
OF_PAIRS: Final = ("cosine_embedding_loss", "margin_ranking_loss")
"""Losses for signs that are given two predictions and then the target."""
OF_CLASS_IDS: Final = ("cross_entropy", "nll_loss")
_IGNORED: Final = -100
"""``ignore_index`` of PyTorch's losses where nothing else is said."""

Change = Callable[[str, torch.Tensor, torch.Tensor, Arguments], Arguments | None]


class Unit:
    """Brings targets to 0 … 1: from the range of ``unit=0,255``; from that of the first ones where it has none.

    Raises:
        ValueError: the range is empty, or no range.
    """

    def __init__(self, value: str) -> None:
        told = value.partition("=")[2]
        low, high = map(float, told.split(",")) if told else (math.nan, math.nan)
        if low == high:
            raise ValueError(f"a range wanted, as in unit=0,255, but got {value!r}")
        self._bounds: tuple[float, float] | None = (low, high) if told else None

    def __call__(self, target: torch.Tensor) -> torch.Tensor | None:
        """The targets on the new scale; None if they are class ids, which have none."""
        if self._bounds is None:
            y = target.detach()
            self._bounds = unit_range(
                float(y.min()), float(y.max()), values=len(torch.unique(y)), per_example=y[0].numel() if y.dim() else 1
            )
        if self._bounds is None:
            return None
        low, high = self._bounds
        return (target.to(torch.get_default_dtype()) - low) / (high - low)


def unit(b: Boundaries, patch: Patch) -> None:
    """``targets:unit=0,255``: what binary cross-entropy gets as target lies between 0 and 1."""
    to_unit = Unit(patch.value)

    def change(name: str, prediction: torch.Tensor, target: torch.Tensor, given: Arguments) -> Arguments | None:
        if name not in OF_UNIT_TARGETS:
            return None
        _, _, again = arguments_of(given)
        changed = to_unit(target)
        return None if changed is None else again(prediction, changed.to(prediction.dtype))

    _at_targets(b, patch, change)


def signs(b: Boundaries, patch: Patch) -> None:
    """``targets:signs``: labels 0 and 1 are -1 and 1 for a loss that is made for signs."""

    def change(name: str, prediction: torch.Tensor, target: torch.Tensor, given: Arguments) -> Arguments | None:
        if name in OF_PAIRS:
            return with_signs(given)
        _, _, again = arguments_of(given)
        return again(prediction, 2 * target - 1) if name in OF_SIGNS else None

    _at_targets(b, patch, change)


def opposite(b: Boundaries, patch: Patch) -> None:
    """``targets:opposite=train.py:31``: binary cross-entropy that is called at that line gets the other label.

    Raises:
        ValueError: the value is none of this form.
    """
    place = patch.value.partition("=")[2]
    if not place.rpartition(":")[2].isdigit():
        raise ValueError(f"targets: a value such as opposite=train.py:31 wanted, but got {patch.value!r}")

    def change(name: str, prediction: torch.Tensor, target: torch.Tensor, given: Arguments) -> Arguments | None:
        if name not in OF_UNIT_TARGETS or not b.is_at(place):
            return None
        _, _, again = arguments_of(given)
        return again(prediction, 1 - target)

    _at_targets(b, patch, change)


def with_signs(given: Arguments) -> Arguments:
    """The arguments of one of `OF_PAIRS` with targets of -1 and 1 in the place of 0 and 1."""
    args, kwargs = given
    if len(args) > 2:
        return (*args[:2], 2 * args[2] - 1, *args[3:]), kwargs
    return args, {**kwargs, "target": 2 * kwargs["target"] - 1}


_ROLES: Final = {
    "triplet_margin_loss": 1, "cosine_embedding_loss": 2, "hinge_embedding_loss": 1, "margin_ranking_loss": 2,
}  # fmt: skip
"""Losses of pairs, and the position of what says which belong together."""


def roles(b: Boundaries, patch: Patch) -> None:
    """``loss:roles``: the positive of a triplet is its negative; targets 1 and -1 of pairs have the other sign."""

    def around(call: Any, name: str, given: Arguments) -> Any:
        args, kwargs = given
        at = _ROLES.get(name)
        if at is None:
            return call(*args, **kwargs)
        b.acted(patch)
        if name == "triplet_margin_loss":
            three = dict(zip(("anchor", "positive", "negative"), args)) | kwargs
            three["positive"], three["negative"] = three["negative"], three["positive"]
            return call(three.pop("anchor"), three.pop("positive"), three.pop("negative"), *args[3:], **three)
        if len(args) > at:
            return call(*args[:at], -args[at], *args[at + 1 :], **kwargs)
        return call(*args, **{**kwargs, "target": -kwargs["target"]})

    b.at_loss(around)


def shift(b: Boundaries, patch: Patch) -> None:
    """``targets:shift-1``: class ids are lowered by one. An id 0 is not touched up: the loss may say what it is."""

    def change(name: str, prediction: torch.Tensor, target: torch.Tensor, given: Arguments) -> Arguments | None:
        if target.is_floating_point() or target.dtype is torch.bool:
            return None
        _, _, again = arguments_of(given)
        ignored = given[1].get("ignore_index", _IGNORED)
        return again(prediction, torch.where(target == ignored, target, target - 1))

    _at_targets(b, patch, change)


def finite(b: Boundaries, patch: Patch) -> None:
    """``targets:finite``: examples whose target holds NaN or infinity are left out of the loss."""

    def change(name: str, prediction: torch.Tensor, target: torch.Tensor, given: Arguments) -> Arguments | None:
        if not target.is_floating_point() or not target.dim() or prediction.shape[:1] != target.shape[:1]:
            return None
        _, _, again = arguments_of(given)
        rows = torch.isfinite(target.flatten(1) if target.dim() > 1 else target[:, None]).all(1)
        return again(prediction[rows], target[rows]) if not bool(rows.all()) and bool(rows.any()) else None

    _at_targets(b, patch, change)


def known(b: Boundaries, patch: Patch) -> None:
    """``targets:known=train.py:31``: labels that are missing, and got a zero at this line, are no part of the loss.

    Only where what is left are labels of 0 and 1, and the script leaves nothing out itself. The rule that scores marks
    them (`judging`).
    """

    def change(name: str, prediction: torch.Tensor, target: torch.Tensor, given: Arguments) -> Arguments | None:
        args, kwargs = given
        weighted = kwargs.get("weight") is not None or any(a is not None for a in args[2:])
        own = weighted or kwargs.get("reduction", "mean") == "none"
        if name not in OF_UNIT_TARGETS or own or prediction.shape != target.shape:
            return None
        there = ~filled_at(target)
        labels, left = target[there], int(there.sum())
        if left == target.numel() or not left or not bool(((labels == 0) | (labels == 1)).all()):
            return None
        if not bool((labels == 0).any()):
            return None  # what is missing is all that is no
        scale = target.numel() / left if kwargs.get("reduction", "mean") == "mean" else 1.0
        return args[:2], {**kwargs, "weight": there.to(prediction.dtype) * scale}

    _at_targets(b, patch, change)


def filled_at(target: torch.Tensor) -> torch.Tensor:
    """Where a target holds the mark of a value that was missing."""
    return (target.detach().double() - MARK).abs() < MARK / 100


def ignore(b: Boundaries, patch: Patch) -> None:
    """``loss:ignore=0``: targets of that id are no part of the loss."""
    index = int(patch.value.partition("=")[2])

    def change(name: str, prediction: torch.Tensor, target: torch.Tensor, given: Arguments) -> Arguments | None:
        if name not in OF_CLASS_IDS or target.is_floating_point() or not bool((target != index).any()):
            return None
        _, _, again = arguments_of(given)
        return again(prediction, target, ignore_index=index)

    _at_targets(b, patch, change)


def balanced(b: Boundaries, patch: Patch) -> None:
    """``loss:balanced=90,10``: the loss weights classes by the inverse of these counts, whatever weights it had."""
    counts = torch.tensor([float(n) for n in patch.value.partition("=")[2].split(",")])
    weights = torch.where(counts > 0, counts.sum() / (counts > 0).sum() / counts.clamp_min(1), 0.0)

    def change(name: str, prediction: torch.Tensor, target: torch.Tensor, given: Arguments) -> Arguments | None:
        _, _, again = arguments_of(given)
        if name in OF_CLASS_IDS and prediction.dim() > 1 and prediction.shape[1] == len(weights):
            own: dict[str, Any] = {"weight": weights.to(prediction)}
        elif name == "binary_cross_entropy_with_logits" and len(counts) == 2 and float(counts[1]) > 0:
            own = {"weight": None, "pos_weight": (counts[0] / counts[1]).to(prediction)}
        else:
            return None
        args, kwargs = again(prediction, target, **own)
        return args[:2], kwargs

    _at_targets(b, patch, change)


def turned(b: Boundaries, patch: Patch) -> None:
    """``loss:turned``: positives have the inverse of the weights that they have."""

    def change(name: str, prediction: torch.Tensor, target: torch.Tensor, given: Arguments) -> Arguments | None:
        weights = given[1].get("pos_weight")
        if name != "binary_cross_entropy_with_logits" or not isinstance(weights, torch.Tensor):
            return None
        return given[0], {**given[1], "pos_weight": 1 / weights}

    _at_targets(b, patch, change)


def by_length(b: Boundaries, patch: Patch) -> None:
    """``targets:sorted=train.py:33``: targets are put into the order that was computed last at this line."""
    place = patch.value.removeprefix("sorted=")
    last: list[torch.Tensor] = []

    def operation(function: Any, name: str, given: Arguments) -> Any:
        result = function(*given[0], **given[1])
        if name in ("sort", "argsort") and b.is_at(place):
            last[:] = [result[1] if isinstance(result, tuple) else result]
        return result

    def change(name: str, prediction: torch.Tensor, target: torch.Tensor, given: Arguments) -> Arguments | None:
        _, _, again = arguments_of(given)
        if not last or target.dim() == 0 or len(target) != len(last[0]):
            return None
        return again(prediction, target[last[0]])

    b.at_operations(operation)
    _at_targets(b, patch, change)


def _at_targets(b: Boundaries, patch: Patch, change: Change) -> None:
    """The arguments of each loss call are changed, where `change` returns others."""

    def around(call: Any, name: str, given: Arguments) -> Any:
        prediction, target, _ = arguments_of(given)
        if isinstance(target, torch.Tensor) and isinstance(prediction, torch.Tensor):
            changed = change(name, prediction, target, given)
            if changed is not None:
                b.acted(patch)
                given = changed
        return call(*given[0], **given[1])

    b.at_loss(around)
