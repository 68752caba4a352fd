"""L19: the training makes the loss larger on purpose of a sign."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import Final

import numpy as np

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, Severity, check
from flightcheck.checks.loss._own_signs import NEGATE, subtracted_penalty, turns
from flightcheck.recording.loss_records import LossTerm
from flightcheck.recording.opponents import Opponents
from flightcheck.recording.records import Location, OptimizerInfo
from flightcheck.recording.run import Run
from flightcheck.recording.signals import LOSS
from flightcheck.recording.tables import median

LIKELIHOOD = "LogSoftmaxBackward"

_SQUARES: Final = ("PowBackward", "AbsBackward")
_ERRORS: Final = ("mse_loss", "l1_loss")


@check(
    "L19",
    "ascent-not-descent",
    severity="error",
    evidence="X",
    needs=("loss_terms", "loss_calls"),
    fix="Hand the loss itself to backward, without the minus.",
    patch="loss:negate",
)
class AscentNotDescent(Check):
    """The steps climb the loss instead of descending it.

    ## What it checks
    The sign with which a loss function of PyTorch, or an error that the script squares itself, enters the value
    handed to `backward`, read from the graph, together with the optimizer's `maximize`. Reported if nothing but loss
    functions (and weight penalties) is in any backward of the run, all with the same wrong sign, and the loss rises.
    The log-probability of the labels, picked from `log_softmax` and handed to `backward` without a minus, is the same
    fault. Where nothing is known of the terms: a value that falls below zero, to more than a thousand times its size at
    the start, and ever faster. It has no lower bound, so its minimum is nowhere: a log-likelihood or a score without
    its minus.
    Of two models with an optimizer each, of which one judges what the other makes (GAN): the signs of the gradients
    that reach the judgements. Reported if the judge's loss pushes its outputs on what was made one way and those on
    other inputs the other way, and the maker's loss pushes the first the same way as the judge's: the maker is to look
    made.
    A penalty of weights (squares, sizes, norms) that the loss is reduced by, in all backward passes.
    And in trials, where the number that the script itself prints of its evaluations (or of its agent's episodes) gets
    no better: the sign of a loss that the script computes without any loss function, or of a term that subtracts
    squares or exponentials of what the model puts out. Reported if turned round that number is far better, by half of
    it, in each of three seeds.
    ## Why it matters
    The model learns to be as wrong as it can.
    ## How to fix
    Remove the minus (a negated metric?), or `maximize=True`; write the minus of a log-likelihood. A generator wants the
    label of real examples for what it makes: ones where the discriminator's step has zeros. A score of which more is
    better (Dice, a similarity, log-probability times return) enters as `1 - score` or `-score`.
    ## Source
    The flipped sign among the faults of TheDeepChecker (Ben Braiek and Khomh).
    ## Known false alarms
    Unlearning climbs on purpose: on weights that were loaded this is only information. Opponents (GAN, gradient
    reversal, adversarial examples) and policy gradients mix signs, terms or factors, and are not flagged. The negative
    log-likelihood of a density may go below zero, but by the logarithm of its width only. Rewards that have no bound
    and are maximized directly look like the fault.
    """

    calls = Param(6, "two calls at the start, two at the end, and two between them")
    rise = Param(0.0, "only the direction counts: the sign is exact, the rise rules out a sign that is meant")

    pushes = Param(4, "steps of each player; the sign is exact, and the first ones may be a warm-up")
    agree = Param(0.99, "share of elements pushed one way: losses with a target between the outputs push both ways")
    apart = Param(0.9, "the same on other inputs: smoothed labels turn the push of the surest outputs around")

    bottomless = Param(1000, "times its size at the start: likelihoods of collapsing densities fall by some units")

    def __call__(self, run: Run) -> Iterator[Finding]:
        turned = [*self._of_penalties(run), *self._of_trials(run)]
        if turned:
            yield from turned
            return
        agreeing = list(self._players_who_agree(run))
        bottomless = [] if run.in_regime("gan", "reinforcement") else list(self._without_bound(run))
        if agreeing or bottomless:
            yield from agreeing or bottomless
            return
        terms = [_with_site(run, t) for t in run.loss_terms if not t.penalty]
        if not terms:
            raise NotApplicable("no loss whose terms are known")
        stepping = [o for o in run.optimizers if o.steps]
        if run.in_regime("gan", "reinforcement") or not stepping:
            raise NotApplicable("opponents or rewards, or no optimizer")
        if any(not self._of_a_model(run, o) for o in stepping):
            raise NotApplicable("an optimizer changes something else than a model")
        maximizes = {any(g.get("maximize") for g in o.groups) for o in stepping}
        if len(maximizes) > 1:
            raise NotApplicable("one optimizer maximizes, another does not")
        maximize = maximizes.pop()
        climbs = self._climbs(terms, maximize)
        if climbs is None:
            return
        if not self._rises(run, climbs):
            return
        yield self._finding(run, climbs, stepping[0] if maximize else None)

    @staticmethod
    def _of_penalties(run: Run) -> Iterator[Finding]:
        """A weight penalty that the loss is reduced by."""
        stepping = [o for o in run.optimizers if o.steps]
        if run.in_regime("gan") or any(g.get("maximize") for o in stepping for g in o.groups):
            return
        found = subtracted_penalty(run)
        if found is None:
            return
        terms, patch = found
        amounts = [t.amount for t in terms if t.amount is not None]
        line = terms[0].negated_location or terms[0].location or terms[0].backward_location
        yield Finding(
            f"{len(terms)} penalties of weights are subtracted from the loss"
            + (f" (together {sum(amounts):.3g} in step {terms[0].step})" if amounts else "")
            + ": it has no lower bound, and every step makes the weights larger.",
            location=line,
            evidence={"coefficient": terms[0].coefficient, "penalties": len(terms)},
            fix="Add the penalty to the loss.",
            patch=patch,
        )

    @staticmethod
    def _of_trials(run: Run) -> Iterator[Finding]:
        """A sign of the script's own arithmetic, where a trial showed that it is the wrong one."""
        proofs = {e.patch: e for e in run.experiments if e.question == "L19" and e.status == "confirmed"}
        for turn in turns(run) if proofs else ():
            proof = proofs.get(turn.patch)
            if proof is None or proof.before is None or proof.after is None:
                continue
            what = proof.metric.removeprefix("printed ")
            yield Finding(
                f"{turn.what[0].upper()}{turn.what[1:]} has the wrong sign: turned round, '{what}' is "
                f"{proof.after:.3g} and not {proof.before:.3g} after {proof.steps} steps.",
                location=turn.location,
                evidence={"before": proof.before, "after": proof.after, "term": turn.patch != NEGATE},
                fix=f"Turn the sign of {turn.what} round: what is handed to backward must fall as the model gets "
                "better.",
                patch=turn.patch,
            )

    def _players_who_agree(self, run: Run) -> Iterator[Finding]:
        for pair in run.recorded(Opponents):
            if min(pair.judge_steps, pair.maker_steps) < self.pushes.value:
                continue
            made, others = (_up(pair.made_by_judge), _up(pair.others_by_judge))
            maker = _up(pair.made_by_maker)
            if made is None or others is None or maker is None:
                continue
            down = made < 1 - self.agree.value and maker < 1 - self.agree.value and others > self.apart.value
            up = made > self.agree.value and maker > self.agree.value and others < 1 - self.apart.value
            if down or up:
                yield self._of_players(run, pair)

    @staticmethod
    def _of_players(run: Run, pair: Opponents) -> Finding:
        names = {r.index: r.name for r in run.roots}
        judge, maker = names.get(pair.judge, "the judge"), names.get(pair.maker, "the maker")
        terms = [t for t in run.loss_terms if t.backward == pair.maker_backward and not t.penalty]
        line = next((t.location or t.backward_location for t in terms), run.plan.backward_location)
        return Finding(
            f"The generator's loss ({maker}) pushes the discriminator's outputs ({judge}) on generated examples the "
            f"same way as the discriminator's own loss does, in all of {pair.maker_steps} steps, and those on real "
            "examples are pushed the other way: both want the generated ones to be told from the real ones.",
            location=line,
            evidence={"judge": judge, "maker": maker, "steps": pair.maker_steps},
            patch=f"targets:opposite={PurePath(line.file).name}:{line.line}" if line is not None else "",
            fix="In the generator's step, use the label (or the sign) that the discriminator has for real examples.",
        )

    def _without_bound(self, run: Run) -> Iterator[Finding]:
        try:
            values = run.series(LOSS, 30).values
        except NotEnoughEvidence:
            return
        start, thirds = median(values[:5]), [median(v) for v in np.array_split(values, 3)]
        deep = thirds[2] < -self.bottomless.value * max(abs(start), 1.0)
        if not deep or not 0 < thirds[0] - thirds[1] < thirds[1] - thirds[2]:
            return
        terms = [_with_site(run, t) for t in run.loss_terms if not t.penalty]
        negated = climbs.negated_location if terms and (climbs := self._climbs(terms, maximize=False)) else None
        fell = f"The value handed to backward has no lower bound: it fell from {start:.3g} to {float(values[-1]):.3g}, "
        turn = next((t for t in turns(run) if t.patch != NEGATE), None)
        if turn is not None:
            yield Finding(
                fell + f"faster and faster, since {turn.what} subtracts squares or exponentials of what the model puts "
                "out: the sign of a divergence or a penalty?",
                location=turn.location,
                evidence={"start": start, "end": float(values[-1]), "term": True},
                fix=f"Turn the sign of {turn.what} round.",
                patch=turn.patch,
            )
            return
        yield Finding(
            fell + "faster and faster. What is minimized is no loss; a likelihood or a score lacks its minus.",
            location=negated or run.plan.loss_location or run.plan.backward_location,
            evidence={"start": start, "end": float(values[-1])},
            fix="Remove the minus before the loss."
            if negated
            else "Hand the negative to backward: loss = -log_likelihood.mean().",
        )

    @staticmethod
    def _of_a_model(run: Run, optimizer: OptimizerInfo) -> bool:
        held = [p for p in run.parameters if optimizer.index in p.optimizers]
        return bool(held) and all(p.module >= 0 for p in held)

    @staticmethod
    def _climbs(terms: Sequence[LossTerm], maximize: bool) -> LossTerm | None:
        """The first term, if every term is a loss and every sign is wrong."""
        likelihood = terms[0].operation.startswith(LIKELIHOOD) and terms[0].site < 0
        for t in terms:
            if t.coefficient is None or not t.coefficient or bool(t.site < 0) != likelihood:
                return None
            if likelihood and not (t.operation.startswith(LIKELIHOOD) and (t.averaged or t.summed)):
                return None
            if (t.coefficient < 0) == (maximize != likelihood):
                return None
        if likelihood and len({t.coefficient for t in terms if t.coefficient and not t.summed}) > 2:
            return None  # weighted by rewards
        return terms[0]

    def _rises(self, run: Run, term: LossTerm) -> bool:
        if term.site < 0:
            likely = [t for t in run.loss_terms if t.amount is not None and not t.penalty]
            if len(likely) < self.calls.value:
                raise NotEnoughEvidence(f"{len(likely)} of {self.calls.value:.0f} observed losses")
            values = [-(t.amount or 0.0) * math.copysign(1.0, t.coefficient or 1.0) for t in likely]
        else:
            called = [c for c in run.training_calls() if c.site == term.site]
            values = [c.value for c in called if c.value is not None and np.isfinite(c.value)]
            if any(c.target_requires_grad for c in called):
                return False  # two outputs of the model are pushed apart
            if len(values) < self.calls.value and len(called) < self.calls.value:
                raise NotEnoughEvidence(f"{len(called)} of {self.calls.value:.0f} observed calls of the loss")
        third = max(1, len(values) // 3)
        return bool(median(values[-third:]) - median(values[:third]) > self.rise.value)

    @staticmethod
    def _finding(run: Run, term: LossTerm, maximizing: OptimizerInfo | None) -> Finding:
        loaded = any(r.loaded for r in run.roots)
        severity: Severity = "info" if loaded else "error"
        name = next((s.function for s in run.loss_sites if s.index == term.site), "log-probability of the labels")
        name = f"the script's own {name}" if term.operation.startswith(_SQUARES) else name
        location: Location | None
        if maximizing is not None:
            how, location = f"{maximizing.type} was told to maximize (maximize=True)", maximizing.location
            fix = "Remove maximize=True."
        elif term.site >= 0:
            how, location = f"{name} enters backward with a minus", term.negated_location or term.backward_location
            fix = "Remove the minus before the loss."
        else:
            how, location = f"the {name} is minimized: its minus is missing", term.location or term.backward_location
            fix = "Put a minus before the log-probability, or use F.nll_loss."
        return Finding(
            f"{how[0].upper()}{how[1:]}, so every step makes the model worse, and the observed loss does rise.",
            location=location,
            evidence={"loss": name, "coefficient": term.coefficient, "maximize": maximizing is not None},
            severity=severity,
            fix=fix,
        )


def _up(counts: Sequence[int]) -> float | None:
    """Share of the elements whose gradient is positive, None of nothing."""
    return counts[0] / sum(counts) if sum(counts) else None


def _with_site(run: Run, term: LossTerm) -> LossTerm:
    """An error that the script squares itself is that of its line, where its arguments were recognized there."""
    if term.site >= 0 or not term.operation.startswith(_SQUARES) or term.location is None:
        return term
    here = (term.location.file, term.location.line)
    sites = (s for s in run.loss_sites if s.location and (s.location.file, s.location.line) == here)
    return replace(term, site=next((s.index for s in sites if s.function in _ERRORS), -1))
