"""Records of losses: the lines that compute them, their calls, what they are put together from, and their axes."""

from __future__ import annotations

from dataclasses import field
from typing import Any

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS, Location


@frozen
class LossSite:
    """One line that computes a loss through a function of the framework, or by hand as such a function would, of one
    class of models.
    """

    index: int
    function: str
    """``cross_entropy``, ``mse_loss``, …: the functional name, also when a module calls it."""
    location: Location | None
    settings: dict[str, Any] = field(default_factory=dict)
    """reduction, ignore_index, label_smoothing, weighted, weight_ratio, class_weights, handmade, log_input,
    log_target, ``part`` (of a binary cross-entropy written by hand: ``log p`` where that of the labels 0 is missing);
    of losses of pairs and triplets ``margin``; of triplets ``as_given``: positive and negative are what a
    model returned, whole or in slices, and not rows that were picked from it."""
    train_calls: int = 0
    eval_calls: int = 0
    input_location: Location | None = None
    """The line that made the tensor given as prediction, where the learning pass saw it."""
    target_origin: Location | None = None
    """The line at which the values given as target were last computed, as far as the source tells."""
    target_orders: list[Location] = field(default_factory=list)
    """The lines that decide which examples a hand-made target holds, and in which order, the last one first."""
    weight_origin: Location | None = None
    """The line that computed its class weights, as far as the source tells."""
    module_location: Location | None = None
    """Of a loss of classes, the line that made its module, where only one does."""
    fills: list[Location] = field(default_factory=list)
    """Of a binary cross-entropy: lines of its file, and of that of its targets, that put zeros in the place of what is
    missing, those of the targets first."""


@frozen
class LossCall:
    """One observed call of a loss function: shapes and ranges of its arguments."""

    site: int
    step: int
    training: bool
    """Gradients were enabled and the input needed one."""
    input_shape: list[int]
    target_shape: list[int]
    result_shape: list[int]
    input_dtype: str
    target_dtype: str
    value: float | None
    input_min: float
    input_max: float
    target_min: float
    target_max: float
    input_op: str = ""
    """Name of the last autograd operation that computed the input's values, for example ``SoftmaxBackward0``: views,
    copies and casts (squeeze, transpose, select, clone …) are passed over."""
    input_module: str = ""
    """Path of the module whose output the input is, if it is one."""
    input_module_type: str = ""
    input_module_location: Location | None = None
    classes: int = 0
    """Size of the class dimension (1 for an input without one), for losses that have one."""
    row_sum_error: float | None = None
    """Largest distance of a row's sum over classes from 1."""
    log_sum_error: float | None = None
    """Largest absolute logsumexp over classes."""
    target_distinct: int | None = None
    """Number of different target values, None if more than 4096 values were there to count."""
    target_integral: bool = False
    """All target values are whole numbers."""
    target_row_sum_error: float | None = None
    """For targets with a class dimension: largest distance of a row's sum from 1."""
    target_binary: bool = False
    """All target values are 0 or 1."""
    target_requires_grad: bool = False
    target_given: bool = False
    """Of a cross-entropy: the target is what the model was given, whole or in part (a set that is encoded). Of other
    losses, in the first steps alone: the very numbers."""
    input_std: float = 0.0
    target_mean: float = 0.0
    target_std: float = 0.0
    target_tenths: list[float] = field(default_factory=list)
    """Of targets that are numbers: the values below which and above which a tenth of them lie."""
    label_counts: list[int] | None = None
    """Counts of class ids 0…C−1 in the target, for at most 1000 classes."""
    label_shares: list[float] | None = None
    """Of labels of 0 and 1, several for each example and with weights: how many are 1, for each label."""
    ignored: int = 0
    ignored_between: float | None = None
    """How often ignored targets have counted ones before and behind them in their row, against what chance would give:
    0 for padding. Known where the targets are the ids that the model is given, or those that come next."""
    input_column_spread: float | None = None
    """Standard deviation over the batch of the predictions, mean over the other dimensions."""
    target_column_spread: float | None = None
    """The same of targets that are no classes, for those with a row per example."""
    relative_spread: float | None = None
    """How far predictions differ between examples over how far targets do, both as what they mean: logits as
    probabilities, scores of classes as the probability of each class. 0: the same answer for all examples."""
    input_value_op: str = ""
    """As `input_op`, where an adapter records views there: the last operation that computed values, for example
    ``SigmoidBackward0`` for ``sigmoid(x).squeeze(1)``. Empty if `input_op` already passes over views."""
    scores_op: str = ""
    """Where a softmax or a sigmoid, or the logarithm of one, made the prediction: the operation that made what it was
    given, as `input_op`."""
    scores_type: str = ""
    """Type of the module that is this operation, if one is: ``ReLU``, ``Dropout``."""
    scores_module: str = ""
    """Its path."""
    scores_location: Location | None = None
    """The line that constructs it, else the line of the operation."""


