"""Records of what models were called on: batches, and phases of evaluation."""

from __future__ import annotations

from dataclasses import field

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS, Location


@frozen
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
    made_float: Location | None = None
    """Where they were made floating point, if `origin` made them bytes."""
    request: Location | None = None
    """The line that calls the user's own function in which `origin` lies, the outermost of nested ones."""
    made_at: Location | None = None
    """The innermost of these calls, where no loop goes round it."""
    given_as: list[str] = field(default_factory=list)
    """Of an evaluation: the arguments of the calls that led to that line, as written, the innermost first."""
    order_origin: Location | None = None
    """Where the source decides which examples the batch holds (the index), for batches that are picked by hand."""
    orders: list[Location] = field(default_factory=list)
    """That line and those before it that shuffle, sort or pick, on the way back from the batch."""
    first_module: str = ""
    """Kind of the first module with parameters that the root calls: linear, conv, embedding, norm, …"""
    leading: int | None = None
    """Of whole numbers: the value that stands first *and* second in every row, None if there is none."""
    begins: int | None = None
    """Of whole numbers: the value that stands first in every row, of two or more; None if there is none."""
    padding: float | None = None
    """Of whole numbers: share that belongs to runs of one value at the ends of rows."""
    commonest: int | None = None
    """Of whole numbers: the one at most places between the ends of the rows."""
    common_share: float = 0.0
    """Its share of these places."""
    source: int = -1
    """Number of the dataset (`DatasetInfo.source`) whose loader was asked for a batch just before, -1 without one."""
    rows: list[int] = field(default_factory=list)
    """Hashes of the first rows of the call's first tensor (at most 256), 0 for a row of one value only."""
    alike_blanks: int = 0
    """Of those rows of one value only, how many hold the most frequent of these values."""
    quantiles: list[float] = field(default_factory=list)
    """The 1, 5, 25, 50, 75, 95 and 99 % quantiles of the values of the call's first tensor."""
    feature_means: list[float] = field(default_factory=list)
    """Means of at most 64 features (last dimension, channel of images) of the call's first tensor."""
    feature_stds: list[float] = field(default_factory=list)
    colour_contrast: float | None = None
    """Of images with three channels: the correlation of the first with the second minus that of the second with the
    third. Scaling the channels leaves it as it is, and turning their order round changes its sign."""
    coarse: dict[str, float] = field(default_factory=dict)
    """Of a float32 feature whose neighbouring numbers lie more than 0.001 of its ``spread`` (standard deviation) apart:
    that ``spacing``, the ``feature``, how many ``distinct`` values it has, and which share of the values are ``odd``
    multiples of the spacing, so that no coarser numbers would hold them. Empty where there is none."""
    buffer: Location | None = None
    """Where the array was made into which the values were written element by element, where that line gives it no
    floating-point type but that of another array, or an integer type."""
    divisions: list[Location] = field(default_factory=list)
    """Lines that divide the data by a number, on the way back from the model: the last one first."""
    divided_by: list[float] = field(default_factory=list)
    """These numbers."""


@frozen
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
    """A line whose dropout was on although the root was in eval mode: called as a function, without a word on whether
    it is to be on (``training=True`` in the call is a word: Monte-Carlo dropout), or in a module that is no root's."""
    unheld_dropout: bool = False
    """That line's dropout is in a module that the root does not hold: made anew in its forward pass, or in a list."""
    flipped: int = 0
    """Calls of the same line in train mode, after a first one in eval mode."""
    loop_location: Location | None = None
    """The line that goes round, where `location` stands in a function that is called for each batch."""


@frozen
class OrderUse:
    """A line that puts examples in an order which another line made: ``x = x[order]``."""

    made: Location
    used: Location


@frozen
class IdRanks:
    """Token ids of one pass over the training data, or of one evaluation, that are ranks: no id is more frequent than
    the one before it, so slowly that chance does not explain it. The vocabulary was made by counting these very data.
    """

    root: int
    training: bool
    step: int
    first: int
    """The first id that is a rank; those before it are padding and the like."""
    distinct: int
    tokens: int
    digest: str
    """Hash of the relative counts: equal ones are the same data."""
    location: Location | None = None
    """Where the user's code made the ids."""


def begin_alike(one: str, other: str) -> bool:
    """Two sets begin with the same rows (the first, the first 2, 4, …), as far as their numbers tell: one may lack some
    of the other's later.
    """
    digests = [(a, b) for a, b in zip(one.split(), other.split(), strict=False) if a != "-" or b != "-"]
    return any(a == b for a, b in digests) or not digests


@frozen
class IdsByAppearance:
    """Token ids of an evaluation that are numbered in the order in which they first appear in its own texts."""

    root: int
    step: int
    first: int
    """The first such id; those before it are padding and the like."""
    distinct: int
    row: str
    """Digests of the first row, the first 2, 4, 8 and 16, as in `DataDigest.by_appearance`."""
    location: Location | None = None
    """Where the user's code made the ids."""


@frozen
class CategoryCounts:
    """How often each number of a column of whole numbers was looked up, in training or in one evaluation."""

    root: int
    argument: str
    column: int
    training: bool
    step: int
    counts: list[int]
    """By number, from 0 on."""
    location: Location | None = None
    """Where the numbers of an evaluation were made."""
    known: str = ""
    """The name of what the function called there made of other data before."""


@frozen
class AwaitedBatch(Batch):
    """A tensor of the script that a model is given behind the loop in which the watch ended: it was there by then.

    Its ``location`` is the line behind that loop.
    """

    name: str = ""
    """The variable."""
    left_out: Location | None = None
    """The line that puts the training's data on another scale, where these come from the same data and went neither
    through it nor through any other that changes numbers."""


RECORDS.update(
    {c.__name__: c for c in (AwaitedBatch, Batch, CategoryCounts, Evaluation, IdRanks, IdsByAppearance, OrderUse)}
)
