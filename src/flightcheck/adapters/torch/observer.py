"""Hooks everything up, counts the rounds, and stops the script when enough was seen."""

from __future__ import annotations

import functools
import math
import os
import sys
import time
import weakref
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Final

import torch

from flightcheck.adapters.torch import saving, shards, wrappers
from flightcheck.adapters.torch.activations import Activations
from flightcheck.adapters.torch.ahead import look_ahead
from flightcheck.adapters.torch.arrivals import Arrivals
from flightcheck.adapters.torch.batchnorms import BatchNorms
from flightcheck.adapters.torch.budget import Budget
from flightcheck.adapters.torch.checkpoints import Checkpoints
from flightcheck.adapters.torch.discovery import Discovery
from flightcheck.adapters.torch.drawn_anew import DrawnAnew
from flightcheck.adapters.torch.forward import Forward
from flightcheck.adapters.torch.frames import is_of_torch
from flightcheck.adapters.torch.graph import NodeLines, leaves_of
from flightcheck.adapters.torch.loaders import Loaders
from flightcheck.adapters.torch.logged import Logged
from flightcheck.adapters.torch.loose_leaves import LooseLeaves
from flightcheck.adapters.torch.loss_values import LossValues
from flightcheck.adapters.torch.losses import Losses
from flightcheck.adapters.torch.nonfinite import NonFiniteOrigin
from flightcheck.adapters.torch.operations import Operations
from flightcheck.adapters.torch.optimizers import Held, Optimizers, Schedulers, rate_of
from flightcheck.adapters.torch.patches import Patches
from flightcheck.adapters.torch.piled_hooks import HookPiles
from flightcheck.adapters.torch.planning import Stopping, coverage_of, plan_of, planned_steps
from flightcheck.adapters.torch.protocol import Protocol
from flightcheck.adapters.torch.randomness import Randomness
from flightcheck.adapters.torch.replicas import Replicas
from flightcheck.adapters.torch.resources import ResourceUse
from flightcheck.adapters.torch.rested import Rested
from flightcheck.adapters.torch.restructuring import Restructuring
from flightcheck.adapters.torch.second_moments import MomentLooks
from flightcheck.adapters.torch.settings import Settings
from flightcheck.adapters.torch.source_lines import SourceLines
from flightcheck.adapters.torch.statistics import Statistics
from flightcheck.adapters.torch.stored_updates import StoredUpdates
from flightcheck.adapters.torch.system_use import SystemUse
from flightcheck.adapters.torch.thawed import ThawedParameters
from flightcheck.adapters.torch.watch import LEARNING_STEPS, Watch
from flightcheck.recording.records import Location
from flightcheck.recording.signals import LEARNING_RATE, LOSS, NOT_THERE
from flightcheck.recording.store import RunWriter

_MOST_PHASES: Final = 3
"""Learning passes after the first one: a script that builds optimizers for ever must not be learnt for ever."""
_HOOKS_EACH: Final = 512
"""Steps between looks at the hooks of parameters and modules, beside those after 1, 2, 4, 8, …"""
_UNSEEN: Final = 8e-6
_UNSEEN_CALL: Final = 1e-6
"""Seconds that our wrappers cost in a round outside of what they measure: together, and for each call of a module. Some
four times what they take in a loop of their own, since the training has pushed them out of the processor's caches."""


def _leave(observer: weakref.ref[TorchObserver]) -> None:
    """In a forked child: nothing is watched there, and PyTorch must not meet our function mode."""
    if (inherited := observer()) is not None:
        inherited.watch.on = False
        inherited.operations.suspend()


class StopTraining(BaseException):
    """Raised from a training step when enough was seen. Not an Exception: a script's ``except`` lets it pass."""


