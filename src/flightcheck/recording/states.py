"""Records of stored state: weights loaded from elsewhere or held in few bits, moments, running statistics."""

from __future__ import annotations

from dataclasses import field
from typing import Final

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS, Location

NEWEST_BATCH: Final = 0.9
"""A momentum of BatchNorm from which on its running statistics span a single batch."""


@frozen
class StateLoad:
    """One call of ``load_state_dict`` of a module, and what it did to the module's weight matrices."""

    index: int
    location: Location | None
    type: str
    """Class of the module."""
    strict: bool = True
    whole: bool = True
    """The module is a model that was trained, and not a part of one."""
    given: int = 0
    """Tensors in the state."""
    matched: int = 0
    """Of these, with the name of a parameter or buffer of the module."""
    matrices: int = 0
    """Parameters of the module with two or more dimensions."""
    unfilled: int = 0
    """Of these, bit-identical before the call, after it, and at the first step of training."""
    misnamed: int = 0
    """Unfilled matrices for which a tensor of the same shape was there under another prefix."""
    misnamed_share: float = 0.0
    """Their share of all elements of the module's matrices."""
    source_prefix: str = ""
    """What such names begin with in the state …"""
    module_prefix: str = ""
    """… and what they ought to begin with."""
    example: str = ""
    """One such name, as it stands in the state."""
    from_file: Location | None = None
    """The names were filtered before the call: the line that read the file which held the tensors."""
    step: int = 0
    """Steps that were made before it."""
    nested: str = ""
    """The state holds no tensors but for those under this key, which have the names of the module."""
    renamed: int = 0
    """Unfilled matrices, where the matrices of unknown names in the state have just their shapes, in their order."""


@frozen
class LostWeights:
    """Weights that were to come from a state, and are not in the model when it is first used."""

    index: int
    kind: str
    """``overwritten``: loaded, then drawn anew. ``left-behind``: the loaded model is not the one that is trained.
    ``not-loaded``: the dictionary that ``state_dict()`` returned was changed, and no model."""
    location: Location | None
    """The line that loaded, or that called ``state_dict()``."""
    type: str
    """Class of the module."""
    matrices: int = 0
    """Weight matrices that the state filled."""
    lost: int = 0
    """Of these, gone."""
    share: float = 1.0
    """Their share of the elements."""
    first: int = 0
    """Position of the first of them among the matrices."""
    lost_location: Location | None = None
    """The line that drew them anew, that built the model which is trained, or that changed the dictionary."""
    step: int = 0


@frozen
class Resumption:
    """The first step of an optimizer whose trained parameters are, bit for bit, those in a file that was read."""

    index: int
    optimizer: int
    location: Location | None = None
    """The line that read the file."""
    step: int = 0
    counter: str = ""
    """The name under which the file says how far the training had come (``epoch``, ``step`` …), if it does."""
    count: int = 0
    """What it says."""
    loop_location: Location | None = None
    """The loop around the training step, where its start was read from this counter."""
    optimizer_saved: bool | None = None
    """The file holds a state for as many parameters; None where it holds only other ones."""
    optimizer_given: bool = False
    """The optimizer was given a state since the file was read."""
    optimizer_fresh: bool = False
    """It never stepped, and its state is empty."""
    constructed_rate: float | None = None
    """Learning rate with which the optimizer was constructed."""
    rate: float | None = None
    """That of its first group, at this step."""
    saved_rate: float | None = None
    """That in the file, and the one from which a schedule started there."""
    initial_rate: float | None = None
    schedulers: int = 0
    """Schedulers of this optimizer. What follows is known where there is one, and one in the file."""
    schedulers_saved: int = 0
    scheduler: str = ""
    scheduler_location: Location | None = None
    scheduler_epoch: int | None = None
    """How often it had stepped."""
    saved_epoch: int | None = None
    saved_schedule_rate: float | None = None
    same_schedule: bool = False
    """The settings in the file are those of the scheduler."""
    saved_scale: float | None = None
    scale: float | None = None
    """Loss scale, where one scaler is in use and the file holds the state of one."""
    scaler_fresh: bool = False


@frozen
class StoredUpdate:
    """What became of the updates of one trained parameter that is stored in 16 bits (a sample of its elements)."""

    parameter: int
    dtype: str
    looks: int = 0
    """Steps at which gradient and value were looked at."""
    steps: int = 0
    """Steps between the first and the last look."""
    lost: float = 0.0
    """Share of the gradient (summed absolute values) that fell on elements which never changed."""
    elements: int = 0
    master: bool = False
    """The optimizer keeps more exact values, or the rounding errors, in its state."""
    cast_location: Location | None = None
    """The line that converted the weights to 16 bits, if one did."""


@frozen
class SecondMoments:
    """The mean squared gradients by which an optimizer divides, for one matrix (a sample of its elements)."""

    parameter: int
    optimizer: int
    epsilon: float = 0.0
    """What the optimizer adds to their square roots."""
    dominated: list[float] = field(default_factory=list)
    """At each look: share of the elements with a gradient whose root lies below ten times epsilon."""
    steps: list[int] = field(default_factory=list)
    """Steps of the optimizer at these looks."""
    elements: int = 0


@frozen
class BatchStatistics:
    """A batch normalization: over how many values it normalizes, and what its running statistics are worth."""

    module: int
    values: float | None = None
    """Values per channel in a training call (batch size times positions), median. None if no call was seen."""
    calls: int = 0
    """Training calls that were seen."""
    fewest: int | None = None
    """Values per channel in the smallest of these calls."""
    most: int | None = None
    synchronized: bool = False
    """The values of all ranks are used."""
    momentum: float | None = None
    """Weight of the newest batch; None for a plain average of all."""
    tracked: int | None = None
    """Batches in the running statistics at the latest evaluation with them; None if there was no such evaluation."""
    step: int = 0
    """Round of that evaluation."""
    left: float = 0.0
    """Share of the initial statistics (mean 0, variance 1) that was left in them."""
    variance_ratio: float | None = None
    """Running variance against that of the batches in it, median over channels."""
    mean_shift: float | None = None
    """Distance of the running mean from that of the batches in it, in standard deviations, median over channels."""
    newest_weight: float | None = None
    """The momentum in all training calls that were seen, if it is `NEWEST_BATCH` or more."""
    noise: float | None = None
    """Then: standard deviation of the running mean from batch to batch by chance, in standard deviations of the
    values, median over channels."""
    off: float | None = None
    """Then: distance of the running mean at the latest evaluation from that of the batches, likewise."""
    fixed_calls: int = 0
    """Training calls that were seen in eval mode, which normalize with the running statistics."""
    initial: bool = False
    """At the first of these the statistics were those of the construction: mean 0, variance 1, no batch counted."""
    mode_location: Location | None = None
    """The line that had put it into eval mode then, if one was seen."""
    below_epsilon: float | None = None
    """Share of the channels whose running variance is below the epsilon; None where the epsilon is a usual one."""
    examples: float | None = None
    """Examples in a training call, median."""
    uses: int = 0
    """Training calls in one pass of its model, at most; 0 where it was one."""
    passes: int = 0
    """Where each pass calls it once: in how many passes of one training step it was called; 0 where that was one."""
    use_shift: float | None = None
    """Of several: the distance between the mean at one of these places and that of all, in the standard deviation of
    all values, median over channels, at the place where it is largest."""
    use_ratio: float | None = None
    """Likewise of variances: the larger over the smaller."""


RECORDS.update(
    {c.__name__: c for c in (StateLoad, LostWeights, Resumption, StoredUpdate, SecondMoments, BatchStatistics)}
)
