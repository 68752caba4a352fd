"""Records of noise that is added to data, each times a coefficient of its own."""

from __future__ import annotations

from dataclasses import field

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS, Location


@frozen
class NoisedData:
    """A line that adds a normal draw to data in training, and what both were multiplied with."""

    location: Location | None
    """The line of the sum."""
    data_location: Location | None = None
    """The line that computed the coefficients of the data: of a table, where they were picked from one."""
    noise_location: Location | None = None
    """The same of the noise."""
    step: int = 0
    calls: int = 0
    data: list[float] = field(default_factory=list)
    """Coefficients of the data, one for each example that was looked at."""
    noise: list[float] = field(default_factory=list)
    """Those of the noise of the same examples."""
    spread: float | None = None
    """Standard deviation of the data over all batches that were looked at, of the feature that varies most; None of
    fewer than 32 examples (rows of one batch that are all equal are one)."""
    precision: float = 1e-6
    """Spacing of the numbers at 1 in the type of the coefficients."""
    of_product: str = ""
    """What the coefficient of the data is of a cumulative product that the script computed: ``product`` (a value of
    it), ``factor`` (the root of what was multiplied), ``root`` (that of a value, as it should be), or nothing of it.
    """
    schedule_location: Location | None = None
    """The line that made what was multiplied."""
    samples: bool = False
    """The script draws noise and goes back through the steps: it makes samples of it."""
    lowest_product: float = 1.0
    """The last value of that product."""


RECORDS[NoisedData.__name__] = NoisedData
