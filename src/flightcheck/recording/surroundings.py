"""Records of what lies around a training: what it costs, how its results are counted."""

from __future__ import annotations

from dataclasses import field

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS, Location


@frozen
class Resources:
    """What the rounds of a training waited for, and what they left behind."""

    graphs: int = 0
    """Losses on which backward was called and whose graphs were followed."""
    graphs_kept: int = 0
    """The most of them that were still held by the script at one time, those of the last rounds left out."""
    graphs_kept_location: Location | None = None
    """The line that holds them, or the line of the backward."""
    batches: int = 0
    """Batches taken from DataLoaders, the first left out."""
    batch_seconds: float = 0.0
    """Time spent waiting for them."""
    seconds: float = 0.0
    """Time from the first to the last of them, without that of our own code."""


@frozen
class Comparison:
    """A line that compares two tensors, or the model's output with a number, or leads to such a comparison."""

    operation: str
    """``==``, ``!=``, ``>``, ``>=``, ``<`` or ``<=``; ``round``; ``argmax`` (also a maximum) and ``sigmoid`` of the
    output; ``-`` or the name of a loss function, or of one of scikit-learn: of output and data, without gradients."""
    location: Location | None
    step: int = 0
    calls: int = 1
    left_shape: list[int] = field(default_factory=list)
    right_shape: list[int] = field(default_factory=list)
    same_data: bool = False
    """Both sides are views of one tensor: all pairs on purpose."""
    counting: bool = False
    """One side is 0, 1, 2 …: a table of class numbers on purpose."""
    threshold: float | None = None
    """The number with which the output, as the model returned it, was compared."""
    minimum: float | None = None
    maximum: float | None = None
    whole: list[float] = field(default_factory=list)
    """Of two sides of equal shape: the share of whole numbers in each, the largest over the calls."""
    made: list[float] = field(default_factory=list)
    """Of a difference of equal shapes: mean and standard deviation of the model's side, in the latest call …"""
    data: list[float] = field(default_factory=list)
    """… and of the other one."""
    made_first: bool = False
    """Of a function of scikit-learn: the model's side was given first."""
    axis_size: int = 0
    """The size of the axis over which ``argmax`` chose, the largest over the calls. Of a function of scikit-learn that
    asks how scores order the examples: how many different scores it was given, from `minimum` to `maximum`."""
    used_location: Location | None = None
    """The line of the comparison, where `location` is the line that made one side of it. With a threshold: the line
    that called the model, where the comparison is known by the source only."""


@frozen
class Environment:
    """Of which code and in which surroundings a run was made: enough to make it again."""

    python: str = ""
    platform: str = ""
    packages: dict[str, str] = field(default_factory=dict)
    """Versions of the packages that decide the numbers."""
    variables: dict[str, str] = field(default_factory=dict)
    """Environment variables that change the numbers; no others."""
    pinned_by: str = ""
    """The file beside or above the script that names exact versions; empty if there is none."""
    repository: bool = False
    """The script lies in a git repository."""
    commit: str = ""
    script: str = ""
    """``unchanged``, ``changed`` or ``untracked`` against git's index; empty if that could not be read."""


@frozen
class Setting:
    """A number that the script declares for its training, as a parser returned it or a configuration holds it."""

    name: str
    sets: str
    """lr, batch_size, weight_decay, momentum, dropout or epochs."""
    value: float
    kind: str
    """argparse, dataclass or dict."""
    location: Location | None = None
    """The line that declares it, where there is only one."""
    taken: bool = True
    """A line of the script may use it for something else than to show it."""


@frozen
class Numerics:
    """How the numbers were computed: device, precision, and the switches that change results."""

    device: str = ""
    autocast: str = ""
    """Type of automatic mixed precision in which a model was called; empty without."""
    default_dtype: str = ""
    matmul_precision: str = ""
    tf32_convolutions: bool | None = None
    cudnn_benchmark: bool | None = None
    deterministic: bool = False
    threads: int = 0
    cuda: str = ""


@frozen
class Packages:
    """The distributions that are installed where the run was made."""

    installed: dict[str, str] = field(default_factory=dict)
    """Version by name, as their metadata's folders are named."""
    imported: list[str] = field(default_factory=list)
    """Those of which the process had imported a module when the run ended."""


@frozen
class SourceFile:
    """A file of the user's code, as it was when the run used it."""

    path: str
    """Relative to the script's folder, where it lies in it."""
    digest: str
    """SHA-256 of its bytes."""
    text: str = ""
    """Without what looks like a secret; empty where the file is too large."""
    main: bool = False
    """It is the script."""
    late: bool = False
    """It was written after the run began: it may not be what ran."""


@frozen
class UncalledMethod:
    """A statement of the user's code that names a method and does not call it: ``model.eval``."""

    name: str
    """eval, train, zero_grad, step or backward."""
    location: Location | None


RECORDS.update(
    {
        c.__name__: c
        for c in (Resources, Comparison, Environment, Setting, Numerics, Packages, SourceFile, UncalledMethod)
    }
)
