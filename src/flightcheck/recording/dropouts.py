"""Records of dropout at work in a training."""

from __future__ import annotations

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS, Location


@frozen
class DropoutUse:
    """A line that drops a share of what a trained layer made, in training: a module of PyTorch or a function."""

    location: Location | None
    """The line of the script that calls it."""
    p: float
    """The share that is dropped."""
    module: int = -1
    """Index of the dropout module that was called; -1 where a function was, or a module that is no model's."""
    inside: str = ""
    """Path of the module in whose forward pass the line stands; empty outside of models."""
    given_by: str = ""
    """Name of the autograd operation that made what is dropped; views, copies and casts are passed over."""
    alone: bool = False
    """A module was called that is no model's: the script calls its layers one by one."""
    calls: int = 0
    """Calls that were looked at."""
    on_predictions: int = 0
    """Those of them after which no parameter took part any more in the prediction that a loss was given."""
    loss_calls: int = 0
    """Predictions that were looked at, of the losses that were given such a one."""


@frozen
class HandmadeDropout:
    """A line that multiplies what a model computed with a random mask, and makes up for what is dropped by a constant,
    in a function that does not ask whether it runs in training.
    """

    location: Location


RECORDS["DropoutUse"] = DropoutUse
RECORDS["HandmadeDropout"] = HandmadeDropout
