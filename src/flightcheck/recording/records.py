"""What a run is made of: frozen records, written by an adapter, read by checks.

Every record is plain data (strings, numbers, lists), so that it survives JSON and never holds a
framework object.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from dataclasses import dataclass, field
from typing import Any, TypeVar

from flightcheck.recording.experiments import Experiment, Probe, TrialInfo
from flightcheck.recording.inputs import Confusion, DatasetInfo, FeatureTable

R = TypeVar("R")


@dataclass(frozen=True)
class Location:
    """A line of the user's code."""

    file: str
    line: int
    function: str = ""
    code: str = ""
    """The text of the line, stripped."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class RunInfo:
    """What was run, how it ended, and what watching it cost."""

    id: str
    command: str
    script: str
    started: str = ""
    steps: int = 0
    """Completed rounds of training: optimizer steps of the optimizer that steps most often."""
    backwards: int = 0
    evaluations: int = 0
    ended: str = "running"
    """``finished``, ``stopped`` (by us, after enough steps), ``exit`` (sys.exit), ``interrupted``, ``exception`` or
    ``running`` (killed, or not yet over)."""
    exit_code: int = 0
    error: str = ""
    """The exception that ended the script, ``Type: message``."""
    error_location: Location | None = None
    seconds: float = 0.0
    watching_seconds: float = 0.0
    """Time spent in our own code during training."""
    overhead: float | None = None
    """Our share of the time of the watching phase, None when it was not long enough to measure."""
    learning_steps: int = 0
    framework: str = ""
    mode: str = "check"
    rank: int = 0
    ranks: int = 1
    """Processes that train together."""


@dataclass(frozen=True)
class Coverage:
    """What was observed, how often; and what was not."""

    modules: int = 0
    modules_seen: int = 0
    sampled_steps: int = 0
    """Steps on which every weight, update and activation was measured."""
    steps: int = 0
    every: float = 1.0
    """Mean distance of two fully measured steps in the watching phase."""
    blind: list[str] = field(default_factory=list)
    """What could not be observed, in words."""


@dataclass(frozen=True)
class ModuleInfo:
    """One module of a model that was called in training."""

    index: int
    path: str
    """Dotted path below the root, with the root's name first: ``model.encoder.0``."""
    type: str
    kind: str
    """linear, conv, norm, batchnorm, dropout, activation, softmax, rnn, attention, embedding, container, other."""
    root: int
    location: Location | None = None
    """The line that constructed it."""
    leaf: bool = True
    settings: dict[str, Any] = field(default_factory=dict)
    order: int = -1
    """Rank of its first call in the first training step, -1 if it was not seen called."""
    training: bool = True
    """Mode when first seen in a training step."""
    trainable: bool = False
    """Has parameters of its own (or below, for containers) that require gradients."""


@dataclass(frozen=True)
class RootInfo:
    """An outermost called module: what the user calls the model."""

    index: int
    name: str
    type: str
    location: Location | None = None
    """The line that constructed it."""
    call_location: Location | None = None
    """The line that called it first in training."""
    constructed_at_step: int = 0
    loaded: bool = False
    """``load_state_dict`` was called on it or on a part of it before training: pretrained or resumed."""
    train_calls: int = 0
    eval_calls: int = 0
    constructed_seq: int = 0
    """Order of construction among all modules and optimizers of the process."""


