"""The smallest improvements that count, each from the first seed's curves: what a question asks for."""

from __future__ import annotations

import math

from flightcheck.lab.statistics import Pair


def tenth(pair: Pair) -> float:
    """P01: a tenth of what the smaller rate achieved."""
    _, after = pair.blocks()
    return max(0.1 * (pair.untrained() - float(after.mean())), 0.01 * abs(pair.untrained()))


def tenth_of_error(pair: Pair) -> float:
    """L13: a tenth of the error that is left without the patch."""
    before, _ = pair.blocks()
    return 0.1 * abs(float(before.mean()))


def half(pair: Pair) -> float:
    """L08: half of the loss goes."""
    before, _ = pair.blocks()
    return 0.5 * abs(float(before.mean()))


def third(pair: Pair) -> float:
    """P13, L08 by hand: a third of the error of evaluations goes; of a share of right answers, of the wrong ones."""
    if pair.ratios:
        return math.log(1.5)
    return abs(float(pair.blocks()[0].mean()) - pair.best) / 3


def quarter(pair: Pair) -> float:
    """P11: a quarter of the error goes. Whoever fixes random layers on purpose knows what they cost."""
    return max(0.25 * float(pair.blocks()[0].mean()), 0.05 * abs(pair.start()))


def twofold(pair: Pair) -> float:
    """P20: twice as much: nobody rounds away half of the progress on purpose, as one may limit the size of steps."""
    return _times(pair, 2)


def fivefold(pair: Pair) -> float:
    """The change achieves five times as much, and at least 5 % of the start."""
    return _times(pair, 5)


def _times(pair: Pair, factor: float) -> float:
    before, _ = pair.blocks()
    done = max(pair.start() - float(before.mean()), 0.0)
    return max((factor - 1) * done, 0.05 * abs(pair.start()) - done)
