"""Medians and quantiles as NumPy's, without what NumPy imports for them."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest

from flightcheck.recording.tables import median, quantiles

CASES = [[3.0], [4.0, 1.0], [5, 2, 9], [1e-3, 7.0, -2.0, math.inf], [[1.0, 2.0], [8.0, 4.0]]]


@pytest.mark.parametrize("values", CASES)
def test_a_median_is_that_of_numpy(values: list[float]) -> None:
    assert median(values) == np.median(values)
    assert median(np.array(values, dtype=np.float32)) == np.median(np.array(values, dtype=np.float32))


def test_none_of_what_is_not_there() -> None:
    assert math.isnan(median([])) and math.isnan(median([1.0, math.nan, 2.0]))


@pytest.mark.parametrize("n", [1, 2, 7, 100])
def test_quantiles_are_those_of_numpy(n: int) -> None:
    values, levels = np.random.default_rng(n).normal(size=n), [0.0, 0.01, 0.25, 0.5, 0.9, 1.0]
    assert quantiles(values, levels) == pytest.approx(np.quantile(values, levels))


def test_masked_arrays_are_not_imported() -> None:
    code = "import sys; from flightcheck.recording.tables import median, quantiles; median([1.0, 2.0])"
    code += "; quantiles([1.0, 2.0], [0.5]); sys.exit('numpy.ma' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