@frozen
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
    weights_after: list[int] = field(default_factory=list)
    """Shape of unequal numbers that multiplied it after it had become one number, before they were added up."""
    weights_location: Location | None = None
    """The line that did."""


@frozen
class LooseTerm:
    """A number that a model made, that has no graph, and that is a term of a value on which backward was called."""

    location: Location | None
    """The line that made a number of it."""
    sum_location: Location | None
    """The line that added it to a term with a graph."""
    operation: str = ""
    """What cut the graph (see `GraphCut`), if that was one thing only."""
    cut_location: Location | None = None
    parameters: list[int] = field(default_factory=list)
    """Those that lie behind the cuts."""
    beside: list[int] = field(default_factory=list)
    """Those that the graph of the sum leads to, in the first such pass."""
    rounds: int = 0
    """Backward passes that it entered while the learning pass looked."""
    values: list[float] = field(default_factory=list)
    """Its values there."""


@frozen
class RandomDraw:
    """Random numbers in the graph of a loss whose distribution a model made, drawn so that it gets no gradient."""

    operation: str
    """``torch.normal``, ``torch.bernoulli``, …, or ``sample`` of a distribution."""
    location: Location | None
    step: int
    parameters: list[int] = field(default_factory=list)
    """Those that lie behind the distribution."""
    rounds: int = 0
    """Backward passes that it entered while the learning pass looked."""


@frozen
class RepeatedSoftmax:
    """A line that normalizes, on the way to a loss, numbers whose rows over the same axis sum to 1 already.

    The losses of the framework, which normalize their logits themselves, are `LossCall`s.
    """

    operation: str
    """``log_softmax``, ``logsumexp``, …, or the distribution that was given the probabilities: ``Categorical``."""
    location: Location | None
    step: int
    classes: int
    made_by: str = ""
    """Name of the autograd operation that computed the probabilities: ``SoftmaxBackward0``."""
    made_location: Location | None = None
    """The line that called it."""
    module: int = -1
    """Index of the module that put them out, -1 if none did."""
    calls: int = 0
    """Calls of this line that were looked at and reached a loss."""
    repeated: int = 0
    """Those of them that were given probabilities."""


@frozen
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


@frozen
class LinearStack:
    """A prediction that is an affine function of the data: no activation between these layers, the first first."""

    site: int
    """The loss that was given the prediction."""
    parameters: list[int] = field(default_factory=list)
    """Per layer: the index of its matrix, -1 if it is unknown."""
    modules: list[int] = field(default_factory=list)
    """Per layer: the index of the module that it is called in, -1 if there is none."""
    inputs: list[int] = field(default_factory=list)
    """Features or channels that go into each layer."""
    outputs: list[int] = field(default_factory=list)
    location: Location | None = None
    """The line that calls the first layer."""


@frozen
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
    inside: float = 0.0
    """Share of the positions that are not filled up at which the target has this value, too."""


@frozen
class TargetShift:
    """A target that is made of the tokens which the model was given, some positions further on."""

    site: int
    step: int
    shift: int
    """The target at position t is the token at t + shift. 1: the next token."""
    positions: int
    """Positions that tell this shift from the others: the tokens around them differ."""
    agreement: float
    """Share of these positions at which the target is that token."""
    start: int = 0
    """Position in the sequence of the first output that the loss looks at."""
    slice_location: Location | None = None
    """The line that cut the outputs down to those positions."""
    target_location: Location | None = None
    """The line that cut the target out of a longer sequence, if it was seen."""
    forward_only: bool = False
    """The tokens went into a recurrent layer that goes forward in time only: no output sees those after it."""
    stream: int = 0
    """Of tokens that lie one after another in a single row in memory: how far apart two of them lie there that follow
    each other in time for the model, where neighbours in memory belong to different examples. 0 for any other."""
    stream_location: Location | None = None
    """The line that made rows of that single row."""
    hidden: int | None = None
    """Of a target that is the token itself: the id that stands in the input at most of the positions which the loss
    leaves out, and nearly nowhere else, in the midst of the rows. These are the tokens that the model was to guess."""


_KINDS = (
    LossSite, LossCall, LossTerm, LooseTerm, RandomDraw, RepeatedSoftmax, LossAxes, LinearStack, PaddedTarget,
    TargetShift,
)  # fmt: skip
RECORDS.update({cls.__name__: cls for cls in _KINDS})
