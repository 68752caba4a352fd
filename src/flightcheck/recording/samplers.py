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


RECORDS["SamplerInfo"] = SamplerInfo
