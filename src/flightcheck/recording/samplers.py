"""Records of what a loader's sampler draws from a dataset."""

from __future__ import annotations

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS, Location


@frozen
class SamplerInfo:
    """PyTorch's own sampler of one dataset at one line that builds loaders."""

    source: int
    """Number of the dataset (`DatasetInfo.source`)."""
    type: str
    examples: int | None = None
    """Of the dataset that the loader is given."""
    weights: int | None = None
    """How many weights a weighted sampler has; None where another loader of this source has another number."""
    draws: int | None = None
    """Examples drawn in one pass."""
    location: Location | None = None
    """The line that constructed the sampler, or the subset whose indices are truth values."""
    masked: bool = False
    """The indices of the sampler or of the subset are truth values: each is read as the number 0 or 1."""
    class_counts: list[int] | None = None
    """Of the classes that the dataset holds and the weights follow: how many examples of each there are."""
    class_weights: list[float] | None = None
    """The weight of an example of each of these classes."""
    misplaced: float = 0.0
    """Share of examples with the weight of another class, where the weights balance classes of just these sizes."""
    weight_origin: Location | None = None
    """The line that computed the weights."""


RECORDS["SamplerInfo"] = SamplerInfo
