"""Records of tensors that a script updates by hand, without an optimizer."""

from __future__ import annotations

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS


@frozen
class KeptGradients:
    """What the gradients of such tensors were when the next backward began."""

    index: int = 0
    tensors: int = 0
    carried: int = 0
    """Rounds in which an update had changed them and the gradient it used was still there."""
    cleared: int = 0
    """Rounds in which an update had changed them and the gradient was gone, or zero."""


RECORDS["KeptGradients"] = KeptGradients
