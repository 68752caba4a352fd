"""Record of two models of which one judges what the other makes."""

from __future__ import annotations

from dataclasses import field

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS, Location


@frozen
class Opponents:
    """How the loss of each of two models, each with an optimizer of its own, pushes the outputs of the judging one.

    Counts are pairs: elements of the output whose gradient is positive, and whose gradient is negative, over all steps
    that were looked at. A step follows the negative gradient.
    """

    judge: int
    """Index of the root whose outputs are pushed."""
    maker: int
    """Index of the root whose outputs it was given."""
    judge_steps: int = 0
    """Steps of the judge's optimizer behind a push of its outputs on what the maker made."""
    maker_steps: int = 0
    made_by_judge: list[int] = field(default_factory=lambda: [0, 0])
    """On what the maker made, before steps of the judge."""
    others_by_judge: list[int] = field(default_factory=lambda: [0, 0])
    """On other inputs that want no gradient, before steps of the judge."""
    made_by_maker: list[int] = field(default_factory=lambda: [0, 0])
    """On what the maker made, before steps of the maker."""
    joint_steps: int = 0
    """Steps of an optimizer that holds parameters of both, behind a push of the judge's outputs on what was made."""
    made_by_joint: list[int] = field(default_factory=lambda: [0, 0])
    """On what the maker made, before such steps."""
    labelled: int = 0
    """Calls of the judge, before steps of the maker, in which both were given one set of labels."""
    other_labels: int = 0
    """Those of them in which the judge's were others than those that the maker was given."""
    judged_location: Location | None = None
    """The line of the last such call."""
    made_by: str = ""
    """The operation that made the maker's outputs: ``tanh``, ``sigmoid``, …"""
    made_range: list[float] = field(default_factory=list)
    """The smallest and largest value of what it made, over the calls of the judge that were looked at."""
    others_range: list[float] = field(default_factory=list)
    """Of the judge's other inputs of this shape."""
    others: int = 0
    """Values of these inputs."""
    others_outside: int = 0
    """Those that lie outside of what this operation can give, by more than half of its range (of 1 where that has no
    end)."""
    maker_backward: int = -1
    """Number of the last backward before a step of the maker, as in `LossTerm.backward`."""


RECORDS[Opponents.__name__] = Opponents
