"""Another error for both trainings of an experiment, where the usual one favours one of them.

A patch that changes what the targets mean, or which of them count, changes the error, too. Here both trainings are
scored by one and the same rule. It sees the arguments of the loss as the script gave them, before any patch.
"""

from __future__ import annotations

from typing import Any

import torch

from flightcheck.adapters.torch.patching import causal, iterators, shifts, sources, targets
from flightcheck.adapters.torch.patching.boundaries import Arguments, Boundaries
from flightcheck.adapters.torch.patching.scoring import Measure, Scoring, of_binary, of_classes
from flightcheck.patch import Patch


def score(b: Boundaries, patch: Patch) -> None:
    """``score:unit=0,255``, ``signs``, ``ignore=0``, ``balanced``, ``wrong``; ``others``, ``classes``, ``prefix``,
    ``next``, ``known=train.py:31``, ``at=train.py:31``.
    """
    if patch.value in ("others", "classes"):
        iterators.judged_by_other_batches(b, patch)
        return
    if patch.value == "next":
        shifts.judged_by_the_next_token(b, patch)
        return
    if patch.value == "prefix":
        causal.judged_without_future(b, patch)
        return
    if patch.value.startswith("at="):
        b.scoring.only = patch.value.removeprefix("at=")
        b.scoring.met = lambda: b.acted(patch)
        return
    if patch.value.startswith("known="):
        sources.source(b, Patch("source", "marked:" + patch.value.removeprefix("known=")))
    scoring: Scoring = b.scoring
    scoring.replaced = True
    measure = measure_of(patch.value)

    def around(call: Any, name: str, given: Arguments) -> Any:
        result = call(*given[0], **given[1])
        pairs = patch.value == "signs" and name in targets.OF_PAIRS
        if scoring.score(name, given, result, _loss_of_pairs(call, given) if pairs else measure):
            b.acted(patch)
        return result

    b.at_loss(around)


def measure_of(value: str) -> Measure:
    """The rule of a text form.

    Raises:
        ValueError: there is none of this name.
    """
    rule = value.partition("=")[0]
    if rule == "unit":
        to_unit = targets.Unit(value)

        def of_unit(name: str, prediction: torch.Tensor, target: torch.Tensor) -> float | None:
            changed = to_unit(target) if name in targets.OF_UNIT_TARGETS else None
            return None if changed is None else of_binary(name, prediction, changed)

        return of_unit
    if rule == "signs":
        return lambda name, prediction, target: (
            of_binary(name, prediction, target) if name in targets.OF_SIGNS else None
        )
    if rule == "ignore":
        index = int(value.partition("=")[2])
        return lambda name, prediction, target: (
            of_classes(prediction.detach().float(), target, index) if name in targets.OF_CLASS_IDS else None
        )
    if rule == "balanced":
        return _balanced
    if rule == "known":
        return _known
    if rule == "wrong":
        return _wrong
    if rule == "numbers":
        return lambda name, prediction, target: float(
            (prediction.detach().reshape(target.shape) - target).square().mean() / target.var().clamp_min(1e-12)
        )
    raise ValueError(f"score: unit, signs, ignore, balanced, wrong or others wanted, but got {value!r}")


def _loss_of_pairs(call: Any, given: Arguments) -> Measure:
    """What the loss itself says of two predictions, with the targets that it is made for."""

    def measure(name: str, prediction: torch.Tensor, target: torch.Tensor) -> float:
        args, kwargs = targets.with_signs(given)
        return float(call(*args, **kwargs).mean())

    return measure


def _wrong(name: str, prediction: torch.Tensor, target: torch.Tensor) -> float | None:
    """The share of rows whose largest score is another one than the target's: the same on any scale of the scores."""
    if name not in ("cross_entropy", "nll_loss") or target.is_floating_point() or prediction.dim() < 2:
        return None
    return float((prediction.detach().argmax(1) != target).float().mean())


def _known(name: str, prediction: torch.Tensor, target: torch.Tensor) -> float | None:
    """Of the labels that are not marked as missing."""
    there = ~targets.filled_at(target)
    if name not in targets.OF_UNIT_TARGETS or not bool(there.any()):
        return None
    return of_binary(name, prediction, target, there)


def _balanced(name: str, prediction: torch.Tensor, target: torch.Tensor) -> float | None:
    """Mean over the classes that are there of the cross-entropy of their examples: each class counts the same."""
    if target.is_floating_point() and not bool(((target == 0) | (target == 1)).all()):
        return None
    errors: list[float | None] = []
    for label in torch.unique(target).tolist():
        chosen = target == label
        if name in targets.OF_CLASS_IDS and not target.is_floating_point() and prediction.dim() > 1:
            errors.append(of_classes(prediction.detach().float().movedim(1, -1)[chosen], target[chosen], -100))
        elif name in targets.OF_UNIT_TARGETS and prediction.shape == target.shape:
            errors.append(of_binary(name, prediction, target, chosen))
    known = [e for e in errors if e is not None]
    return sum(known) / len(known) if known else None
