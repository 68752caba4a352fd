"""Records of what stands behind the inputs of a training: the datasets, and the features of a table."""

from __future__ import annotations

from dataclasses import field

from flightcheck.frozen import frozen


@frozen
class DatasetInfo:
    """What a DataLoader draws from, as far as attributes tell: none of the user's methods was called."""

    source: int
    """Number of this dataset as `Batch.source` gives it: one per line that builds a loader and dataset."""
    loader: int
    """Index of the loader's line."""
    type: str = ""
    examples: int | None = None
    sampler: str = ""
    sampler_weight_ratio: float | None = None
    """Largest over smallest weight of a weighted sampler."""
    workers: int = 0
    classes: dict[str, int] = field(default_factory=dict)
    """``class_to_idx`` of the dataset, of at most 1000 classes."""
    shared: int = -1
    """Number of the dataset below all subsets: two loaders with the same one share one object."""
    whole: bool = True
    """The loader draws from that dataset itself, not from a subset of it."""
    copied_generators: list[str] = field(default_factory=list)
    """Attributes with a random generator that the dataset uses when it gives an example: every worker process gets a
    copy of it, in every epoch the same one."""
    worker_init: bool = False
    """The loader has a ``worker_init_fn``."""
    same_worker_seed: bool = False
    """It seeds, without a look at the worker or at PyTorch's seed, a generator that the dataset draws from."""
    persistent: bool = False
    """The workers live on from epoch to epoch."""
    random_transforms: list[str] = field(default_factory=list)
    """Transforms of the dataset whose names say that they are random."""
    trained: bool = False
    """Its batches were trained on."""
    evaluated: bool = False
    """Its batches were fed to a model without a backward."""
    passes_compared: int = 0
    """Passes in a fixed order whose first batch was compared with that of the first pass."""
    inputs_changed: int = 0
    """Of these, how many gave other inputs together with the same targets."""
    targets_changed: int = 0
    batch_size: int | None = None
    pass_length: int | None = None
    """Batches of one pass."""
    last_batch: int | None = None
    """Examples in the last batch of a pass, where only the framework's own samplers decide that."""
    passes: int = 0
    """Passes that gave their last batch."""


@frozen
class FeatureTable:
    """The columns of a 2-D training input, over at most 2048 rows."""

    root: int
    argument: str
    rows: int
    distinct_rows: int
    features: int
    constant: list[int] = field(default_factory=list)
    """Columns with one value only, other than 0."""
    duplicates: list[list[int]] = field(default_factory=list)
    """Groups of columns that are equal in every row, and not constant."""
    binary: int = 0
    """Columns with two values."""
    targets: int = 0
    """Rows whose target is known: one number per row."""
    target_classes: int = 0
    """Different values of a whole-numbered target, 0 for other targets."""
    copies: list[int] = field(default_factory=list)
    """Columns that are the target up to scale and offset, to rounding; of a class target: one constant per class."""
    site: int = -1
    """The loss that told the targets."""


@frozen
class Confusion:
    """Predicted classes against target classes in one evaluation phase."""

    step: int
    counts: list[list[int]]
    """One row per class of one side of the comparison (where a loss was computed, of the targets), one column per
    class of the other."""
