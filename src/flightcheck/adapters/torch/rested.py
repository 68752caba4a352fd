"""Rounds in which only the loss is read: what the other collectors know of the training stays as it was.

Beside short steps, noting every call would cost more than the step may. A round is rested from the step before it to
its own, so the collectors meet whole rounds only. A new optimizer, an evaluation and a loss that is not finite are
noticed at once; what else is new, in the next round that is not rested.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from flightcheck.adapters.torch.observer import TorchObserver


class Rested:
    """What an observer does in such rounds."""

    def __init__(self, observer: TorchObserver) -> None:
        self.observer = observer

    def decide(self) -> None:
        """The round that begins is rested if the budget asks for it, nothing is learnt, recorded at every step or left
        over, and no step computes its loss inside.
        """
        o = self.observer
        o.watch.resting = o.budget.resting and not (
            o.watch.learning
            or o.watch.records_calls
            or o.checkpoints.averages.followed
            or o.stopping is not None
            or o.operations.everything
            or o.forward.phases
            or o.forward.pending
            or any(held.closure or held.depth for held in o.optimizers.held)
        )
        if o.watch.resting:
            o.operations.suspend()

    def backward(self, tensors: Any) -> bool:
        """``backward`` is called. False if that must be looked at after all, and the rest of the round with it."""
        o = self.observer
        if not isinstance(tensors, torch.Tensor) or not math.isfinite(o.value(tensors)):
            o.watch.resting = False
            return False
        if o.forward.phases or o.forward.pending:
            o.forward_done()
        o.resources.backward_done(tensors, o.protocol.backward_location)
        o.protocol.backwards += 1
        o.backwards_in_round += 1
        return True
