"""P40: weights that are initialized again after they were trained, in each epoch or once and for good."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.recording.drawn_anew import DrawnAnew, ThrownBack
from flightcheck.recording.run import Run
from flightcheck.recording.tables import median


@check(
    "P40",
    "weights-drawn-anew",
    severity="error",
    evidence="X",
    needs=("parameters", "optimizers"),
    fix="Initialize the weights once, before the loop over the epochs.",
    patch="reinit:never",
)
class WeightsDrawnAnew(Check):
    """A line draws the weights of a model anew, in each epoch or before it is frozen: what was learned is lost.

    ## What it checks
    Which lines call an initialization (`torch.nn.init`, `reset_parameters`) on parameters that an optimizer has already
    stepped on, and when: most of its matrices, at least twice, once per pass over the data or more often. Or once, and
    the matrices hold to the end what was drawn, to the bit, while a model that holds them is called in the training of
    others: it was pretrained, and its frozen part is random.

    Or a model in training is given the weights of another one that is called as often as it is trained and never
    changes, twice or more: a target network that was to be given the trained weights, and gives its own instead.
    ## Why it matters
    Each epoch begins from nothing, so that the training never gets farther than one epoch. A frozen encoder whose
    weights were drawn anew gives random features.
    ## How to fix
    Call the initialization once: not in the function that trains one epoch, nor on a model that holds a trained part.
    `target.load_state_dict(online.state_dict())`: the target network takes the weights of the one that is trained.
    ## Source
    PyTorch forum, "loss starts from the same value in every epoch". The rule is our own.
    ## Known false alarms
    Cross-validation that resets one model for each fold, and ensembles: with several epochs between two resets they are
    not reported, nor are several starts, each with a new optimizer, of which a state is kept. Single layers that are
    reset on purpose (a head, dead units) are not either. A control with random features, made of the trained model
    itself, is told. A champion to which a challenger is reset is called in matches, and not in every step.
    """

    times = Param(2, "a single reset begins another stage, the second one shows that it is the loop's")
    share = Param(0.5, "of the matrices that an optimizer holds: fewer are a part that is reset on purpose")
    layers = Param(2, "matrices that stay as drawn: a single one may be a head that is tried at random on purpose")
    calls = Param(8, "of a model that holds them, in training since: the rounds of one learning pass")
    used = Param(0.5, "calls, for each step, of the model that gives its weights: what trains the other one")
    passes = Param(1.5, "passes over the data between two resets: folds and restarts have several")

    def __call__(self, run: Run) -> Iterator[Finding]:
        drawn = run.recorded(DrawnAnew)
        if not any(o.steps for o in run.optimizers):
            raise NotApplicable("no optimizer stepped")
        for back in run.recorded(ThrownBack):
            if self._goes_on(run, back):
                yield _thrown_back(back)
                return
        for line in drawn:
            if lost := self._lost(run, line):
                yield lost
                return
            if _are_starts(run, line):
                continue
            for optimizer in run.optimizers:
                held = {p.index for p in run.parameters if p.role == "matrix" and optimizer.index in p.optimizers}
                if not held or len(held.intersection(line.parameters)) < self.share.value * len(held):
                    continue
                if len(line.rounds) < self.times.value:
                    raise NotEnoughEvidence("the weights were drawn anew once")
                gap = median(np.diff([0, *line.rounds]))
                length = run.plan.steps_per_epoch
                if length is None:
                    raise NotEnoughEvidence("steps per epoch are unknown")
                if gap <= self.passes.value * length:
                    yield self._finding(line, gap, sorted(held.intersection(line.parameters)))
                    return

    def _goes_on(self, run: Run, back: ThrownBack) -> bool:
        """The same optimizers go on with a model that is given weights which are learned from in each step."""
        if len(back.rounds) < self.times.value:
            return False
        ours = set(back.parameters)
        holders = [o for o in run.optimizers if ours.intersection(o.parameters)]
        anew = any(o.created_at_step >= back.rounds[0] or o.state_restarts for o in holders)
        steps = back.rounds[-1] - back.rounds[0]
        return bool(holders) and not anew and back.calls_between >= self.used.value * steps > 0

    def _lost(self, run: Run, line: DrawnAnew) -> Finding | None:
        """The finding of a trained part that was drawn anew and then left at random, while others were trained."""
        matrices = [p for p in run.parameters if p.index in line.as_drawn and p.role == "matrix"]
        beside = {o for p in matrices for o in p.optimizers}
        held = [p for p in run.parameters if p.role == "matrix" and beside.intersection(p.optimizers)]
        if len(matrices) < self.layers.value or len(matrices) < self.share.value * len(held):
            return None
        if min(line.calls_since, run.info.steps - line.rounds[-1]) < self.calls.value:
            return None
        return Finding(
            f"This draws {len(matrices)} weight matrices anew that were trained before ({line.rounds[-1]} steps), and "
            f"nothing trains them again: the model is called at least {line.calls_since} times with random ones.",
            location=line.location,
            fix="Leave the part that was trained as it is: initialize the new layers alone.",
            evidence={"matrices": len(matrices), "steps_before": line.rounds[-1], "calls_since": line.calls_since},
            onset_step=line.rounds[-1],
            parameters=tuple(p.index for p in matrices),
        )

    @staticmethod
    def _finding(line: DrawnAnew, gap: float, parameters: list[int]) -> Finding:
        return Finding(
            f"This draws {len(parameters)} weight matrices anew after every {gap:.0f} steps of training "
            f"({len(line.rounds)} times so far): what was learned before is lost.",
            location=line.location,
            evidence={"times": len(line.rounds), "steps_between": gap, "matrices": len(parameters)},
            onset_step=line.rounds[0],
            parameters=tuple(parameters),
        )


def _thrown_back(back: ThrownBack) -> Finding:
    return Finding(
        f"This gives the model in training the weights of another one that was never changed ({len(back.rounds)} times "
        "so far): what was learned before is lost, and the other one never follows.",
        location=back.location,
        patch="load:turned",
        fix="The other way round: target.load_state_dict(online.state_dict()).",
        evidence={"times": len(back.rounds), "calls_between": back.calls_between},
        onset_step=back.rounds[0],
        parameters=tuple(back.parameters),
    )


def _are_starts(run: Run, line: DrawnAnew) -> bool:
    """Several starts, each with an optimizer of its own, of which a state is kept: the best one's."""
    drawn = set(line.parameters)
    restarts = max((o.state_restarts for o in run.optimizers if drawn.intersection(o.parameters)), default=0)
    return restarts >= len(line.rounds) and any(k.kept_at for k in run.kept_states)
