"""What the learning pass found out, and when a check has seen enough."""

from __future__ import annotations

import ast
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from flightcheck.recording import provenance
from flightcheck.recording.fold_loops import FoldLoop
from flightcheck.recording.loop_ends import LoopEnd
from flightcheck.recording.picked_rows import IdleLoop
from flightcheck.recording.provenance.budgets import step_budget
from flightcheck.recording.provenance.folds import fold_loop_around
from flightcheck.recording.provenance.idle_loops import idle_batch_loop
from flightcheck.recording.provenance.leaving import inside_out, left_at_once, stopped_early
from flightcheck.recording.provenance.left_in_loop import left_in_loop
from flightcheck.recording.provenance.reversals import reverses_gradients
from flightcheck.recording.provenance.reversed_sums import reversed_sums
from flightcheck.recording.provenance.rounds import Rounds, rounds
from flightcheck.recording.provenance.shown_masks import masks_of_shown
from flightcheck.recording.provenance.statements import rebound_parameters
from flightcheck.recording.provenance.uncalled import uncalled
from flightcheck.recording.provenance.uncleared_sums import uncleared_sums
from flightcheck.recording.records import Coverage, Plan
from flightcheck.recording.reversed_sums import ReversedSum
from flightcheck.recording.shown_masks import ShownMask
from flightcheck.recording.surroundings import UncalledMethod
from flightcheck.recording.uncleared_sums import UnclearedSum
from flightcheck.recording.wiring import ReboundParameter

if TYPE_CHECKING:
    from flightcheck.adapters.torch.observer import TorchObserver
    from flightcheck.adapters.torch.optimizers import Held

_AFTER_EVALUATION: Final = 12
"""Training steps to see after an evaluation: was the model put back into training mode?"""
_SOME_APART: Final = 0.3
"""Of few passes one may be the first; of players against each other, half are of one of them."""
_SIGNS_OF_EVALUATION: Final = {"eval", "no_grad", "inference_mode", "evaluate", "validate", "validation_step"}


@dataclass
class Stopping:
    """Stops a check after enough steps, one evaluation and the thaws that are announced, or when its time is over."""

    steps: int
    seconds: float
    sources: Callable[[], list[str]] = list
    """Files of the user's code that may hold an evaluation."""
    waits_for_thaws: bool = False
    """Frozen parameters that the source is still to thaw are waited for."""
    in_step: bool = False
    """Several processes train together: only the number of steps may decide, or they would wait for each other."""
    to_the_end: float = 0.0
    """Seconds: a training that is over so soon is watched to its end, with the evaluations that stand behind it, but
    not into the next training of the script.
    """
    started: float = field(default_factory=time.monotonic)
    _evaluates: bool | None = None
    _until: float | None = None
    _phase: int | None = None
    _halfway: tuple[int, float] = (0, 0.0)
    """Steps and time when half of what is enough was seen: the first ones are slow."""

    def now(
        self,
        steps: int,
        evaluation_steps: list[int],
        awaited: Callable[[], bool] = lambda: False,
        planned: Callable[[], int | None] = lambda: None,
        stepping: Callable[[], int] = lambda: 0,
    ) -> bool:
        """Enough was seen after so many steps and these evaluations; `awaited` tells whether a thaw is to come,
        `planned` how many steps the source asks for, and `stepping` how many optimizers have stepped.
        """
        if self.in_step:
            return steps >= self.steps
        if time.monotonic() - self.started > self.seconds and steps >= 1:
            return True
        if steps < self.steps:
            if steps <= self.steps // 2:
                self._halfway = steps, time.monotonic()
            return False
        if evaluation_steps:
            evaluated = steps >= evaluation_steps[0] + _AFTER_EVALUATION
        else:
            evaluated = not self.evaluates
        if not evaluated or (self.waits_for_thaws and awaited()):
            return False
        if not self.to_the_end:
            return True
        if self._phase is None:
            self._phase = stepping()
        return self._phase < stepping() or self._is_far_from_its_end(steps, planned)

    def _is_far_from_its_end(self, steps: int, planned: Callable[[], int | None]) -> bool:
        """The steps that are left take longer than is waited for, by the time of those before; asked once."""
        now = time.monotonic()
        if self._until is None:
            total = planned()
            before, then = self._halfway
            left = (total - steps) * (now - then) / max(1, steps - before) if total is not None else math.inf
            self._until = now + 2 * self.to_the_end if left <= self.to_the_end else now
        return now >= self._until

    @property
    def evaluates(self) -> bool:
        """The sources name something that looks like an evaluation."""
        if self._evaluates is None:
            self._evaluates = any(_evaluates(f) for f in self.sources())
        return self._evaluates


