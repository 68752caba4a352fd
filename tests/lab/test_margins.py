"""How much of an error must go: on the scales of shares, of percents, of ratios, and of errors without a unit."""

from __future__ import annotations

import numpy as np
import pytest

from flightcheck.lab.margins import third
from flightcheck.lab.printed import Scale
from flightcheck.lab.statistics import Pair


@pytest.mark.parametrize(
    ("name", "before", "margin"),
    [
        ("test acc", 0.88, 0.04),  # of the wrong answers
        ("test acc", 88.0, 4.0),
        ("recall at10", 0.1, 0.3),
        ("psnr", 30.0, 10.0),  # a bound that we do not know
        ("return", 30.0, 10.0),
        ("test rmse", 0.3, np.log(1.5)),  # a ratio, whatever its unit is
        ("test rmse", 1.0, np.log(1.5)),
        ("log likelihood", -3.0, 1.0),
        ("test r2", -0.02, 0.34),
        ("forecast skill", 0.4, 0.2),
    ],
)
def test_a_third_of_the_error(name: str, before: float, margin: float) -> None:
    series = [np.full(6, before), np.full(6, before)]
    scale = Scale.of(name, series)
    one, other = (scale.to(values) for values in series)
    pair = Pair(one, other, evaluations=True, best=scale.best, ratios=scale.logarithmic)
    assert third(pair) == pytest.approx(margin)
    gone = before + margin if scale.turned else before / np.exp(margin)
    assert scale.back(float(scale.to(np.array([before]))[0]) - margin) == pytest.approx(gone)