@dataclass(frozen=True)
class ParameterInfo:
    """One parameter, seen in a model, in an optimizer, or in both."""

    index: int
    name: str
    module: int
    """Index of the module that owns it, -1 if no called model holds it."""
    shape: list[int]
    role: str
    """matrix, bias, gain, embedding or scalar."""
    requires_grad: bool = True
    optimizers: list[int] = field(default_factory=list)
    """Optimizers that hold it. A parameter held twice by one optimizer stands here twice."""
    in_graph: bool = False
    """The loss's graph reached it at least once."""
    location: Location | None = None
    write_location: Location | None = None
    """The last line that overwrote its values before training began (an init call), if seen; None where only the
    constructor of its module wrote them."""
    duplicate_rows: float = 0.0
    """Share of output units that equal another unit of the same matrix, at the first step."""
    constant: bool = False
    zero: bool = False
    """All zero at the first step."""
    gradient_duplicate_rows: float | None = None
    """Share of output units whose first non-zero gradient equals that of another unit."""
    gradients_seen: int = 0
    """Steps in which its optimizer (or, without one, a backward) found a gradient that is not None."""
    gradients_nonzero: int = 0
    gradient_checks: int = 0
    """Steps in which the gradient was looked at."""
    update_checks: int = 0
    """Steps in which the value before and after the optimizer's step was compared."""
    updates_nonzero: int = 0
    dtype: str = "float32"
    numel: int = 0
    loaded: bool = False
    """``load_state_dict`` (of any module that holds it) put values into it before training."""
    first_values: str = ""
    """Hash of a sample of a matrix's values before its first update; empty for constant ones and vectors."""
    shares_memory_with: int = -1
    """Another parameter whose values lie in the same memory, although it is another object."""


@dataclass(frozen=True)
class OptimizerInfo:
    """One optimizer."""

    index: int
    type: str
    location: Location | None = None
    groups: list[dict[str, Any]] = field(default_factory=list)
    """Per group: the scalar options (lr, momentum, weight_decay, eps, …) and ``parameters``: how many."""
    parameters: list[int] = field(default_factory=list)
    step_location: Location | None = None
    steps: int = 0
    created_at_step: int = 0
    constructed_seq: int = 0
    lr_location: Location | None = None
    """Where the value of the learning rate is written in the source."""
    lr_write_location: Location | None = None
    """The line that sets it by hand while training goes on (``group["lr"] = …``), if one does."""
    decay_location: Location | None = None
    """Where the value of the weight decay is written in the source."""
    state_restarts: int = 0
    """Times that another optimizer was constructed at the same line over the same parameters after training began."""
    state_loaded: bool = False
    state_read_location: Location | None = None
    """The line that read, from a file and before this optimizer's first step, a state of an optimizer that fits this
    one: the same number of parameters and the same learning rate in the first group. None if there was none."""
    state_drops: int = 0
    """Times that its ``state`` held entries for fewer parameters at a step than after the step before."""
    closure: bool = False


@dataclass(frozen=True)
class SchedulerInfo:
    """One learning-rate scheduler."""

    index: int
    type: str
    optimizer: int
    location: Location | None = None
    step_location: Location | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    calls: int = 0
    calls_before_first_step: int = 0
    calls_after_skipped_step: int = 0
    optimizer_steps_per_call: float | None = None
    """Optimizer steps between two calls of ``scheduler.step()``, median."""


@dataclass(frozen=True)
class LoaderInfo:
    """One place that constructs a DataLoader."""

    index: int
    location: Location | None = None
    length: int | None = None
    """Batches per pass, None for streams."""
    batch_size: int | None = None
    shuffle: bool | None = None
    """True for a random or user-given sampler, False for a sequential one."""
    examples: int | None = None
    iterators: int = 0
    batches: int = 0
    iterator_location: Location | None = None
    used_in_training: bool = False
    sampler_epochs: list[int] | None = None
    """For a sampler that shuffles by an epoch number (DistributedSampler): seed plus that number at the start of each
    pass, of the first 32: what the order is drawn from. None for other samplers."""
    sampler_replicas: int = 1
    """Ranks among which the sampler divides the data."""


@dataclass(frozen=True)
class LossSite:
    """One line that computes a loss through a function of the framework, or by hand as such a function would."""

    index: int
    function: str
    """``cross_entropy``, ``mse_loss``, …: the functional name, also when a module calls it."""
    location: Location | None
    settings: dict[str, Any] = field(default_factory=dict)
    """reduction, ignore_index, label_smoothing, weighted, handmade, log_input, log_target."""
    train_calls: int = 0
    eval_calls: int = 0
    input_location: Location | None = None
    """The line that made the tensor given as prediction, where the learning pass saw it."""
    target_origin: Location | None = None
    """The line at which the values given as target were last computed, as far as the source tells."""
    target_order: Location | None = None
    """The line that decides which examples a hand-made target holds, and in which order."""