def _evaluates(file: str) -> bool:
    try:
        tree = ast.parse(Path(file).read_text(errors="replace"))
    except (OSError, SyntaxError, ValueError):
        return False
    names = {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
    names |= {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    return bool(names & _SIGNS_OF_EVALUATION)


@dataclass(frozen=True)
class _Source:
    """What the script's text says of the loops around a backward."""

    epochs: int | None = None
    rounds: int | None = None
    left: tuple[str, int] | None = None
    counting: Rounds | None = None


@lru_cache(maxsize=64)
def _source(file: str, line: int) -> _Source:
    """Read once: the plan is written every few seconds, and the text that runs does not change."""
    left = left_in_loop(file, line)
    if (budget := step_budget(file, line)) is not None:
        return _Source(None, budget.rounds, left)
    counts = provenance.loop_count(file, line, {}), provenance.round_count(file, line)
    return _Source(*counts, left, rounds(file, line))


_in_every_nth_round = lru_cache(maxsize=64)(provenance.in_every_nth_round)
_beside_output = lru_cache(maxsize=64)(provenance.beside_output)


def plan_of(observer: TorchObserver) -> Plan:
    """The plan as far as it is known at the end."""
    roots = [r.info.index for r in observer.discovery.roots.values() if r.train_calls]
    stepping = [h for h in observer.optimizers.held if h.steps]
    most = max((h.steps for h in stepping), default=0)
    backward = max(observer.protocol.backward_sites.items(), key=lambda i: i[1], default=(None, 0))[0]
    trained = [i for i in observer.loaders.infos if i.used_in_training]
    batch_location = trained[0].location if trained else None
    observer.losses.save()
    losses = [s for s in observer.losses.sites if s.train_calls]
    source = _source(backward.file, backward.line) if backward is not None else _Source()
    accumulation = round(observer.protocol.backwards / most) if most and len(stepping) == 1 else 1
    steps = [h.step_location for h in stepping if h.step_location is not None]
    per_epoch = trained[0].length if trained else None
    if per_epoch is not None and accumulation > 1:
        per_epoch = -(-per_epoch // accumulation)
    return Plan(
        unit="step" if most else "backward",
        accumulation=max(1, accumulation),
        counted_steps=any(_in_every_nth_round(s.file, s.line) for s in steps),
        steps_beside_output=any(_beside_output(s.file, s.line) for s in steps),
        loop_left=observer.lines.of(*source.left) if source.left is not None else None,
        roots=roots,
        loss_sites=[s.index for s in losses],
        batch_source="loader" if trained else "inputs" if roots else "",
        batch_location=batch_location,
        loss_location=losses[0].location if losses else observer.loss_line,
        backward_location=backward,
        epochs=source.epochs,
        rounds=source.rounds,
        counting_loop=observer.lines.of(*source.counting.loop) if source.counting is not None else None,
        counted=source.counting.count if source.counting is not None else 0,
        count_written=observer.lines.of(*source.counting.number) if source.counting is not None else None,
        steps_per_epoch=per_epoch or observer.protocol.epochs.steps,
        regimes=sorted(regimes_of(observer)),
    )


def planned_steps(observer: TorchObserver) -> int | None:
    """Optimizer steps that the loops of the source ask for; None where their numbers are not known."""
    plan = plan_of(observer)
    rounds = plan.rounds or (plan.epochs or 0) * (plan.steps_per_epoch or 0)
    return rounds or None


def rebound_of(observer: TorchObserver) -> list[ReboundParameter]:
    """Statements around the backward passes that are to update parameters and only rename them."""
    files = sorted({s.file for s in observer.protocol.backward_sites if s is not None})
    return [ReboundParameter(n, observer.lines.of(f, line)) for f in files for n, line in rebound_parameters(f)]


def uncalled_of(observer: TorchObserver) -> list[UncalledMethod]:
    """Statements of the script and of the files of its models that name a method and do not call it."""
    found = ((file, name, line) for file in _files(observer) for name, line in uncalled(file))
    return [UncalledMethod(name, observer.lines.of(file, line)) for file, name, line in found]


def _files(observer: TorchObserver) -> list[str]:
    """Those of the script and of its models."""
    lines = [*observer.protocol.backward_sites, *(h.step_location for h in observer.optimizers.held)]
    return sorted({*observer.discovery.files(), *(line.file for line in lines if line is not None)})


def shown_masks_of(observer: TorchObserver) -> list[ShownMask]:
    """Masks that choose both what a model is given and what its loss counts."""
    lines, found = observer.lines, []
    for line in observer.protocol.backward_sites:
        shown = masks_of_shown(line.file, line.line) if line is not None else None
        if line is not None and shown is not None:
            file = line.file
            found.append(ShownMask(lines.of(file, shown.line), shown.name, lines.of(file, shown.call)))
    return found[:1]


def uncleared_sums_of(observer: TorchObserver) -> list[UnclearedSum]:
    """Sums that go on over the rounds of an outer loop, in the same files."""
    lines, found = observer.lines, []
    for file in _files(observer):
        for s in uncleared_sums(file):
            cleared, added, loop, used = (lines.of(file, n) for n in (s.cleared, s.line, s.loop, s.used))
            found.append(UnclearedSum(cleared, s.name, added, loop, used, s.averaged))
    return found


def reversed_sums_of(observer: TorchObserver) -> list[ReversedSum]:
    """Sums from the last step to the first that are kept in that order, in the same files."""
    return [ReversedSum(observer.lines.of(file, line)) for file in _files(observer) for line in reversed_sums(file)]


def idle_loops_of(observer: TorchObserver) -> list[IdleLoop]:
    """Loops over the starts of batches whose steps do not use them."""
    found = []
    for line in observer.protocol.backward_sites:
        loop = idle_batch_loop(line.file, line.line) if line is not None else None
        if line is not None and loop is not None:
            cut = observer.lines.of(line.file, loop.cuts[0]) if loop.cuts else None
            found.append(IdleLoop(observer.lines.of(line.file, loop.line), loop.variable, loop.size, cut))
    return found[:1]


def loop_ends_of(observer: TorchObserver) -> list[LoopEnd]:
    """The statements that leave a loop around the backward pass: in its first round, or by an early stop."""
    backward = max(observer.protocol.backward_sites.items(), key=lambda i: i[1], default=(None, 0))[0]
    if backward is None:
        return []
    lines, ends = observer.lines, []
    for kind, found in (("at-once", left_at_once), ("early", stopped_early), ("inside-out", inside_out)):
        if (left := found(backward.file, backward.line)) is not None:
            where, loop = lines.of(left.file, left.line), lines.of(left.file, left.loop)
            ends.append(LoopEnd(kind, where, loop, left.word, left.rounds))
    return ends


def fold_loops_of(observer: TorchObserver) -> list[FoldLoop]:
    """Loops over the folds of a cross-validation whose rounds go on with the model of the one before."""
    found = []
    roots = list(observer.discovery.roots.values())
    for line in observer.protocol.backward_sites:
        for root in roots:
            made = root.info.location
            if sum(r.info.location == made for r in roots) > 1:
                continue  # the line made several
            if line is None or made is None or made.file != line.file or not root.train_calls:
                continue
            loop = fold_loop_around(line.file, line.line, made.line)
            if loop is not None:
                found.append(FoldLoop(root.info.index, observer.lines.of(line.file, loop)))
    return found


def coverage_of(observer: TorchObserver) -> Coverage:
    """What was observed, and what was not."""
    trained = {r.info.index for r in observer.discovery.roots.values() if r.trainable}
    leaves = [m for m in observer.discovery.modules.values() if m.leaf and m.root in trained]
    seen = sum(m.index in observer.activations.seen for m in leaves)
    blind = []
    if observer.watch.compiled:
        blind.append("activations: the model was compiled, so hooks do not fire")
    elif leaves and not seen and observer.steps:
        blind.append("activations: no hook fired in a sampled step")
    if observer.discovery.sharded:
        blind.append("parameters: they are spread over processes; of each, the part that this one holds is measured")
    blind += observer.watch.elsewhere()
    if observer.arrivals.not_sent:
        blind.append(f"{observer.arrivals.not_sent} looks at the graphics card, which was too far behind")
    if observer.watch.errors:
        blind.append(f"{len(observer.watch.errors)} errors of Flightcheck itself, first: {observer.watch.errors[0]}")
    watched = observer.budget.rounds
    return Coverage(
        modules=len(leaves),
        modules_seen=seen,
        sampled_steps=observer.budget.sampled_rounds,
        steps=observer.steps,
        every=watched / max(1, observer.budget.sampled_rounds),
        cadence=observer.budget.cadence(),
        without_kernel=observer.statistics.without_kernel,
        blind=blind,
    )


def regimes_of(observer: TorchObserver) -> set[str]:
    """Ways of training that change what is normal (catalogue section 4), by what was seen and never by names alone."""
    import sys

    found: set[str] = set()
    stepping = [h for h in observer.optimizers.held if h.steps]
    roots = [r for r in observer.discovery.roots.values() if r.train_calls]
    together = [h for h in stepping if any(h is not o and _overlap(h, o) for o in stepping)]
    apart = len(together) > 1 and not set.intersection(*(set(h.indices) for h in together))
    if apart and len(roots) > 1 and _have_losses_of_their_own(observer, together):
        found.add("gan")
    if any(h.closure for h in stepping):
        found.add("closure")
    if any(r.info.loaded for r in roots) or any(
        not p.requires_grad for r in roots for p in (observer.discovery.parameters[i] for i in r.parameter_indices)
    ):
        found.add("finetune")
    if observer.protocol.grads_called:
        found.add("second-order")
    if {"gym", "gymnasium", "pettingzoo", "dm_env"} & set(sys.modules) or observer.operations.agents.found:
        found.add("reinforcement")
    if observer.watch.compiled:
        found.add("compiled")
    if not any(s.train_calls for s in observer.losses.sites):
        found.add("own-loss")
        lines = [*observer.protocol.backward_sites, *(r.info.call_location for r in roots)]
        files = {line.file for line in lines if line is not None}
        if any(map(reverses_gradients, files | set(observer.discovery.files()))):
            found.add("gan")  # both players in one loss, and nothing else in it
    return found


def _have_losses_of_their_own(observer: TorchObserver, together: list[Held]) -> bool:
    """Backward passes reach some of the optimizers and not the others: no one loss is that of all, as it is of an
    encoder and a decoder with an optimizer each. Of the first pass the optimizers were not known yet.
    """
    names = {h.info.index for h in together}
    passes = [(reached & names, n) for reached, n in observer.protocol.reached.items() if reached & names]
    apart = sum(n for reached, n in passes if reached != names)
    return not passes or apart > _SOME_APART * sum(n for _, n in passes)


def _overlap(one: Held, other: Held) -> bool:
    """They step in the same part of the training, not one after the other."""
    return one.first_step < other.last_step and other.first_step < one.last_step
