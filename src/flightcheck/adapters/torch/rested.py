"""Rounds in which only the loss is read and, where the budget allows it, gradients and weights, in one call of the
kernel before the step: what the other collectors know of the training stays as it was.

Noting every call costs more than a short step may, and more than the numbers themselves do beside a long one. A round
is rested from the step before it to its own, so the collectors meet whole rounds only. A new optimizer, an evaluation,
a loss and a gradient that is not finite are noticed at once; what else is new, in the next round that is not rested.

The budget is asked for several rounds at once, and what they gave is written when they are over. The wrappers come here
before they go through `Watch.guarded`: everything in this file is of the watched thread only, books its time, and
raises nothing.
"""

from __future__ import annotations

import math
from threading import get_ident
from typing import TYPE_CHECKING, Any

import torch

from flightcheck.recording.signals import GRAD_NORM_TOTAL, LEARNING_RATE, LOSS, NOT_THERE

if TYPE_CHECKING:
    from flightcheck.adapters.torch.observer import TorchObserver
    from flightcheck.adapters.torch.optimizers import Held


class Rested:
    """What an observer does in such rounds."""

    def __init__(self, observer: TorchObserver) -> None:
        self.observer = observer
        self.watch = observer.watch
        self.optimizers = observer.optimizers
        self._left = 0
        """Rounds that are rested before the budget is asked again."""
        self._over = 0
        """Rounds that were, since it was."""
        self._stepping: Held | None = None
        """The optimizer that stepped last."""
        self._noted: list[tuple[int, float | None, dict[int, float], float | None]] = []
        """Of each of them: its step, loss, learning rates and norm of the gradients, to be written."""

    # -- whole rounds -------------------------------------------------------------------------------------------

    def decide(self) -> None:
        """The rounds that begin are rested if the budget asks for it and nothing speaks against it: something is
        learnt, recorded at every step or left over, or a step computes its loss inside.
        """
        o = self.observer
        o.watch.resting = o.budget.resting and not (
            o.watch.learning
            or o.watch.records_calls
            or o.stopping is not None
            or self._looks_closer()
            or any(held.closure or held.depth for held in o.optimizers.held)
        )
        if o.watch.resting:
            self._left = o.budget.rounds_at_rest
            o.operations.suspend()

    def _looks_closer(self) -> Any:
        """Something goes on that asks for more than the loss: an evaluation, averaged weights, perhaps a new layer."""
        o = self.observer
        return (
            o.structure.due
            or o.operations.everything
            or o.forward.evaluations.phases
            or o.forward.pending
            or o.checkpoints.averages.followed
        )

    def ask_again(self) -> None:
        """Let the budget decide after this round."""
        self._left = 0

    def over(self) -> int:
        """The rounds that the budget has not booked yet: those at rest, and the one that is over now."""
        rounds, self._over = self._over + 1, 0
        return rounds

    def write(self) -> None:
        """Hand over what was noted."""
        writer, known = self.watch.writer, len(self.optimizers.held)
        for step, loss, rates, norm in self._noted:
            if loss is not None:
                writer.frame(LOSS, step, [loss])
            if rates:
                writer.frame(LEARNING_RATE, step, [rates.get(i, NOT_THERE) for i in range(known)])
            if norm is not None:
                writer.frame(GRAD_NORM_TOTAL, step, [norm])
        self._noted.clear()

    # -- what happens in them -----------------------------------------------------------------------------------

    def backward(self, tensors: Any) -> bool:
        """``backward`` is called. False if that must be looked at after all, and the rest of the round with it."""
        o, watch = self.observer, self.watch
        clock = watch.clock  # which may be exchanged meanwhile
        start = clock()
        try:
            if not isinstance(tensors, torch.Tensor) or not math.isfinite(o.loss.value(tensors, o.protocol.scale)):
                watch.resting = False
                return False
            if o.forward.evaluations.phases or o.forward.pending:
                o.forward_done()
            o.resources.backward_done(tensors, o.protocol.backward_location)
            o.protocol.backwards += 1
            o.backwards_in_round += 1
        except Exception as e:
            watch.resting = False
            watch.note_error("rested.backward", e)
        watch.spent += clock() - start
        return watch.resting

    def before_step(self, optimizer: Any) -> bool:
        """An optimizer is about to step. False if it is another one than before, or has a gradient that is not finite:
        that must be looked at.
        """
        watch, held = self.watch, self.optimizers.known(optimizer)
        if held is None or get_ident() != watch.thread:
            return False
        if watch.norms and not held.depth and not self._gradients_finite(held):
            watch.resting = False
            return False
        held.depth += 1
        self._stepping = held
        return True

    def _gradients_finite(self, held: Held) -> bool:
        """Look at gradients and weights."""
        o, watch = self.observer, self.watch
        clock = watch.clock  # which may be exchanged meanwhile
        start = clock()
        try:
            nonzero, norm = o.statistics.at_rest(held)
            o.gradient_norm = norm if nonzero >= 0 else None
        except Exception as e:
            watch.note_error("rested.before_step", e)
            norm = 0.0
        watch.spent += clock() - start
        return math.isfinite(norm)

    def after_step(self, optimizer: Any) -> bool:
        """An optimizer stepped. False if it is another one than before."""
        o, watch = self.observer, self.watch
        held = self._stepping
        if held is None or held.optimizer() is not optimizer:
            held = self.optimizers.known(optimizer)
        if held is None or get_ident() != watch.thread:
            return False
        held.depth = max(0, held.depth - 1)
        if held.depth:
            return True
        clock = watch.clock  # which may be exchanged meanwhile
        start = clock()
        try:
            o.checkpoints.kept.steps += 1
            if watch.weights:
                o.statistics.after_step(held)
            if o.count_step(held, optimizer):
                self._end_round()
        except Exception as e:
            watch.note_error("rested.after_step", e)
        watch.spent += clock() - start
        return True

    def _end_round(self) -> None:
        o, watch = self.observer, self.watch
        if self._left <= 1 or self._looks_closer():
            o.end_round()
            return
        self._left -= 1
        self._over += 1
        self._noted.append((watch.step, o.loss.latest, o.rates, o.gradient_norm))
        o.loss.latest, o.rates, o.gradient_norm = None, {}, None
        o.steps += 1
        o.backwards_in_round = 0
        watch.step += 1
        if o.round_over is not None:
            o.round_over(o.steps)

    def batch(self, iterator: Any, seconds: float, now: float) -> bool:
        """A loader gave a batch after so many seconds. False if it must be looked at: the first or last of a pass."""
        o, watch = self.observer, self.watch
        try:
            if get_ident() != watch.thread:
                return False
            known = o.loaders.fetched_more(iterator)
            if not known:
                return known is None  # its pass began before we watched
            o.resources.waited(seconds, now)
        except Exception as e:
            watch.note_error("rested.batch", e)
        return True
