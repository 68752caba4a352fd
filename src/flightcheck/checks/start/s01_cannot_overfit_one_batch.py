"""S01: a model that cannot learn eight examples by heart."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.checks.loss._baseline import classes_are_examples, constant_loss, is_whole_loss
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.loss_records import LinearStack
from flightcheck.recording.run import Run


@check(
    "S01",
    "cannot-overfit-one-batch",
    severity="error",
    evidence="T",
    needs=("experiments",),
    fix="Follow the signal from the loss back to the input: a loss that is wrong, a gradient that is missing, features "
    "that are constant.",
)
class CannotOverfitOneBatch(Check):
    """Trained again and again on the same eight examples, the model does not learn them.

    ## What it checks
    A trial that replays the first eight examples for 400 steps without weight decay, dropout and label smoothing. If
    the error does not fall under 5 % of its start, a second one with Adam at 3e-3 tells whether the learning rate is to
    blame (then it is P01's or P02's finding). Both must fail.
    ## Why it matters
    Eight examples can be learnt by heart by any working combination of data, model, loss and optimizer. What fails here
    is broken, not hard.
    ## How to fix
    Look at the loss, at gradients that are missing, at outputs that do not depend on the input.
    ## Source
    Checklist for debugging neural networks, section 1; Karpathy, A Recipe for Training Neural Networks (overfit one
    batch); CS231n. 400 steps: six healthy models of a pilot needed 19 to 228 with their own settings.
    ## Known false alarms
    Equal inputs with different labels have an error that nothing can remove; targets that are noise in each step.
    Losses with further terms (the divergence of a VAE), frozen parts, models of one linear layer (or one behind fixed
    features, or embeddings with one behind them, such as bigrams) and several trainings in a row are not judged. Nor
    are losses below zero, of which no share tells how much is learnt, models that begin with a small part of a guess's
    error (trained before, or nothing is left to learn), and batches that are harder when they hold eight examples again
    and again: in-batch negatives, of which seven of eight are then no others.
    """

    learned = Param(0.05, "share of the start error that may be left: what a fit by heart goes far below")
    opening = Param(
        0.15,
        "the same for next tokens: the first two of a sequence do not yet tell which of the eight it is, which leaves "
        "2 ln 8 / (16 ln 50) = 7 % in sequences of 16 of 50 tokens",
    )
    series = Param(
        0.5,
        "the same for an answer at every position of a recurrent layer, which has seen only what came before: how many "
        "positions it takes to tell eight series apart is the data's",
    )
    trained = Param(0.2, "of a guess's error: who begins below has little left to learn, and steps of 3e-3 may undo it")
    harder = Param(0.9, "of the error on the same examples: fresh ones are not easier, unless repeating them is no fit")

    def __call__(self, run: Run) -> Iterator[Finding]:
        if run.in_regime("gan", "reinforcement"):
            raise NotApplicable("the losses of this kind of training do not measure a fit")
        fits = [e for e in run.experiments if e.question == "S01"]
        if not fits:
            raise NotEnoughEvidence("the fit of one batch was not tried (it is where nothing else explains a failure)")
        if len(fits) == 1 and (fits[0].after is None or fits[0].start is None):
            raise NotEnoughEvidence(f"the fit of one batch could not be tried: {fits[0].reason}")
        known = [e for e in fits if e.after is not None and e.start]
        left = [(e.after or 0.0) / (e.start or 1.0) for e in known]
        limit = (self.opening if run.target_shifts else self.series if _of_series(run) else self.learned).value
        if not left or min(left) <= limit:
            return
        if len(left) < 2:
            raise NotEnoughEvidence("the second optimizer was not tried")
        if _in_parts(run):
            raise NotApplicable(
                "parts of the model are frozen or trained one after the other: eight examples may be too many"
            )
        if any(len(s.inputs) == 1 for s in run.recorded(LinearStack)) or _is_linear_in_ids(run):
            raise NotApplicable("one linear layer is trained: it may be too little for eight examples")
        if not is_whole_loss(run):
            raise NotApplicable(
                "the loss has other terms than the one that is scored: they may keep the error up on purpose"
            )
        self._is_measured(run, known)
        yield Finding(
            f"After {fits[0].steps} steps on the same 8 examples {100 * min(left):.0f} % of the start error is left "
            f"(limit {100 * limit:.0f} %), with the script's optimizer and with Adam.",
            location=run.plan.loss_location or run.plan.backward_location,
            evidence={"left": left, "steps": fits[0].steps},
        )

    def _is_measured(self, run: Run, fits: Sequence[Experiment]) -> None:
        """What is left of the start tells how well the examples were learnt.

        Raises:
            NotApplicable: it does not in this training.
            NotEnoughEvidence: it may not in this one.
        """
        if run.in_regime("contrastive") or classes_are_examples(run.training_calls()):
            raise NotApplicable("the classes are the examples of the batch: of eight that repeat most are no others")
        if any(value < 0 for e in fits for value in (e.before, e.after, e.start) if value is not None):
            raise NotApplicable("the loss falls below zero: no share of its start says what is left to learn")
        guess = max((_guess(run, e.metric) for e in fits), default=0.0)
        start = min(e.start or 0.0 for e in fits)
        if start < self.trained.value * guess:
            raise NotEnoughEvidence(
                f"the error is {start:.3g} before the first step, and that of a guess {guess:.3g}: it was learnt before"
            )
        after = min(e.after or 0.0 for e in fits)
        if not guess and after > start:
            raise NotEnoughEvidence(
                f"the {fits[0].metric} rises from {start:.3g} to {after:.3g}: it may have begun at its floor"
            )
        fresh = [e.before for e in fits if e.before is not None and math.isfinite(e.before)]
        if fresh and min(fresh) < self.harder.value * min(after, start):
            raise NotEnoughEvidence(
                f"on fresh examples the {fits[0].metric} falls to {min(fresh):.3g}, further than on the same eight "
                f"({after:.3g})"
            )


def _guess(run: Run, metric: str) -> float:
    """What a constant answer has; 0 where that is not known."""
    if metric == "error":  # ln 2 of two classes, more of more; 1 of numbers, in their variance
        return math.log(2)
    calls = [c for c in run.training_calls() if c.value is not None and math.isfinite(c.value)]
    if metric != "loss" or len({c.site for c in calls}) != 1:
        return 0.0
    try:
        return constant_loss(run.site(calls[0]).function, calls)[0]
    except (NotApplicable, NotEnoughEvidence):
        return 0.0


def _is_linear_in_ids(run: Run) -> bool:
    """Embeddings and at most one matrix are trained: each answer may rest on one token alone (bigrams)."""
    roles = [p.role for p in run.parameters if run.trained(p)]
    return "embedding" in roles and roles.count("matrix") <= 1


def _of_series(run: Run) -> bool:
    """The loss compares an answer at every position of a recurrent layer with a number."""
    recurrent = any(m.kind == "rnn" for m in run.modules)
    return recurrent and any(len(c.target_shape) > 1 and min(c.target_shape[:2]) > 1 for c in run.training_calls())


def _in_parts(run: Run) -> bool:
    """Parameters of called models are frozen, or an optimizer was built when training had begun."""
    frozen = any(not p.requires_grad and p.module >= 0 for p in run.parameters)
    return frozen or any(o.created_at_step > 0 and o.steps for o in run.optimizers)
