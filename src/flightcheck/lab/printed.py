"""Which of the numbers that a script prints tells whether a patch helps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from flightcheck.frozen import frozen
from flightcheck.lab.trials import Floats, Trained
from flightcheck.recording.printed import (
    contradicts_itself,
    direction,
    is_of_classes,
    is_of_loss,
    is_of_samples,
    is_of_shares,
    is_of_the_rare,
    is_of_unseen,
    is_one_at_best,
    is_return,
    rank_as_evaluation,
)

PRINTED: Final = "printed"
"""Metric: the script's own number of an evaluation. ``printed test acc`` once it is known which."""
ANSWERED: Final = "printed, no loss"
"""Metric: the same where the loss function is another one with the patch, and its values say nothing."""
RETURNED: Final = "returned"
"""Metric: the script's own number of what an agent gets."""
DRAWN: Final = "drawn"
"""Metric: the script's own number of how far what a model draws lies from the data."""
BALANCED: Final = "printed, classes alike"
"""Metric: the script's own number in which each class counts alike."""
RECALLED: Final = "printed, of the rare"
"""Metric: the script's own number of how much of a class is found."""
ALL_PRINTED: Final = (PRINTED, ANSWERED, RETURNED, DRAWN, BALANCED, RECALLED)
_NAMED: Final = {DRAWN: is_of_samples, BALANCED: is_of_classes, RECALLED: is_of_the_rare}
"""By which words the numbers of a metric are known."""

_MARGIN: Final = 0.02
_PERCENT: Final = 100.0


def printed_name(trials: Sequence[Trained], metric: str) -> str:
    """The name of the number to compare, of those that all trials printed; empty without one.

    Of several, the one that says itself that it is of unseen examples, then the one printed most often, then the last
    in its line.
    """
    ranks: list[dict[str, tuple[int, int, int]]] = []
    for trained in trials:
        numbers = trained.run.printed if trained.run is not None else []
        known: dict[str, tuple[int, int, int]] = {}
        for n in numbers:
            rank = int(is_return(n.name)) if metric == RETURNED else rank_as_evaluation(n.name, n.evaluated)
            if metric in _NAMED and not _NAMED[metric](n.name):
                rank = 0
            if (metric == ANSWERED and is_of_loss(n.name)) or contradicts_itself(n.name, n.value):
                rank = 0
            before = known.get(n.name, (rank, 0, len(known)))
            known[n.name] = (min(rank, before[0]), before[1] + 1, before[2])
        # An error beside others that are of unseen examples is that of the training.
        split = any(is_of_unseen(n.name) for n in numbers)
        doubtful = {name for name in known if split and direction(name) < 0 and not is_of_unseen(name)}
        ranks.append({name: rank for name, rank in known.items() if rank[0] > 0 and name not in doubtful})
    common = set.intersection(*(set(r) for r in ranks)) if ranks else set()
    return max(common, key=lambda name: min(r[name] for r in ranks), default="")


def printed_series(trained: Trained, name: str) -> Floats:
    """The values of that name, ``(times printed,)``."""
    numbers = trained.run.printed if trained.run is not None else []
    return np.array([n.value for n in numbers if n.name == name], dtype=float)


def _whole(name: str, series: Sequence[Floats]) -> float:
    """The largest value that a measure of which more is better can have: 1 or 100; 0 if we do not know."""
    least = min((float(v.min()) for v in series if len(v)), default=-1.0)
    most = max((float(v.max()) for v in series if len(v)), default=math.inf)
    if most <= 1 and is_one_at_best(name):
        return 1.0
    if not (least >= 0 and most <= _PERCENT):
        return 0.0
    return 1.0 if most <= 1 else _PERCENT if is_of_shares(name) else 0.0


@frozen
class Scale:
    """On which printed numbers are compared, so that less is better: negative, or as logarithms."""

    turned: bool = False
    logarithmic: bool = False
    best: float = 0.0
    """No value can be better, as they are compared: -1 of a share, -100 of one in percent, 0 of what has no such
    bound that we know.
    """

    @classmethod
    def of(cls, name: str, series: Sequence[Floats]) -> Scale:
        """Errors have no unit that we know: of positive ones the ratio counts, and seeds differ by factors."""
        turned = direction(name) > 0
        logarithmic = not turned and all(bool((values > 0).all()) for values in series)
        return cls(turned, logarithmic, -_whole(name, series) if turned else 0.0)

    @property
    def margin(self) -> float | None:
        """The smallest improvement that counts where it is a ratio: 2 %, as of any other error; None for others."""
        return _MARGIN if self.logarithmic else None

    def to(self, values: Floats) -> Floats:
        """As they are compared."""
        return np.log(values) if self.logarithmic else -values if self.turned else values

    def back(self, value: float) -> float:
        """As the script prints it."""
        return math.exp(value) if self.logarithmic else -value if self.turned else value
