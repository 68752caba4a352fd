"""P27: averaged weights that do not follow the model, or are the model's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath
from typing import Final

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.checks.parameters._stand_ins import WITH_TRAINED_WEIGHTS, stand_ins
from flightcheck.recording.averages import WeightAverage
from flightcheck.recording.episode_ends import ValueTarget
from flightcheck.recording.records import Location
from flightcheck.recording.run import Run

_AGAIN: Final = 2
"""Evaluations of a copy that stands still: one may show what the training began with."""
_FOLLOWS: Final = "follow:25"
"""A target network that is brought up to date so often stands still for long enough to be aimed at, and not for longer
than a few hundred steps take."""


@check(
    "P27",
    "ema-or-averaging-wrong",
    severity="error",
    evidence="X",
    needs=("WeightAverage",),
    fix="Update the average after each optimizer.step(), from a copy of its own, with 1 / (1 - decay) well below the "
    "number of steps.",
)
class EmaOrAveragingWrong(Check):
    """A moving average of the weights never moves, lags behind the whole training, or is no copy.

    ## What it checks
    Copies of trained weights that no optimizer holds (`copy.deepcopy(model)`, `AveragedModel`, a dictionary of clones),
    found when they are made. Between two steps a moving average goes the same share of the way to the weights in every
    element; by that its updates are known, however they are written: how large they are, how often they come, and how
    much is left of the values with which it began.

    Reported are: an average that lies in the memory of the weights; one that never changes, where the line that is to
    update it changes a mere name or stands in a function that nothing calls (of a target network, which is called in
    the training steps: also a function that copies the weights into it); a target network of an agent that never
    changes, where no other line of the script copies anything into it, or only one behind a test (`step % 10_000 == 0`)
    that comes true after the end of its loop; one that keeps most of its first values
    through the whole planned training; one that is kept in 16 bits, so that its updates are lost in rounding.
    ## Why it matters
    What is evaluated or saved in the end is the average: weights of the beginning, or the last ones under another name.
    From a target network that stands still nothing is learned beyond one step: its values are those of random weights.
    ## How to fix
    `slow.lerp_(fast, 1 - decay)` in place, under `no_grad`, after each step, on a `deepcopy` or on clones in float32;
    a decay that rises from small values, or a smaller one, where steps are few.
    ## Source
    Izmailov et al. 2018 (averaging); Tarvainen and Valpola 2017 (a decay that suits the number of steps);
    timm's ModelEma and PyTorch's swa_utils.
    ## Known false alarms
    Teachers and target networks that are called in the training steps may lag on purpose and are not judged by how
    much is left. A copy that never changes is not reported by itself: it may be a reference; but it is where it alone
    is evaluated, twice or more, and in less than half of the steps. Averages that are
    new tensors at each update are not followed.
    """

    steps = Param(20, "an average that is updated once per epoch, after a delay, or every tenth step has begun by then")
    aimed = Param(100, "steps: a target network that is brought up to date at each hundredth is common")
    left = Param(0.5, "of the first values at the end: more of the beginning than of the training")
    whole = Param(0.999, "of the way at once: a copy that is brought up to date, and no average")
    stalled = Param(0.5, "of the elements in most updates: rounding has the last word")

    def __call__(self, run: Run) -> Iterator[Finding]:
        averages = run.recorded(WeightAverage)
        if not averages:
            raise NotApplicable("no copy of trained weights is kept beside them")
        long = [a for a in averages if a.shares_memory or a.rounds >= self.steps.value]
        if not long:
            raise NotEnoughEvidence(f"fewer than {self.steps.value:.0f} steps")
        moving = any(a.updates or a.other_changes for a in averages)
        for average in long:
            if average.shares_memory:
                yield self._no_copy(average)
            elif average.stalled is not None and average.stalled >= self.stalled.value:
                yield self._rounded(average)
            elif not average.updates and not average.other_changes and not moving:
                yield from (
                    list(self._never_updated(average))
                    or list(self._aimed_at_for_ever(run, average))
                    or self._evaluated_as_it_was(run, average)
                )
            elif average.updates and average.used != "training":
                yield from self._lagging(run, average)

    @staticmethod
    def _no_copy(average: WeightAverage) -> Finding:
        return Finding(
            "The average that is updated here lies in the memory of the weights that are trained: it is no copy, and "
            "averages nothing.",
            location=average.location,
            evidence={"updates": average.updates},
            fix="Begin the average with clones: {name: p.detach().clone() for name, p in model.named_parameters()}.",
        )

    @staticmethod
    def _rounded(average: WeightAverage) -> Finding:
        return Finding(
            f"The averaged weights are kept in {average.dtype}: an update leaves {average.stalled:.0%} of the elements "
            "as they are, because what it adds is less than their rounding.",
            location=average.location,
            evidence={"stalled": average.stalled, "updates": average.updates},
            fix="Keep the average in float32.",
        )

    @staticmethod
    def _never_updated(average: WeightAverage) -> Iterator[Finding]:
        line = average.idle_update
        if line is None:
            return
        told = (
            "this gives a name of the loop another value, and leaves the tensor as it was"
            if average.rebound
            else "nothing calls the function that updates it"
        )
        made = f" made in line {average.location.line}" if average.location else ""
        yield Finding(
            f"The copy of the weights{made} never changed in {average.rounds} steps: {told}.",
            location=line,
            evidence={"rounds": average.rounds, "rebound": average.rebound},
            patch=_made_to_follow(average, line),
            fix="slow.mul_(decay).add_(fast, alpha=1 - decay), in place and under no_grad."
            if average.rebound
            else "Call it once in so many steps: a target network follows the one that learns."
            if average.used == "training"
            else "Update the average after each optimizer.step().",
        )

    def _aimed_at_for_ever(self, run: Run, average: WeightAverage) -> Iterator[Finding]:
        """The values at which an agent aims are those of the weights with which it began."""
        if not average.follows_nowhere or average.rounds < self.aimed.value or not run.recorded(ValueTarget):
            return
        made = f" (line {average.location.line})" if average.unreached and average.location else ""
        other = "this test comes true after the end of its loop" if average.unreached else "no other line would do it"
        yield Finding(
            f"The target network{made} was never brought up to date in {average.rounds} steps, and {other}: rewards "
            "are added to the values of the weights before training.",
            location=average.unreached or average.location,
            evidence={"rounds": average.rounds},
            patch=_FOLLOWS,
            fix="Copy the weights again once in so many steps: target.load_state_dict(net.state_dict()).",
        )

    @staticmethod
    def _evaluated_as_it_was(run: Run, average: WeightAverage) -> Iterator[Finding]:
        """A copy is evaluated again and again, and the model that it was made of is not."""
        stand_in = next((s for s in stand_ins(run) if not s.made_late), None)
        if stand_in is None or average.used != "evaluation" or len({e.step for e in stand_in.evaluations}) < _AGAIN:
            return
        at = stand_in.evaluations[0].location
        made = f" made in line {average.location.line}" if average.location else ""
        yield Finding(
            f"What is evaluated here is the copy of the weights{made}, as they were then: it never changed in "
            f"{average.rounds} steps, and the model that is trained is not evaluated.",
            location=at,
            evidence={"rounds": average.rounds, "evaluations": len(stand_in.evaluations)},
            fix="Evaluate the model that is trained, or load its state into the copy before each evaluation.",
            patch=WITH_TRAINED_WEIGHTS,
        )

    def _lagging(self, run: Run, average: WeightAverage) -> Iterator[Finding]:
        steady = average.weights and max(average.weights) - min(average.weights) <= 0.05 * max(average.weights)
        if not steady or average.weights[-1] > self.whole.value:
            return
        weight, ahead = average.weights[-1], 0.0
        over = run.info.ended == "finished"
        if not over:
            epochs, length = run.plan.epochs, run.plan.steps_per_epoch
            planned = run.plan.rounds or (epochs * length if epochs and length else None)
            if planned is None or (average.gap is None and average.rounds < 3 * self.steps.value):
                return
            ahead = max(0.0, planned - average.last_update - 1) / (average.gap or average.rounds)
        left = average.left * (1.0 - weight) ** ahead
        if left < self.left.value:
            return
        made = f" (line {average.location.line})" if average.location and average.update_location else ""
        every = f"every {average.gap:.0f} steps" if average.gap and average.gap > 1 else "after each step"
        seldom = average.gap is not None and average.gap > 1
        yield Finding(
            f"The averaged weights go {weight:.2g} of the way to the model's, {every}: at the end of the training "
            f"{left:.0%} of them {'are' if over else 'will be'} the values with which they began{made}.",
            # Where it is called decides how often; the decay stands in the function.
            location=(average.update_call if seldom else None) or average.update_location or average.location,
            evidence={"weight": weight, "gap": average.gap, "left": left, "zeros": average.zeros},
            severity=None if average.used == "evaluation" or over else "warn",
            patch=WITH_TRAINED_WEIGHTS,
            fix="Update the average after each step."
            if seldom
            else "Take a smaller decay, or one that rises with the steps: min(decay, (1 + step) / (10 + step)).",
        )


def _made_to_follow(average: WeightAverage, line: Location) -> str:
    """What shows that a copy that never changed is the reason: its update, or the weights that it should be near."""
    if average.rebound:
        return f"source:in-place:{PurePath(line.file).name}:{line.line}"
    return _FOLLOWS if average.used == "training" else WITH_TRAINED_WEIGHTS
