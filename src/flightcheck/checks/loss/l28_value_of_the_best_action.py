"""L28: what a value function predicts is the value of its best action, not of the one that was taken."""

from __future__ import annotations

from collections.abc import Iterator

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.checks.depth import where
from flightcheck.recording.episode_ends import ValueTarget
from flightcheck.recording.run import Run

_MAXIMA = {"MaxBackward0", "AmaxBackward0"}


@check(
    "L28",
    "value-of-the-best-action",
    severity="error",
    evidence="X",
    needs=("ValueTarget",),
    fix="Take the value of the action that was taken: q(states).gather(1, actions.unsqueeze(1)).squeeze(1).",
)
class ValueOfTheBestAction(Check):
    """The reward of an action moves the value of another one: that which the network likes best.

    ## What it checks
    Losses whose target is a number plus an output of a model without a gradient, which something discounts or masks (a
    reward plus the value of the next state).
    Told if their prediction is the maximum over the outputs of a model in all calls seen.
    ## Why it matters
    A target belongs to the action after which the reward came. Given to the maximum, all rewards go to the action that
    is best by now, whatever was done: the values of the actions never part, and the policy stays what it was.
    ## How to fix
    Keep the actions in the replay memory and choose by them: `q(states).gather(1, actions)`. The maximum belongs into
    the target alone.
    ## Source
    Mnih et al. 2015, algorithm 1: the loss is that of Q(φ_j, a_j).
    ## Known false alarms
    An agent that takes the action whose value it moves, in the same pass: the place of the maximum is used, and
    nothing is told. The larger of two estimates (`torch.maximum`, `torch.max(a, b)`) is no maximum over outputs.
    """

    calls = Param(3, "of the loss, all of a maximum")

    def __call__(self, run: Run) -> Iterator[Finding]:
        targets = {t.site for t in run.recorded(ValueTarget) if t.calls >= self.calls.value}
        if not targets:
            raise NotApplicable("no target that holds a discounted value of a model was seen")
        few = True
        for site in run.loss_sites:
            calls = [c for c in run.training_calls() if c.site == site.index] if site.index in targets else []
            few &= len(calls) < self.calls.value
            if len(calls) < self.calls.value or any(c.input_op not in _MAXIMA for c in calls):
                continue
            yield Finding(
                f"In all of {len(calls)} calls, {site.function} in {where(site.location)} compares a target of a "
                "reward and a discounted value with the maximum over the outputs of the model: the reward of "
                "the action that was taken moves the value of the best one.",
                location=site.location,
                evidence={"calls": len(calls)},
                onset_step=calls[0].step,
            )
        if few:
            raise NotEnoughEvidence(f"fewer than {self.calls.value:.0f} calls of such a loss")
