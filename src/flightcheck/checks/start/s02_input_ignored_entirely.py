"""S02: a training that goes the same without its inputs."""

from __future__ import annotations

from collections.abc import Iterator

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.checks.connections._half_cut import halves
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.run import Run


def makes_no_difference(e: Experiment) -> bool:
    """The training with inputs ends not better than that without, by the upper limit of its interval."""
    return e.low is not None and -e.low < e.margin


def makes_little_difference(e: Experiment) -> bool:
    """Real inputs brought less than a tenth of the untrained model's error: worth a look at more steps.

    A short trial on training batches alone cannot tell learning from memory: real pairs come again, permuted ones
    never do.
    """
    if e.before is None or e.after is None or e.start is None:
        return False
    return e.after - e.before < max(e.margin, 0.1 * abs(e.start))


def shows_nothing(e: Experiment) -> bool:
    """The trainings scatter so much that the one without inputs may as well be better."""
    return e.status == "inconclusive" and e.low is not None and e.high is not None and e.low < 0 < e.high


def inputs_do_not_matter(experiments: list[Experiment]) -> bool:
    """The short trial found little, and the long ones nothing.

    Args:
        experiments: of the question S02, those with a result, in their order.
    """
    return makes_little_difference(experiments[0]) and all(map(makes_no_difference, experiments[1:]))


@check(
    "S02",
    "input-ignored-entirely",
    severity="error",
    evidence="T",
    needs=("experiments",),
    fix="Print the batch as the model gets it, beside its labels, and look whether data and order are right.",
)
class InputIgnoredEntirely(Check):
    """With inputs permuted across the batch, or zeroed, the training ends the same.

    ## What it checks
    Equivalence, not a missing significance: with permuted and with zeroed inputs after 300 steps the upper limit of the
    95 % interval of the advantage of real inputs lies under max(0.01, 2 % of the error), on the script's own evaluation
    where there is one. This is tried where 80 steps with real inputs brought less than a tenth of the start error. An
    error if the model cannot fit one batch either (S01); a note if it can: then D07 decides whether the labels belong
    to the inputs, or the task is only slow.
    ## Why it matters
    A network that ignores its inputs learns the frequencies of the labels, and its loss falls while it does.
    ## How to fix
    Look at what the loader gives, at a layer that is constant, at preprocessing that zeroes the input.
    ## Source
    Karpathy, A Recipe for Training Neural Networks (input-independent baseline); catalogue S02.
    ## Known false alarms
    Tasks that show nothing in 300 steps, such as modular arithmetic: these are told as a note only.
    """

    short = Param(2, "times of 80 steps and 300 steps: a slow task differs at the second")

    def __call__(self, run: Run) -> Iterator[Finding]:
        if run.in_regime("gan", "reinforcement"):
            raise NotApplicable("the losses of this kind of training do not measure what inputs are worth")
        asked = [e for e in run.experiments if e.question == "S02"]
        known = [e for e in asked if e.low is not None]
        if not known:
            raise NotEnoughEvidence(asked[0].reason if asked else "a training without inputs was not tried")
        if not inputs_do_not_matter(known):
            return
        if halves(run):
            raise NotEnoughEvidence("a part is trained behind a cut of the graph: what is measured may be that alone")
        if len(known) < 3:
            raise NotEnoughEvidence("after 80 steps inputs make no difference; it was not tried for longer")
        fits = [e for e in run.experiments if e.question == "S01" and e.after is not None and e.start]
        if not fits:
            raise NotEnoughEvidence("inputs make no difference, and whether one batch can be fitted is not known")
        fitted = any((e.after or 0.0) <= 0.05 * (e.start or 1.0) for e in fits)
        last = known[-1]
        fit = "although it can learn 8 examples by heart" if fitted else "and it cannot learn 8 examples either"
        yield Finding(
            f"After {last.steps} steps the {last.metric} is {last.before:.3g} with the inputs and "
            f"{last.after:.3g} with inputs permuted across the batch (difference below {last.margin:.2g}): the model "
            f"learns nothing from them, {fit}.",
            location=next((b.origin or b.location for b in run.batches if b.training), None) or run.plan.batch_location,
            evidence={"with": last.before, "without": last.after, "fits_one_batch": fitted},
            severity="info" if fitted else None,
        )
