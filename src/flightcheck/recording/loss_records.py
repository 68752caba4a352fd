"""Records of what a loss is put together from, and of the axis over which it compares classes."""

from __future__ import annotations

from dataclasses import dataclass, field

from flightcheck.recording.records import RECORDS, Location


@dataclass(frozen=True)
class LossTerm:
    """One summand of a value on which backward was called."""

    step: int
    backward: int
    """Number of the backward, counted over the run."""
    backward_location: Location | None
    operation: str
    """The autograd node that made the term, ``NllLossBackward0``; views, sums and constant factors are passed over."""
    location: Location | None = None
    """The line that made the term; for the user's own arithmetic the one that made a number of it, if there is one."""
    site: int = -1
    """The loss function that made it, -1 for the user's own arithmetic."""
    coefficient: float | None = None
    """Derivative of the value handed to backward with respect to (each element of) the term; None if a factor is not
    a constant number."""
    value: float | None = None
    """The term's value, or the mean of its elements."""
    numel: int = 1
    """Elements of the term."""
    summed: list[int] = field(default_factory=list)
    """Shape of the tensor that a ``sum`` over all its axes made a number of, on the way to the total."""
    averaged: list[int] = field(default_factory=list)
    """Shape of the tensor that a ``mean`` over all its axes made a number of, on the way to the total."""
    penalty: bool = False
    """Made from parameters alone: a weight penalty."""
    amount: float | None = None
    """What the term adds to the value handed to backward."""
    negated_location: Location | None = None
    """The line that turned the term's sign."""
    weight_location: Location | None = None
    """The line that multiplied the term by a constant number."""


@dataclass(frozen=True)
class LossAxes:
    """How the class axis of a loss function relates to the axis over which the last layer laid out its outputs."""

    site: int
    step: int
    relation: str
    """``same``; ``other``: the layer's outputs lie on another axis; ``mixed``: a view cut the axis to pieces; empty if
    it could not be followed to a layer."""
    input_shape: list[int]
    producer: str = ""
    """``linear`` or ``conv``."""
    producer_shape: list[int] = field(default_factory=list)
    """Shape in which the layer's outputs were last seen before views."""
    producer_classes: int = 0
    """Outputs (features or channels) of that layer."""
    view: str = ""
    """The view that cut the axis: ``ViewBackward0``."""
    view_location: Location | None = None
    softmax_differs: bool = False
    """A (log-)softmax on the way normalized over another axis than the loss takes for classes."""
    softmax_dim: int | None = None
    softmax_location: Location | None = None
    target_sum_error_last: float | None = None
    """For targets of the prediction's shape: largest distance from 1 of the sums over the last axis."""
    target_sum_error_classes: float | None = None
    """The same over the axis that the loss takes for classes."""


@dataclass(frozen=True)
class PaddedTarget:
    """What the target of a loss holds at the positions at which the model's input is filled up."""

    site: int
    step: int
    padding: int
    """The id that fills rows up: declared by an embedding (``padding_idx``) or given to ``pad_sequence``."""
    share: float
    """Share of the positions that are filled up, at the end or the start of rows."""
    value: int
    """The most frequent target there."""
    agreement: float
    """Share of the filled positions that hold that target."""
    lengths: int
    """Different numbers of filled positions among the rows."""


RECORDS.update({cls.__name__: cls for cls in (LossTerm, LossAxes, PaddedTarget)})
