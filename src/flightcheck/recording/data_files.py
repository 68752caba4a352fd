"""Record of the lines of a file that make or change data, of which the file has one each."""

from __future__ import annotations

from collections.abc import Iterable

from flightcheck.frozen import frozen
from flightcheck.recording.batches import Batch
from flightcheck.recording.records import RECORDS, Location
from flightcheck.recording.run import Run


@frozen
class DataFile:
    """A file in which inputs of a model are made. Each line is None where it has no such line, or several."""

    index: int
    file: str
    scaling: Location | None = None
    """The line that puts data on another scale (``scaler.fit_transform(x)``)."""
    cut: Location | None = None
    """The line that keeps the most frequent words of a vocabulary only, and gives all other words one number."""
    numbering: Location | None = None
    """The line of a function that numbers what it is given in each of several calls."""
    negations: Location | None = None
    """The line that lists words to be left out of texts, negations among them."""


RECORDS[DataFile.__name__] = DataFile


def made_in(run: Run, batches: Iterable[Batch]) -> list[DataFile]:
    """The files in which the values of these batches were made, or else the model called on them; each once."""
    lines = [b.origin or b.location for b in batches]
    files = {line.file for line in lines if line is not None}
    return [f for f in run.recorded(DataFile) if f.file in files]