@dataclass(frozen=True)
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
    input_std: float = 0.0
    target_mean: float = 0.0
    target_std: float = 0.0
    label_counts: list[int] | None = None
    """Counts of class ids 0…C−1 in the target, for at most 1000 classes."""
    ignored: int = 0
    input_column_spread: float | None = None
    """Standard deviation over the batch of the predictions, mean over the other dimensions."""
    input_value_op: str = ""
    """As `input_op`, where an adapter records views there: the last operation that computed values, for example
    ``SigmoidBackward0`` for ``sigmoid(x).squeeze(1)``. Empty if `input_op` already passes over views."""


@dataclass(frozen=True)
class Call:
    """One call of the training protocol, in order: the raw material of the order checks."""

    seq: int
    step: int
    kind: str
    """forward, backward, autograd_grad, zero_grad, step, clip, unscale, scaler_step, scaler_skip, scaler_update,
    scheduler_step, train_mode, eval_mode, loader_iter."""
    subject: int = -1
    """Index of the optimizer, root, scheduler or loader concerned."""
    location: Location | None = None
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Batch:
    """What one training or evaluation step was fed with: the tensor inputs of a root module."""

    step: int
    training: bool
    root: int
    argument: str
    """Position or name of the argument."""
    shape: list[int]
    dtype: str
    digest: str
    """Hash of (a fixed sample of) the values; equal batches have equal digests."""
    minimum: float
    maximum: float
    mean: float
    std: float
    nonfinite: int
    zeros: float
    """Share of exact zeros."""
    distinct: int | None = None
    """Different values among a fixed sample of at most 4096 elements."""
    feature_mean_max: float | None = None
    """Largest absolute mean of a feature (last dimension of 2-D inputs, channel of images)."""
    feature_std_min: float | None = None
    feature_std_max: float | None = None
    feature_offset_max: float | None = None
    """Largest |mean|/std of a feature."""
    requires_grad: bool = False
    location: Location | None = None
    """The line that called the root."""
    origin: Location | None = None
    """Where the values come from in the source, as far as the code tells."""
    order_origin: Location | None = None
    """Where the source decides which examples the batch holds (the index), for batches that are picked by hand."""
    first_module: str = ""
    """Kind of the first module with parameters that the root calls: linear, conv, embedding, norm, …"""
    leading: int | None = None
    """Of whole numbers: the value that stands first *and* second in every row, None if there is none."""
    padding: float | None = None
    """Of whole numbers: share that belongs to runs of one value at the ends of rows."""
    source: int = -1
    """Number of the dataset (`DatasetInfo.source`) whose loader was asked for a batch just before, -1 without one."""
    rows: list[int] = field(default_factory=list)
    """Hashes of the first rows of the call's first tensor (at most 256), 0 for a row of one value only."""
    quantiles: list[float] = field(default_factory=list)
    """The 1, 5, 25, 50, 75, 95 and 99 % quantiles of the values of the call's first tensor."""
    feature_means: list[float] = field(default_factory=list)
    """Means of at most 64 features (last dimension, channel of images) of the call's first tensor."""
    feature_stds: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Evaluation:
    """One evaluation phase: root calls without gradient between two training steps."""

    step: int
    root: int
    calls: int
    location: Location | None
    modes: dict[str, str] = field(default_factory=dict)
    """``dropout`` and ``batchnorm``: ``train`` or ``eval`` or ``mixed``, where the root has such modules."""
    losses: int = 0
    """Loss functions called in the phase without gradient."""
    loss_value: float | None = None
    """Mean of those losses."""
    metrics: int = 0
    """Calls in the phase that compare outputs with labels (argmax, topk, eq …)."""
    same_input: bool = False
    """The same input was given more than once (Monte-Carlo dropout)."""
    grad_enabled: bool = False
    first_mode_call: Location | None = None
    held_by_optimizer: bool = True
    training_flag: bool = False
    """``root.training`` at the first call."""
    functional_dropout: Location | None = None
    """A line that called dropout as a function, without a word on whether it is to be on, although the root was in eval
    mode. (``training=True`` in the call is a word: Monte-Carlo dropout.)"""


