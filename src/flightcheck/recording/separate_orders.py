"""Record of losses that compare what was made of one loader's examples with those of another."""

from __future__ import annotations

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS, Location


@frozen
class SeparateOrders:
    """A loss whose prediction was made from one loader's batches, and whose target came from another's as it was."""

    site: int
    """Index of the loss."""
    calls: int = 0
    """Calls of the loss in the learning pass in which both came from loaders."""
    apart: int = 0
    """Of these, those in which nothing of the target's loader went into the prediction, both loaders hold as many
    examples, and the two batches were drawn as different examples, by samplers of PyTorch's own."""
    inputs: Location | None = None
    """The line that constructs the loader of the inputs."""
    targets: Location | None = None
    """The line that constructs the loader of the targets."""
    taken: Location | None = None
    """The line that asked for the batch of the target."""
    examples: int = 0
    """How many each of the two holds."""
    one_loader: bool = False
    """It is one loader that was asked twice."""
    picked: bool = False
    """No loaders: the script picks rows of two tables by numbers of its own, in the lines `inputs` and `targets`."""
    same_places: float = 0.0
    """Share of the rows, over these calls, in which both drew the same number."""


RECORDS[SeparateOrders.__name__] = SeparateOrders