class TorchObserver:
    """Watches every PyTorch training of this process from `install` to `close`."""

    round_over: Callable[[int], None] | None = None
    """Told after every round how many there were; gradients still lie where they were."""
    _trying = False
    """A step with a closure runs: of the graphs that it tries none is history, and it needs the last alone."""

    def __init__(
        self,
        writer: RunWriter,
        *,
        script_folder: str = "",
        budget: float = 0.02,
        dense_steps: int = 0,
        longest_gap: int = 100,
        longest_gap_seconds: float = 0.0,
        dense_seconds: float = 0.0,
        stopping: Stopping | None = None,
        rank: tuple[int, int] = (0, 1),
    ) -> None:
        self.lines = SourceLines(script_folder)
        self.watch = watch = Watch(writer, self.lines)
        self.patches = Patches()
        self.discovery = Discovery(watch)
        self.operations = Operations(watch, self.discovery)
        self.checkpoints = Checkpoints(watch, self.discovery, self.operations)
        self.loose = LooseLeaves(watch, self.discovery)
        self.operations.gradient_read = self._gradient_read
        self.losses = Losses(watch, self.discovery, self.operations)
        self.loss_line: Location | None = None
        """The line of the last operation that made a value on which backward was called."""
        self.forward = Forward(watch, self.discovery, self.operations, self.losses)
        self.batchnorms = BatchNorms(watch, self.discovery)
        self.arrivals = Arrivals()
        self.loss = LossValues(watch, self.arrivals)
        self.activations = Activations(watch, self.discovery, self.forward, self.batchnorms, self.arrivals)
        self.optimizers = Optimizers(watch, self.discovery)
        self.schedulers = Schedulers(watch, self.discovery, self.optimizers)
        self.loaders = Loaders(watch, self.discovery, self.operations.tables)
        self.forward.inputs.source_of, self.forward.batch_passed = self.loaders.source, self.loaders.passed
        self.losses.scored = self.forward.evaluations.scored
        self.losses.answered = self._answered
        self.protocol = Protocol(watch, self.discovery, self.optimizers)
        self.statistics = Statistics(watch, self.discovery, self.arrivals)
        self.moments = MomentLooks(watch, self.discovery, self.arrivals)
        self.stored_updates, self.thawed = (
            StoredUpdates(watch, self.discovery), ThawedParameters(watch, self.optimizers)
        )  # fmt: skip
        self.resources, self.system = ResourceUse(watch), SystemUse(watch)
        self.drawn_anew, self.hook_piles = DrawnAnew(watch, self.discovery), HookPiles(watch, self.discovery)
        self.replicas = Replicas(watch, self.discovery, *rank)
        self.randomness = Randomness(watch)
        self.settings, self.logged = Settings(watch), Logged(watch)
        self.node_lines = NodeLines()
        self.non_finite = NonFiniteOrigin(watch, self.discovery, self.forward, self.operations, self.node_lines)
        self.budget = Budget(watch, budget, dense_steps, longest_gap, longest_gap_seconds, dense_seconds=dense_seconds)
        self.arrivals.alarm, self.arrivals.attempt = self.budget.alarm, watch.attempt
        self.rested, self.structure = Rested(self), Restructuring(watch, self.discovery)
        self.stopping = stopping
        self.optimizers.appeared = self.learn_again
        self._enough = self.watch.guarded(stopping.now) if stopping is not None else None
        self.steps = self.backwards_in_round = 0
        self._main: Held | None = None
        self._stepped: set[int] = set()
        """Optimizers that stepped in this round."""
        self.gradient_norm: float | None = None
        """Of this round, over all parameters of the optimizer that stepped last."""
        self._step_data: dict[int, dict[str, Any]] = {}
        self._last_site, self._started, self._saved = "", time.perf_counter(), 0.0
        self.rates: dict[int, float] = {}
        """Learning rates of the steps of this round."""
        self._learn_until, self._relearned = LEARNING_STEPS, 0

    # -- life ---------------------------------------------------------------------------------------------------

    def install(self) -> None:
        """Put every hook in. Call before the user's code is imported."""
        self.forward.called = self.checkpoints.called
        self.forward.evaluations.begins = self.batchnorms.evaluated
        wrappers.install(self)
        self.randomness.install(self.patches)
        self.operations.comparisons.scores.install(self.patches)
        self.drawn_anew.install(self.patches)
        self.operations.resume()
        os.register_at_fork(after_in_child=functools.partial(_leave, weakref.ref(self)))

    def close(self) -> None:
        """Write the rest and take every hook out; the script may be over, stopped, or broken."""
        try:
            self._finish()
        except Exception as e:
            self.watch.note_error("finish", e)
        finally:
            self.watch.on = False
            self.forward.look_at = None
            self.operations.suspend()
            self.logged.close()
            self.operations.comparisons.scores.close()
            self.patches.close()

    def error_location(self, traceback: TracebackType | None) -> Location | None:
        """The user's line of an exception."""
        return self.lines.in_traceback(traceback)

    def _answered(self, site: int, target: torch.Tensor) -> None:
        self.forward.inputs.features.answered(site, target)
        self.operations.tables.answered(target)
        self.operations.rows.fresh.answered(site, target, self.forward.last_inputs)

    def _gradient_read(self, tensor: torch.Tensor, by: FrameType) -> None:
        self.loose.care(tensor)
        self.protocol.gradients_read |= not is_of_torch(by)

    # -- backward -----------------------------------------------------------------------------------------------

    def before_backward(self, tensors: Any) -> tuple[torch.Tensor, list[int] | None, Location | None] | None:
        """``backward`` is called on `tensors`; what `after_backward` is to be told, None for nothing."""
        loss = tensors if isinstance(tensors, torch.Tensor) else next(iter(tensors or ()), None)
        if not isinstance(loss, torch.Tensor):
            return None
        if self.optimizers.steps_total == 0 and self.backwards_in_round:
            self.end_round()
        self.replicas.before_backward()
        value = self.loss.value(loss, self.protocol.scale)
        finite = math.isfinite(value)
        close = self.watch.learning or self.watch.sampled or not finite
        location = self.lines.here() if close else self.protocol.backward_location
        if close:
            self._last_site = str(location)
        self.forward_done()
        if not self.watch.learning and self.structure.changed() and self.learn_again():
            self.budget.alarm()
        self.loaders.trained()
        self.protocol.before_backward(self.resources.met_before(loss) if self.watch.learning else None)
        self.operations.by_hand.enter(loss)
        self.loss_line = self.loss_line or self.operations.lines.get(loss.grad_fn)
        if not finite and not self.non_finite.found:
            self.budget.alarm()
            self.non_finite.loss_is_not_finite(loss, self._last_site, location)
        return loss, self._reached(loss), location

    def forward_done(self) -> None:
        """Note the calls of models since the last backward: they were training."""
        self.structure.due |= bool(self.forward.evaluations.phases)
        for call in self.forward.training_resumes():
            self.structure.trained(call.root)
            call.root.train_calls += 1
            call.root.call_location = call.root.call_location or call.location
            self.loose.care(*(ref() for _, ref in call.inputs))
            self.protocol.record("forward", call.root.info.index, call.location, **call.data)

    def _reached(self, loss: torch.Tensor) -> list[int] | None:
        if not self.watch.learning:
            return None
        self.watch.guarded(shards.note_wholes)(self.discovery)
        self.discovery.refresh_roots()
        self.structure.learn()
        leaves = leaves_of(loss)
        reached = {i for leaf in leaves if (i := self.discovery.parameter_index(leaf)) is not None}
        reached |= self.forward.recomputed
        self.forward.recomputed.clear()
        self.loose.reached(loss, leaves, self.operations.lines)
        self.operations.draws.reached(loss, self.operations.lines, self.discovery.parameter_index)
        self.operations.softmaxes.reached(loss)
        self.operations.scores.similarities.reached(loss)
        self.operations.scores.pairs.reached(loss)
        self.operations.dropped.reached(loss)
        for index in reached:
            if not self.discovery.parameters[index].in_graph:
                self.discovery.update_parameter(index, in_graph=True)
        for held in self.optimizers.held:
            self.statistics.first_look(held.indices)
        for root in self.discovery.roots.values():
            self.statistics.first_look(root.parameter_indices)
            self.watch.guarded(self.forward.wiring.trained)(root)
        self.forward.flows.follow(loss)
        if loss.grad_fn is not None:
            scaled = self.protocol.scale if "Mul" in loss.grad_fn.name() else None
            self.operations.terms.write(loss, self.lines.here(), scaled, self.operations.lines)
            self.node_lines.learn(self._last_site, loss, self.operations.lines)
        return sorted(reached)

    def after_backward(self, loss: torch.Tensor, reached: list[int] | None, location: Location | None) -> None:
        """``backward`` returned."""
        self.backwards_in_round += 1
        self.resources.backward_done(loss, location, history=not self._trying)
        self.protocol.after_backward(location, self.loss.latest, reached, loss.grad_fn is None, self._last_site)
        for root in self.discovery.roots.values():
            if self.watch.learning:
                self.statistics.first_gradient(root.parameter_indices)
            if self.watch.sampled:
                self.statistics.foreign_gradients(root.parameter_indices)
        if self.watch.sampled or self.watch.learning:
            self.thawed.look()
        if self._trying:
            self.operations.forget_graph()

    def differentiated(self, inputs: Any = ()) -> None:
        """``torch.autograd.grad`` was called."""
        self.loose.care(inputs)
        self.operations.dropped.differentiated()
        self.protocol.grads_called += 1
        self.forward.training_resumes()
        if self.optimizers.steps_total == 0 and self.protocol.backwards == 0:
            self.end_round()

    # -- step ---------------------------------------------------------------------------------------------------

    def before_step(self, optimizer: Any, closure: bool) -> None:
        """An optimizer is about to change its parameters (for a closure: its gradients are made inside)."""
        held = self.optimizers.of(optimizer)
        held.depth += 1
        if held.depth > 1:
            return
        self._trying = closure
        held.closure |= closure
        if not (closure or self.operations.everything):
            self.operations.suspend()
        self.checkpoints.before_step(held)
        nonzero, norm = self.statistics.before_step(held)
        self.operations.clamped.before_step(held)
        if not closure:
            self.gradient_norm = norm if nonzero >= 0 else None
            if not math.isfinite(norm):
                self.budget.alarm()
                if self.loss.latest is None or math.isfinite(self.loss.latest):
                    self.non_finite.gradient_is_not_finite(held, self._last_site, self.protocol.backward_location)
        self._step_data[held.info.index] = self.protocol.before_step(held, nonzero, closure)
        if self.watch.sampled:
            self.stored_updates.before_step(held)

    def after_step(self, optimizer: Any) -> None:
        """An optimizer stepped. May raise `StopTraining`."""
        held = self.optimizers.of(optimizer)
        held.depth = max(0, held.depth - 1)
        if held.depth:
            return
        self._trying = False
        over = self.count_step(held, optimizer)
        self._look_at_step(held)
        if over:
            self.end_round()
        elif not self.operations.everything:
            self.operations.rest()  # until the backward of the next optimizer

    def count_step(self, held: Held, optimizer: Any) -> bool:
        """Note that an optimizer stepped, and its learning rate. True if the round is over."""
        index = held.info.index
        self.optimizers.stepped(optimizer, held)
        self.rates[index] = rate_of(optimizer)
        main = self._main
        if main is None or main.optimizer() is None:
            main = self._main = held
        if held is not main and index not in self._stepped:
            self._stepped.add(index)
            return False
        self._main = held
        self._stepped.clear()
        return True

    def _look_at_step(self, held: Held) -> None:
        close = self.watch.learning or self.watch.sampled or held.step_location is None
        location = self.lines.here() if close else held.step_location
        held.step_location = held.step_location or location
        self.statistics.after_step(held)
        if self.watch.learning:
            mine = set(held.indices)
            roots = [r.info.index for r in self.discovery.roots.values() if mine.intersection(r.parameter_indices)]
            self.forward.opposed.stepped(roots, self.operations.terms.backwards)
        if self.watch.sampled:
            self.moments.after_step(held)
        self.protocol.after_step(held, location, self._step_data.pop(held.info.index, {}))

    # -- rounds -------------------------------------------------------------------------------------------------

    def end_round(self) -> None:
        """One round of training is over: write it, decide about the next one."""
        self.loss.late.round_over()
        for level, seconds in self.arrivals.collect():
            self.budget.took_on_device(level, seconds)
        self._write_round()
        if not self.watch.resting:
            self.operations.end_round()
        self.steps += 1
        if self.steps.bit_count() == 1 or not self.steps % _HOOKS_EACH:
            self.watch.attempt("hooks", self.hook_piles.look)
            self.watch.attempt("schedulers", self.schedulers.find)
        self.backwards_in_round = 0
        self.budget.cheap = self.statistics.measures.one_pass
        if self.watch.sampled:
            self.budget.unseen = _UNSEEN + _UNSEEN_CALL * self.forward.calls
        self.forward.calls = 0  # of this round alone: rounds between two full ones have calls as well
        self.budget.on_processor = not torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
        if not self.watch.learning:
            self.structure.round_over()
        sampled = self.budget.end_round(self.rested.over())
        self.watch.step += 1
        self.watch.sampled = sampled
        self.rested.decide()
        if self.watch.learning and self.steps >= self._learn_until:
            self.watch.learning = False
            self.forward.opposed.forget()
            self.operations.rest()
        elif not (self.watch.learning or self.forward.evaluations.phases or self.watch.resting):
            self.operations.rest()
        if (sampled or self.watch.outputs) and not self.watch.compiled:
            self.activations.arm()
        now = time.perf_counter()
        if now - self._saved > 2.0:
            self._saved = now
            self._save_records()
            if not self.watch.learning:  # who reads it now, or after a kill, needs them to judge the rest
                self.watch.writer.put(plan_of(self))
                self.watch.writer.put(coverage_of(self))
        self.watch.writer.flush()
        if self.round_over is not None:
            self.round_over(self.steps)

    def learn_again(self) -> bool:
        """Another phase of the training has begun: another optimizer steps long after the first, or a model changed.
        False where it is learnt no more: it changes for ever.
        """
        self.watch.resting = False
        if self.watch.learning or self._relearned >= _MOST_PHASES:
            return False
        self._relearned += 1
        self._learn_until = self.steps + LEARNING_STEPS
        self.watch.learning = self.watch.may_wait = True
        self.operations.resume_everything()
        return True

    def keep_learning(self) -> None:
        """Look as closely in every round as in the first ones: for trials, whose time is not the user's."""
        self._learn_until = sys.maxsize

    def _write_round(self) -> None:
        writer, step = self.watch.writer, self.watch.step
        self.rested.write()
        if self.loss.latest is not None:
            writer.frame(LOSS, step, [self.loss.latest])
            self.loss.latest = None
        if self.rates:
            row = [self.rates.get(i, NOT_THERE) for i in range(len(self.optimizers.held))]
            writer.frame(LEARNING_RATE, step, row)
            self.rates.clear()
        if not self.watch.resting:
            self.activations.disarm()
        self.statistics.write(self.gradient_norm)
        self.gradient_norm = None

    def stop_if_enough(self, before_step: bool = False) -> None:
        """Raise `StopTraining` when enough was seen.

        After a backward it stops only a training without an optimizer: elsewhere the step must not be torn off.
        """
        if self._enough is None or not self.watch.mine() or (before_step and self.optimizers.steps_total):
            return
        awaited = functools.partial(self.thawed.awaited, self.lines.stack)
        planned = functools.partial(planned_steps, self)
        if self._enough(self.steps, self.forward.evaluations.steps, awaited, planned, self.optimizers.stepping):
            self.watch.guarded(look_ahead)(self.watch, self.discovery)
            raise StopTraining

    # -- the end ------------------------------------------------------------------------------------------------

    def _finish(self) -> None:
        attempt = self.watch.attempt
        attempt("finish", self.forward.training_resumes)
        attempt("finish", self.loss.late.send)
        attempt("finish", lambda: self.arrivals.collect(wait=True))
        attempt("finish", self.rested.write)
        if self.backwards_in_round:
            attempt("finish", self._write_round)
        attempt("finish", lambda: self.statistics.write(None))
        saving.save_all(self)

    def _save_records(self) -> None:
        saving.save_records(self)