@dataclass(frozen=True)
class GraphCut:
    """An operation of the user's code that took a tensor out of the graph."""

    operation: str
    """detach, data, numpy, item, tensor, no_grad, integer, requires_grad."""
    location: Location | None
    step: int
    parameters: list[int]
    """Parameters that lie behind the cut: the graph of the operation's input reached them."""
    module: str = ""
    count: int = 1


@dataclass(frozen=True)
class Broadcast:
    """An elementwise operation between model output and data whose shapes differ."""

    operation: str
    location: Location | None
    step: int
    left_shape: list[int]
    right_shape: list[int]
    result_shape: list[int]
    left_from_model: bool = False
    right_from_model: bool = False
    count: int = 1
    batch_size: int | None = None
    in_module: bool = False


@dataclass(frozen=True)
class NonFinite:
    """The first NaN or infinity, as far back as it could be followed."""

    step: int
    where: str
    """input, target, parameter, activation, loss or gradient."""
    name: str
    operation: str = ""
    location: Location | None = None
    detail: dict[str, Any] = field(default_factory=dict)
    """Ranges of the operation's inputs: ``minimum``, ``maximum``, ``zeros``, ``dtype``."""
    module: str = ""


@dataclass(frozen=True)
class Seeding:
    """What is known of random seeds: which were set, and whether before the first model was built."""

    seeded: list[str] = field(default_factory=list)
    """Of ``python``, ``numpy``, ``torch``."""
    used: list[str] = field(default_factory=list)
    """Generators whose state changed during the run."""
    torch_after_model: bool = False
    location: Location | None = None
    first_model_location: Location | None = None


@dataclass(frozen=True)
class Plan:
    """What the learning pass found out about the training; trials act by it."""

    unit: str = "step"
    """``step`` or ``backward``: what one round of training is."""
    accumulation: int = 1
    """Backwards per optimizer step."""
    counted_steps: bool = False
    """The source takes the optimizer's step only at every n-th round of a counter (``if i % n == 0``)."""
    roots: list[int] = field(default_factory=list)
    loss_sites: list[int] = field(default_factory=list)
    batch_source: str = ""
    """``loader``, ``inputs`` or empty."""
    batch_location: Location | None = None
    loss_location: Location | None = None
    backward_location: Location | None = None
    epochs: int | None = None
    """Planned passes over the data, where the source says so."""
    rounds: int | None = None
    """Planned rounds in all, where every loop around the training step counts."""
    steps_per_epoch: int | None = None
    """Optimizer steps per pass over the data."""
    regimes: list[str] = field(default_factory=list)
    """gan, reinforcement, contrastive, finetune, second-order, closure, self-supervised, diffusion, compiled."""
    user_classes: list[str] = field(default_factory=list)


RECORDS: dict[str, type[Any]] = {
    c.__name__: c
    for c in (
        ModuleInfo, RootInfo, ParameterInfo, OptimizerInfo, SchedulerInfo, LoaderInfo, LossSite, LossCall, Call,
        Batch, Evaluation, GraphCut, Broadcast, NonFinite, Seeding, Plan, RunInfo, Coverage, Experiment,
        TrialInfo, Probe,
        DatasetInfo, FeatureTable, Confusion,
    )
}  # fmt: skip


def to_data(record: Any) -> dict[str, Any]:
    """The record as a dictionary of JSON values."""
    return dataclasses.asdict(record)


def from_data(cls: type[R], data: dict[str, Any]) -> R:
    """The record again; unknown keys (of a newer version) are ignored."""
    hints = typing.get_type_hints(cls)
    values: dict[str, Any] = {}
    for f in dataclasses.fields(cls):  # type: ignore[arg-type]
        if f.name not in data:
            continue
        value = data[f.name]
        if isinstance(value, dict) and _is_location(hints[f.name]):
            value = Location(**{k: value[k] for k in ("file", "line", "function", "code") if k in value})
        values[f.name] = value
    return cls(**values)


def _is_location(hint: Any) -> bool:
    if hint is Location:
        return True
    return isinstance(hint, types.UnionType) and Location in typing.get_args(hint)
