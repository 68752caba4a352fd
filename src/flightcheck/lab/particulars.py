"""What only some trainings give a reason to try: one function for each question, which is silent without the reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final, Literal

from flightcheck.checks.connections._half_cut import mixed, oversights, whole
from flightcheck.checks.connections.c16_output_range_mismatch import noise_width, without_relu
from flightcheck.checks.connections.c28_batchnorm_batch_too_small import lone_examples
from flightcheck.checks.connections.c30_mode_mistake import handmade_dropouts, off_in_evaluations
from flightcheck.checks.data._repeated import TURNED, repeating, repeats_in_two_ways
from flightcheck.checks.data._stand_ins import KNOWN, stand_ins
from flightcheck.checks.data.d03_input_not_normalized import STANDARDIZED, InputNotNormalized
from flightcheck.checks.data.d16_label_mapping_differs import keeping_numbers, numbering
from flightcheck.checks.data.d24_filled_labels_learned import filled_labels
from flightcheck.checks.data.d25_vocabulary_cut_short import cut_vocabulary, keeping_negations, negations_left_out
from flightcheck.checks.loss._pairs import ROLES, ranked_distances, stuck_pairs
from flightcheck.checks.loss._signs import of_signs, without_signs
from flightcheck.checks.loss.l05_logits_into_probability_loss import likelihood, made_probable
from flightcheck.checks.loss.l09_ignore_or_padding_wrong import COUNTED, ignored_tag
from flightcheck.checks.loss.l31_loss_of_what_was_shown import counting_others, shown_mask
from flightcheck.checks.parameters.p06_lr_effectively_zero import CONSTANT, early_decay
from flightcheck.checks.parameters.p11_freezing_mistake import frozen_at_random, frozen_tables, meant_to_be_random
from flightcheck.checks.parameters.p13_weight_decay_misapplied import WITHOUT, WeightDecayMisapplied
from flightcheck.checks.parameters.p42_hooks_pile_up import ONCE, growing_pile
from flightcheck.checks.tracking._orders import (
    evaluated_at_random,
    evaluated_in_drawn_order,
    evaluated_in_sorted_order,
    unsorting,
)
from flightcheck.lab.classes_alike import classes_alike
from flightcheck.lab.experiments import Lab, Margin
from flightcheck.lab.margins import fivefold, half, quarter, tenth, tenth_of_error, third
from flightcheck.lab.metrics import steps_of_evaluations, steps_until_told, try_order
from flightcheck.lab.printed import ANSWERED, PRINTED
from flightcheck.lab.signs import turned
from flightcheck.lab.statistics import SEEDS
from flightcheck.lab.step_sizes import LONG_STEPS, SHORT_STEPS
from flightcheck.lab.suspicions import suspicions
from flightcheck.patch import Patch
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.printed import is_of_samples
from flightcheck.recording.records import Location
from flightcheck.recording.run import Run

_WIDTH_STEPS: Final = 240
"""In which a decoder begins to use what is drawn more surely."""
_FILL_STEPS: Final = 120
_LATEST: Final = 3000
"""Step at which what is suspected may begin: each trial has to get there."""
_MOST_FILLS: Final = 3
"""Lines that fill what is missing and are tried."""
_WITHOUT_MISSING: Final = "+ known = ~torch.isnan(y)  # before y is filled; then loss_fn(out[known], y[known])"


def particulars(lab: Lab, run: Run, asked: set[str]) -> Iterator[Experiment]:
    """The trials that this training gives a reason for; nothing of a check that was asked already."""
    for code, question in _QUESTIONS:
        if code not in asked:
            yield from question(lab, run)
    for code, patch, diff, since in suspicions(run):
        if code not in asked:
            late = since if SHORT_STEPS < since <= _LATEST else 0  # before, both trainings are the same
            for steps in (LONG_STEPS,) if late else (SHORT_STEPS, LONG_STEPS):  # some learn nothing in the first ones
                mended = lab.try_patch(code, [Patch.parse(patch)], steps=late + steps, since=late, refute=False)
                yield replace(mended, diff=diff)
                if mended.status in ("confirmed", "untested"):
                    break


def _shown_mask(lab: Lab, run: Run) -> Iterator[Experiment]:
    if (mask := shown_mask(run)) is not None:
        others = _evaluated(lab, run, "L31", counting_others(mask), third)
        words = f"# the same with the other elements: 1 - {mask.name}, or ~{mask.name} of truth values"
        yield replace(others, diff=_instead(mask.location, words))


def _piling_hooks(lab: Lab, run: Run) -> Iterator[Experiment]:
    if (pile := growing_pile(run)) is not None:
        alone = _evaluated(lab, run, "P42", ONCE, third)
        yield replace(alone, diff=_instead(pile.location, "# the same once, before the loop"))


def _orders_of_evaluations(lab: Lab, run: Run) -> Iterator[Experiment]:
    """Do the numbers of evaluations depend on the order in which they visit the examples?"""
    if evaluated_at_random(run) or evaluated_in_drawn_order(run):
        yield try_order(lab, run)
    for sorting in evaluated_in_sorted_order(run)[:1]:
        # Whoever brings the answers back into the stored order, or sorts the targets, too, has as many right.
        yield _evaluated(lab, run, "T09", unsorting(sorting), tenth, metrics=("answers", PRINTED), seeds=1)


def _roles_of_pairs(lab: Lab, run: Run) -> Iterator[Experiment]:
    if stuck_pairs(run):
        yield _trained(lab, "L08", ROLES, half, SHORT_STEPS)


def _normalized_alone(lab: Lab, run: Run) -> Iterator[Experiment]:
    if lone_examples(run):
        together = _evaluated(lab, run, "C28", "batchnorm:running")
        yield replace(together, diff="+ # batches of more examples, or nn.GroupNorm in the place of BatchNorm")


def _handmade_dropout(lab: Lab, run: Run) -> Iterator[Experiment]:
    for line in handmade_dropouts(run)[:1]:
        without = _evaluated(lab, run, "C30", off_in_evaluations(line), third)
        yield replace(without, diff="+ # before this line: if not self.training, return the input as it is")


def _filled_labels(lab: Lab, run: Run) -> Iterator[Experiment]:
    for filled in filled_labels(run)[:_MOST_FILLS]:
        masked = _trained(lab, "D24", filled.patch, tenth_of_error, _FILL_STEPS)
        yield replace(
            masked, diff="+ known = ~torch.isnan(y)  # before y is filled; then loss_fn(out[known], y[known])"
        )


def _cut_vocabulary(lab: Lab, run: Run) -> Iterator[Experiment]:
    if (vocabulary := cut_vocabulary(run)) is not None:
        more = _trained(lab, "D25", vocabulary.patch, fivefold, LONG_STEPS)
        yield replace(more, diff=_instead(vocabulary.location, "# the same with more words"))


def _negations(lab: Lab, run: Run) -> Iterator[Experiment]:
    if (line := negations_left_out(run)) is not None:
        kept = _evaluated(lab, run, "D25", keeping_negations(line), third)
        yield replace(kept, diff=_instead(line, "# the same words without no, not, never and the like"))


def _ignored_tag(lab: Lab, run: Run) -> Iterator[Experiment]:
    """The loss of evaluations is another one, too, and answers may be those of another head."""
    if (found := ignored_tag(run)) is not None:
        # With the patch padding counts as well, which keeps no label down; by hand it gets another number.
        steps = max(SHORT_STEPS, steps_of_evaluations(run))
        counted = lab.try_patch(
            "L09", [Patch.parse(COUNTED)], metrics=(ANSWERED,), steps=steps, evaluates=True, margin=third, refute=False,
            brings=("L09",),
        )  # fmt: skip
        line = found[0].target_origin or found[0].location
        yield replace(counted, diff=_instead(line, "# the same filled up with -100, and a loss without ignore_index"))


def _numbering(lab: Lab, run: Run) -> Iterator[Experiment]:
    if (line := numbering(run)) is not None:
        kept = _evaluated(lab, run, "D16", keeping_numbers(line), third)
        yield replace(kept, diff=_instead(line, "# the same numbers in all calls, those of the training data"))


def _likelihoods(lab: Lab, run: Run) -> Iterator[Experiment]:
    """Answers judge: what a likelihood by hand is worth depends on what it takes for probabilities."""
    use = likelihood(run)
    for patch in made_probable(use) if use is not None else ():
        probable = _evaluated(lab, run, "L05", patch, third, metrics=("answers", ANSWERED))
        rule, line = patch.split(":")[1], use.made_at if use is not None else None
        axis = ", dim=-1" if rule == "softmax" else ""
        yield replace(probable, diff=_instead(line, f"# the same with torch.{rule}(scores{axis})"))
        if probable.status == "confirmed":
            return


def _noise_width(lab: Lab, run: Run) -> Iterator[Experiment]:
    if (width := noise_width(run)) is not None:
        free = _trained(lab, "C16", without_relu(width), tenth_of_error, _WIDTH_STEPS)
        yield replace(free, diff=_instead(width.relu or width.location, "# the same without relu"))


def _early_decay(lab: Lab, run: Run) -> Iterator[Experiment]:
    if early_decay(run) is not None:
        constant = _evaluated(lab, run, "P06", CONSTANT, third)
        yield replace(constant, diff="+ # the same schedule with a larger gamma, or with its steps farther apart")


def _decay(lab: Lab, run: Run) -> Iterator[Experiment]:
    decay = WeightDecayMisapplied()
    if decay.in_balance(run):
        # A held-out loss that decay keeps up, by answers that are less sure, is no error.
        metrics = ("evaluation", "answers", PRINTED) if decay.outweighs(run) else ("answers", ANSWERED)
        lighter = _evaluated(lab, run, "P13", WITHOUT, third, metrics=metrics)
        yield replace(lighter, diff="+ weight_decay=0, or a hundredth of it")


def _repeated_rows(lab: Lab, run: Run) -> Iterator[Experiment]:
    """The training loss cannot judge: what comes in blocks of near copies is soon learnt by heart."""
    if (repeated := repeats_in_two_ways(run)) is not None:
        turned_round = _evaluated(lab, run, "D07", TURNED, third)
        at, instead = repeating(run, repeated), "# the same in the order in which the others repeat"
        yield replace(turned_round, diff=_instead(at, instead, "labels"))


def _quiet_inputs(lab: Lab, run: Run) -> Iterator[Experiment]:
    """A loss may fall all the same, as of what the biases can tell: evaluations judge."""
    if (quiet := InputNotNormalized().quiet_inputs(run)) is not None:
        scaled = _evaluated(lab, run, "D03", STANDARDIZED, third)
        yield replace(
            scaled, diff=_instead(quiet.location, "# the same on a scale of about 1, such as (x - mean) / std")
        )


def _marks(lab: Lab, run: Run) -> Iterator[Experiment]:
    if stand_ins(run):
        known = _evaluated(lab, run, "D01", KNOWN, third)
        yield replace(known, diff="+ x[x == mark] = float('nan')  # then nanmean, nanstd, and the mean in its place")


def _half_cut(lab: Lab, run: Run) -> Iterator[Experiment]:
    for cut in oversights(run)[:1]:
        joined = _evaluated(lab, run, "C02", whole(cut), third)
        if joined.status == "confirmed":  # by how much is it more than what the part learns with the cut?
            yield _evaluated(lab, run, "C02", mixed(cut), third, seeds=1, purpose="question")
        yield replace(joined, diff=_instead(cut.location, f"# the same without {cut.operation}", cut.operation))


def _exchanged_distances(lab: Lab, run: Run) -> Iterator[Experiment]:
    if (ranked := ranked_distances(run)) is not None:
        exchanged = _evaluated(lab, run, "L08", ROLES, third, metrics=("answers", ANSWERED))
        if exchanged.status == "confirmed" and is_of_samples(exchanged.metric):  # the distances that it exchanges
            exchanged = replace(exchanged, status="inconclusive", reason="a distance does not tell which is to be near")
        instead = "# the same with the two distances exchanged, or the target -1"
        yield replace(exchanged, diff=_instead(ranked.location, instead, ranked.function))


def _labels_without_signs(lab: Lab, run: Run) -> Iterator[Experiment]:
    if (product := without_signs(run)) is not None:
        signed = _evaluated(lab, run, "L08", of_signs(product), third)
        yield replace(signed, diff=_instead(product.location, "# the same with 2 * y - 1 in the place of the labels"))


def _thawed(lab: Lab, run: Run) -> Iterator[Experiment]:
    """What was left at its random values learns in a trial: soon, or after the first steps, in which nothing does."""
    short_and_long: tuple[int, ...] = (SHORT_STEPS, LONG_STEPS)
    held = {path: short_and_long for path, (_, of) in frozen_at_random(run).items() if not meant_to_be_random(of)}
    held |= dict.fromkeys(frozen_tables(run), (LONG_STEPS,))  # of rows that are rare something is learnt late
    for path, lengths in held.items():
        for steps in lengths:
            thawed = _trained(lab, "P11", f"unfreeze:{path}", quarter, steps)
            yield replace(thawed, diff=f"+ p.requires_grad_(True)  # for each parameter p of {path}")
            if thawed.status != "inconclusive":
                break


_QUESTIONS: Final[tuple[tuple[str, Callable[[Lab, Run], Iterator[Experiment]]], ...]] = (
    ("P42", _piling_hooks),
    ("L31", _shown_mask),
    ("T09", _orders_of_evaluations),
    ("L08", _roles_of_pairs),
    ("C28", _normalized_alone),
    ("C30", _handmade_dropout),
    ("L19", turned),
    ("D24", _filled_labels),
    ("D25", _cut_vocabulary),
    ("D25", _negations),
    ("D10", classes_alike),
    ("P13", _decay),
    ("P06", _early_decay),
    ("L09", _ignored_tag),
    ("L05", _likelihoods),
    ("C16", _noise_width),
    ("D16", _numbering),
    ("D07", _repeated_rows),
    ("D03", _quiet_inputs),
    ("D01", _marks),
    ("C02", _half_cut),
    ("L08", _exchanged_distances),
    ("L08", _labels_without_signs),
    ("P11", _thawed),
)
"""The check that a trial would make loud, and the question, in the order in which they are asked."""


def _trained(lab: Lab, code: str, patch: str, margin: Margin, steps: int) -> Experiment:
    """The training loss judges."""
    return lab.try_patch(code, [Patch.parse(patch)], steps=steps, margin=margin, refute=False)


def _evaluated(
    lab: Lab, run: Run, code: str, patch: str, margin: Margin | None = None, *,
    metrics: tuple[str, ...] = ("evaluation", "answers", PRINTED), seeds: int = SEEDS,
    purpose: Literal["fix", "question"] = "fix",
) -> Experiment:  # fmt: skip
    """Evaluations judge: of what makes the training loss larger and them better."""
    # Of a model that is written as functions no evaluations are seen, only what the script prints of them.
    steps = steps_of_evaluations(run) if run.evaluations else steps_until_told(run)
    return lab.try_patch(
        code, [Patch.parse(patch)], metrics=metrics, steps=max(SHORT_STEPS, steps), evaluates=True,
        margin=margin, refute=False, seeds=seeds, purpose=purpose,
    )  # fmt: skip


def _instead(line: Location | None, other: str, unknown: str = "") -> str:
    """A diff of one line; `unknown` stands for what no line is known of."""
    return f"- {line.code if line is not None else unknown}\n+ {other}"
