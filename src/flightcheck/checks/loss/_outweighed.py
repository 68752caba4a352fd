"""A loss that is the mean over all values of an example, beside a term that is not divided by their number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from flightcheck.frozen import frozen
from flightcheck.recording.loss_records import LossCall, LossSite, LossTerm
from flightcheck.recording.run import Run
from flightcheck.recording.tables import median

_OF_VALUES: Final = {
    "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits",
    "gaussian_nll_loss", "poisson_nll_loss",
}  # fmt: skip
"""Losses that compare value by value."""
_OF_CLASSES: Final = {"cross_entropy", "nll_loss"}
"""Losses whose values are classes: each target is one."""
_MEAN: Final = 1.01
"""Largest weight of all values of an example together that is still that of their mean."""
_LATE: Final = 5
_FEWEST: Final = 3


@frozen
class Outweighed:
    """A term of the user's own arithmetic, and the loss that it outweighs."""

    loss: LossSite
    term: LossTerm
    number: int
    """Of the term in the sum, from 1."""
    ratio: float
    """The term's weight for an example over that of one of its values in the loss."""
    values: int
    """Values of an example."""
    spread: float
    """How far predictions differ between examples at the end of the watch, over how far the targets do."""
    step: int
    """The last step at which that was seen."""


def outweighed(run: Run, values: float, ratio: float) -> Outweighed | None:
    """The strongest of them, with at least so many values and such a ratio; None if there is none."""
    backwards: dict[int, list[LossTerm]] = {}
    for term in run.loss_terms:
        backwards.setdefault(term.backward, []).append(term)
    sums = [terms for terms in backwards.values() if len(terms) > 1]
    found = []
    for site in (s for s in run.loss_sites if s.function in _OF_VALUES | _OF_CLASSES and s.location is not None):
        calls = [c for c in run.training_calls(site.function) if c.site == site.index]
        batch, per = _sizes(calls, by_class=site.function in _OF_CLASSES)
        if batch < 2 or per < values:
            continue
        like = [terms for terms in sums if _mean_of(site, terms, batch * per) is not None]
        for number in range(1, len(like[0]) + 1 if like else 1):
            weight = _weight(run, site, like, number, (batch, per))
            own = abs((_mean_of(site, like[0], batch * per) or 0.0) * batch)
            if own and weight >= ratio * own:
                end = _late(calls)
                if end is not None:
                    term = like[0][number - 1]
                    found.append(Outweighed(site, term, number, weight / own, per, end[0], end[1]))
    return max(found, key=lambda o: o.ratio, default=None)


def _sizes(calls: Sequence[LossCall], *, by_class: bool) -> tuple[int, int]:
    """Examples of a batch, and values of an example; zeros if it varies, or targets are predictions."""
    shapes = {(tuple(c.input_shape), tuple(c.target_shape)) for c in calls[:_LATE]}
    if len(shapes) != 1 or any(c.target_requires_grad for c in calls):
        return 0, 0
    given, wanted = shapes.pop()
    fits = len(wanted) > 1 and wanted == (given[:1] + given[2:] if by_class else given)
    return (wanted[0], math.prod(wanted[1:])) if fits else (0, 0)


def _is_of(site: LossSite, term: LossTerm) -> bool:
    if site.settings.get("handmade"):
        return term.site < 0 and term.location == site.location
    return term.site == site.index


def _mean_of(site: LossSite, terms: Sequence[LossTerm], elements: int) -> float | None:
    """The weight of one of the `elements` in the sum, where their mean is one of the terms; else None."""
    own = [t for t in terms if _is_of(site, t)]
    by_mean = [t for t in own if math.prod(t.averaged or [0]) == elements and t.numel == elements]
    if len(by_mean) == 1:
        return by_mean[0].coefficient
    if len(own) != 1 or not own[0].coefficient:
        return None
    weight, numel = own[0].coefficient, own[0].numel
    reduction = site.settings.get("reduction", "mean")
    if site.settings.get("handmade"):  # mean(1).mean(): the line is a mean, the last of its terms has some elements
        alone = reduction == "mean" and not elements % numel
        return weight * numel / elements if alone else None
    if numel == elements or (numel == 1 and reduction == "sum"):  # a mean if it is written as one
        return weight if abs(weight) * elements <= _MEAN else None
    return weight / elements if numel == 1 and reduction == "mean" else None


def _weight(run: Run, site: LossSite, sums: Sequence[Sequence[LossTerm]], number: int, sizes: tuple[int, int]) -> float:
    """The weight of an example in a term of the user's arithmetic, the same in all rounds seen; 0 for other terms."""
    if any(len(terms) < number for terms in sums):
        return 0.0
    same = [terms[number - 1] for terms in sums]
    term, batch = same[0], sizes[0]
    compared = {s.index for s in run.loss_sites if s.function != "kl_div"}
    by_hand = {s.location for s in run.loss_sites if s.settings.get("handmade") and s.location != site.location}
    if any(t.penalty or t.site in compared or t.location in by_hand for t in same):
        return 0.0
    if any(_is_of(site, t) and _is_whole(site, t, terms, sizes) for t, terms in zip(same, sums, strict=True)):
        return 0.0
    if term.coefficient is None or any(t.coefficient != term.coefficient or t.location != term.location for t in same):
        return 0.0  # a schedule raises it
    if term.numel == 1:
        return abs(term.coefficient)
    return abs(term.coefficient) * batch if term.numel % batch == 0 else 0.0


def _is_whole(site: LossSite, term: LossTerm, terms: Sequence[LossTerm], sizes: tuple[int, int]) -> bool:
    """The term is the loss itself: of several terms by hand in the same line, only the size tells which."""
    alone = sum(_is_of(site, t) for t in terms) == 1
    return term.site >= 0 or alone or math.prod(term.averaged or [0]) == math.prod(sizes)


def _late(calls: Sequence[LossCall]) -> tuple[float, int] | None:
    """Over the last calls of the watch: the spread of predictions over that of the targets."""
    last = calls[-1].step if calls else 0
    late = [c for c in calls if c.step > last / 2 and c.relative_spread is not None][-_LATE:]
    shares = [c.relative_spread for c in late if c.relative_spread is not None]
    if len(shares) < _FEWEST or not np.isfinite(shares).all():
        return None
    return median(shares), late[-1].step
