"""What a run is made of: frozen records, written by an adapter, read by checks.

Every record is plain data (strings, numbers, lists), so that it survives JSON and never holds a framework object.
"""

from __future__ import annotations

from dataclasses import field
from typing import Any

from flightcheck.frozen import frozen
from flightcheck.recording.experiments import Experiment, Probe, TrialInfo
from flightcheck.recording.inputs import Confusion, DatasetInfo, FeatureTable


@frozen
class Location:
    """A line of the user's code."""

    file: str
    line: int
    function: str = ""
    code: str = ""
    """The text of the line, stripped."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@frozen
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
    overhead_seconds: float | None = None
    """The same in seconds for each step."""
    learning_steps: int = 0
    framework: str = ""
    mode: str = "check"
    rank: int = 0
    ranks: int = 1
    """Processes that train together."""
    launch: str = ""
    """What these have in common (`flightcheck.recording.ranks.launch_of`); empty for a single process."""
    launcher: str = ""
    process: str = ""
    """Which process writes the run (`flightcheck.recording.liveness`)."""


@frozen
class Coverage:
    """What was observed, how often; and what was not."""

    modules: int = 0
    modules_seen: int = 0
    sampled_steps: int = 0
    """Steps on which every weight, update and activation was measured."""
    steps: int = 0
    every: float = 1.0
    """Mean distance of two fully measured steps in the watching phase."""
    cadence: dict[str, float] = field(default_factory=dict)  # mean distance of two looks at each, while watching
    without_kernel: str = ""  # why the compiled kernel of the statistics is not used
    blind: list[str] = field(default_factory=list)
    """What could not be observed, in words."""


@frozen
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
    constructed_seq: int = 0
    """Order of its construction among all modules and optimizers of the process; 0 if it was not seen."""
    made_in_call: bool = False
    """Constructed while its root ran, and held by no attribute of the module that calls it."""


@frozen
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


@frozen
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
    drawn: bool = False
    """Before training its values were drawn at random by a line outside of its module's constructor."""
    frozen_location: Location | None = None
    """The line that set its ``requires_grad`` to False before training began, if seen."""
    duplicate_rows: float = 0.0
    """Share of output units that equal another unit of the same matrix, at the first step."""
    constant: bool = False
    zero: bool = False
    """All zero at the first step."""
    one_sign: bool = False
    """All elements are above zero, or all below, at the first step."""
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
    joined: int = 0
    """The round in which it was first seen."""
    left: int = -1
    """The round in which it was seen that the model does not hold it any more; -1 while a model does."""


@frozen
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
    stands_for_later: bool = False
    """More were made than are told apart: steps of later ones of its line count as its own, their parameters do not."""
    constructed_seq: int = 0
    lr_location: Location | None = None
    """Where the value of the learning rate is written in the source."""
    lr_write_location: Location | None = None
    """The line that sets it by hand while training goes on (``group["lr"] = …``), if one does."""
    lr_count_location: Location | None = None
    """The statement by which the count of a loop gets into a rate that is set by hand, and the count's name: next."""
    lr_count: str = ""
    given_lr: float | None = None
    """The rate that it was constructed with, before any schedule."""
    decay_location: Location | None = None
    """Where the value of the weight decay is written in the source."""
    freeze_location: Location | None = None
    """The nearest line before its construction that freezes parameters."""
    condition_location: Location | None = None
    """Of one that never stepped: the ``if`` around the only ``step()`` beside the backward pass."""
    state_restarts: int = 0
    """Times that another optimizer was constructed at the same line over the same parameters after training began."""
    state_loaded: bool = False
    state_read_location: Location | None = None
    """The line that read, from a file and before this optimizer's first step, a state of an optimizer that fits this
    one: the same number of parameters and the same learning rate in the first group. None if there was none."""
    state_drops: int = 0
    """Times that its ``state`` held entries for fewer parameters at a step than after the step before."""
    gradient_looks: int = 0
    """Steps in which its gradients were looked at."""
    cut_off: list[int] = field(default_factory=list)
    """Parameters that had no gradient in any of these steps and were reached by no loss since its first one, although
    they want one and an optimizer that stepped before, and no more, held them."""
    closure: bool = False


@frozen
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


@frozen
class LoaderInfo:
    """One place that constructs a DataLoader: a line, or one of the calls of a function that has such a line."""

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
    whole_passes: bool = False
    """A plain loop goes over it that nothing leaves or cuts short, in code that never asks for batches of one."""


@frozen
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


@frozen
class GraphCut:
    """An operation of the user's code that took a tensor out of the graph."""

    operation: str
    """detach, data, numpy, item, tensor, Variable, no_grad, integer, comparison, requires_grad; or round: no cut, but a
    function whose gradient is zero (round, floor, sign …)."""
    location: Location | None
    step: int
    parameters: list[int]
    """Parameters that lie behind the cut: the graph of the operation's input reached them."""
    module: str = ""
    count: int = 1
    handed_on: int = 0
    """How often a model with gradients was given the very result, or a part of one with parameters to train."""
    hooked: bool = False
    """It was made by a forward hook, or by what that calls."""
    turned_off: Location | None = None
    """Of ``no_grad`` the line that begins it: a ``with`` statement, or the decorator of a function."""


@frozen
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
    caller: Location | None = None
    """The line of the script that called the function in which the operation stands; None outside of any."""


@frozen
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


@frozen
class Seeding:
    """What is known of random seeds: which were set, and whether before the first model was built."""

    seeded: list[str] = field(default_factory=list)
    """Of ``python``, ``numpy``, ``torch``."""
    used: list[str] = field(default_factory=list)
    """Generators whose state changed during the run."""
    torch_after_model: bool = False
    location: Location | None = None
    first_model_location: Location | None = None
    values: dict[str, int] = field(default_factory=dict)
    """The number with which each was seeded first."""


@frozen
class Plan:
    """What the learning pass found out about the training; trials act by it."""

    unit: str = "step"
    """``step`` or ``backward``: what one round of training is."""
    accumulation: int = 1
    """Backwards per optimizer step."""
    counted_steps: bool = False
    """The source takes the optimizer's step only at every n-th round of a counter (``if i % n == 0``)."""
    steps_beside_output: bool = False  # the condition under which it steps is that of what is printed
    loop_left: Location | None = None  # the loop whose last round alone reaches the backward, which stands behind it
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
    counting_loop: Location | None = None
    """The loop over epochs, or the only one over steps, where a ``range`` says how often it goes round."""
    counted: int = 0
    """How often it does."""
    count_written: Location | None = None
    """Where that number is written."""
    steps_per_epoch: int | None = None
    """Optimizer steps per pass over the data."""
    regimes: list[str] = field(default_factory=list)
    """gan, reinforcement, contrastive, finetune, second-order, closure, self-supervised, diffusion, compiled."""
    user_classes: list[str] = field(default_factory=list)


_KINDS = (
    ModuleInfo, RootInfo, ParameterInfo, OptimizerInfo, SchedulerInfo, LoaderInfo, Call, GraphCut, Broadcast, NonFinite,
    Seeding, Plan, RunInfo, Coverage, Experiment, TrialInfo, Probe, DatasetInfo, FeatureTable, Confusion,
)  # fmt: skip
RECORDS: dict[str, type[Any]] = {c.__name__: c for c in _KINDS}
