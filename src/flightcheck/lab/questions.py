"""What no single run can show: is it repeatable, who sees whom, are inputs used, is another step size better?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from typing import Final, Literal

import numpy as np

from flightcheck.checks.connections._half_cut import mixed, oversights, whole
from flightcheck.checks.connections.c07_vanishing_gradient import SWAPPED, stacked_activation
from flightcheck.checks.connections.c25_train_eval_gap import depends_on_mode
from flightcheck.checks.connections.c28_batchnorm_batch_too_small import lone_examples
from flightcheck.checks.data._repeated import TURNED, repeating, repeats_in_two_ways
from flightcheck.checks.data._stand_ins import KNOWN, stand_ins
from flightcheck.checks.data.d24_filled_labels_learned import filled_labels
from flightcheck.checks.data.d25_vocabulary_cut_short import cut_vocabulary
from flightcheck.checks.loss._pairs import ROLES, ranked_distances, stuck_pairs
from flightcheck.checks.loss._signs import of_signs, without_signs
from flightcheck.checks.loss.l13_loss_terms_unbalanced import has_several_terms
from flightcheck.checks.parameters.p11_freezing_mistake import frozen_at_random, frozen_tables, meant_to_be_random
from flightcheck.checks.parameters.p13_weight_decay_misapplied import WITHOUT, WeightDecayMisapplied
from flightcheck.checks.parameters.p42_hooks_pile_up import ONCE, growing_pile
from flightcheck.checks.start.s02_input_ignored_entirely import makes_little_difference
from flightcheck.checks.start.s05_regularizer_blocks_fit import strongest_dropout
from flightcheck.checks.tracking._orders import (
    evaluated_at_random,
    evaluated_in_drawn_order,
    evaluated_in_sorted_order,
    unsorting,
)
from flightcheck.lab.classes_alike import classes_alike
from flightcheck.lab.experiments import Lab, Margin
from flightcheck.lab.margins import fivefold, half, quarter, tenth, tenth_of_error, third
from flightcheck.lab.metrics import steps_of_evaluations, try_order
from flightcheck.lab.printed import ANSWERED, PRINTED
from flightcheck.lab.signs import turned
from flightcheck.lab.statistics import SEEDS
from flightcheck.lab.step_sizes import LONG_STEPS, SHORT_STEPS, steps_of_another_size
from flightcheck.lab.suspicions import suspicions
from flightcheck.lab.trials import Trained, Trial
from flightcheck.patch import Patch
from flightcheck.recording.experiments import Experiment, Probe
from flightcheck.recording.printed import is_of_samples
from flightcheck.recording.run import Run

_FIT_STEPS: Final = 400
_LEAK_STEPS: Final = 4
_MODE_STEPS: Final = 120
_SHORT_AND_LONG: Final[tuple[int, ...]] = (SHORT_STEPS, LONG_STEPS)
_MOST_FILLS: Final = 3
"""Lines that fill what is missing and are tried."""
_WITHOUT_MISSING: Final = "+ known = ~torch.isnan(y)  # before y is filled; then loss_fn(out[known], y[known])"


def who_sees_whom(lab: Lab, run: Run) -> None:
    """What a few steps show: whose output depends on whom, are gradients right, is the training repeatable?"""
    _repeated(lab, run, _measure(lab, run, ("leaks", "gradients"), _LEAK_STEPS))


def questions(lab: Lab, run: Run, asked: set[str]) -> Iterator[Experiment]:
    """What no single run can show: are inputs used, is anything held back, is the learning rate far off?"""
    for particular in _particulars(lab, run, asked):
        yield particular
        if particular.status == "confirmed":
            return
    permuted = Experiment("S02", "inputs:permute", reason="the targets are no labels of the inputs")
    if _supervised(run):
        permuted = lab.try_patch(
            "S02", [Patch("inputs", "permute")], metrics=("error",), steps=SHORT_STEPS, seeds=1, purpose="question"
        )
    yield permuted
    if run.maximizes:
        return  # whoever gets further has the larger loss
    found = False
    for experiment in chain(
        _without_regularization(lab, run, permuted),
        steps_of_another_size(lab, run, asked),
        _without_flat_ends(lab, run, permuted, asked),
    ):
        found = found or experiment.status == "confirmed"
        yield experiment
    if found:
        return
    probes = [name for name, asked in (("modes", depends_on_mode(run)), ("terms", has_several_terms(run))) if asked]
    if probes:
        _measure(lab, run, tuple(probes), _MODE_STEPS)
    over = run.info.ended == "finished" and run.info.steps < _MODE_STEPS  # nothing is learnt in so few steps
    if makes_little_difference(permuted) and not over:
        yield from _without_inputs(lab, run)


def _particulars(lab: Lab, run: Run, asked: set[str]) -> Iterator[Experiment]:
    """What only some trainings have: each is asked until one is confirmed."""
    if "P42" not in asked and (pile := growing_pile(run)) is not None:
        alone = _evaluated(lab, run, "P42", Patch.parse(ONCE), third)
        yield replace(alone, diff=f"- {pile.location.code}\n+ # the same once, before the loop")
    if "T09" not in asked:
        yield from _orders_of_evaluations(lab, run)
    if "L08" not in asked and stuck_pairs(run):
        yield lab.try_patch("L08", [Patch.parse(ROLES)], steps=SHORT_STEPS, margin=half, refute=False)
    if "C28" not in asked and lone_examples(run):
        together = _evaluated(lab, run, "C28", Patch("batchnorm", "running"))
        yield replace(together, diff="+ # batches of more examples, or nn.GroupNorm in the place of BatchNorm")
    yield from turned(lab, run, asked)
    for filled in filled_labels(run)[:_MOST_FILLS] if "D24" not in asked else ():
        masked = lab.try_patch(
            "D24", [Patch.parse(filled.patch)], steps=_MODE_STEPS, margin=tenth_of_error, refute=False
        )
        yield replace(masked, diff=_WITHOUT_MISSING)
    if "D25" not in asked and (vocabulary := cut_vocabulary(run)) is not None:
        whole = lab.try_patch("D25", [Patch.parse(vocabulary.patch)], steps=LONG_STEPS, margin=fivefold, refute=False)
        yield replace(whole, diff=f"- {vocabulary.location.code}\n+ # the same with more words")
    yield from _by_the_script_s_measure(lab, run, asked)
    for code, patch, diff in suspicions(run):
        if code not in asked:
            mended = lab.try_patch(code, [Patch.parse(patch)], steps=SHORT_STEPS, refute=False)
            yield replace(mended, diff=diff)
    if "P11" not in asked:
        yield from _thawed(lab, run)


def _thawed(lab: Lab, run: Run) -> Iterator[Experiment]:
    """What was left at its random values learns in a trial: soon, or after the first steps, in which nothing does."""
    held = {path: _SHORT_AND_LONG for path, (_, of) in frozen_at_random(run).items() if not meant_to_be_random(of)}
    held |= dict.fromkeys(frozen_tables(run), (LONG_STEPS,))  # of rows that are rare something is learnt late
    for path, lengths in held.items():
        for steps in lengths:
            thawed = lab.try_patch("P11", [Patch("unfreeze", path)], steps=steps, margin=quarter, refute=False)
            yield replace(thawed, diff=f"+ p.requires_grad_(True)  # for each parameter p of {path}")
            if thawed.status != "inconclusive":
                break


def _by_the_script_s_measure(lab: Lab, run: Run, asked: set[str]) -> Iterator[Experiment]:
    """What makes the training loss larger and evaluations better: weights of the classes, no decay of the weights,
    labels that teach something of both kinds.
    """
    if "D10" not in asked:
        yield from classes_alike(lab, run)
    decay = WeightDecayMisapplied()
    if "P13" not in asked and decay.in_balance(run):
        # A held-out loss that decay keeps up, by answers that are less sure, is no error.
        metrics = ("evaluation", "answers", PRINTED) if decay.outweighs(run) else ("answers", ANSWERED)
        lighter = _evaluated(lab, run, "P13", Patch.parse(WITHOUT), third, metrics=metrics)
        yield replace(lighter, diff="+ weight_decay=0, or a hundredth of it")
    if "D07" not in asked and (repeated := repeats_in_two_ways(run)) is not None:
        # The training loss cannot judge: what comes in blocks of near copies is soon learnt by heart.
        turned_round = _evaluated(lab, run, "D07", Patch.parse(TURNED), third)
        at = repeating(run, repeated)
        code = at.code if at is not None else "labels"
        yield replace(turned_round, diff=f"- {code}\n+ # the same in the order in which the others repeat")
    if "D01" not in asked and stand_ins(run):
        known = _evaluated(lab, run, "D01", Patch.parse(KNOWN), third)
        yield replace(known, diff="+ x[x == mark] = float('nan')  # then nanmean, nanstd, and the mean in its place")
    for cut in oversights(run)[:1] if "C02" not in asked else ():
        joined = _evaluated(lab, run, "C02", Patch.parse(whole(cut)), third)
        code = cut.location.code if cut.location is not None else cut.operation
        if joined.status == "confirmed":  # by how much is it more than what the part learns with the cut?
            yield _evaluated(lab, run, "C02", Patch.parse(mixed(cut)), third, seeds=1, purpose="question")
        yield replace(joined, diff=f"- {code}\n+ # the same without {cut.operation}")
    if "L08" not in asked and (ranked := ranked_distances(run)) is not None:
        exchanged = _evaluated(lab, run, "L08", Patch.parse(ROLES), third, metrics=("answers", ANSWERED))
        if exchanged.status == "confirmed" and is_of_samples(exchanged.metric):  # the distances that it exchanges
            exchanged = replace(exchanged, status="inconclusive", reason="a distance does not tell which is to be near")
        code = ranked.location.code if ranked.location is not None else ranked.function
        yield replace(exchanged, diff=f"- {code}\n+ # the same with the two distances exchanged, or the target -1")
    if "L08" not in asked and (product := without_signs(run)) is not None:
        signed = _evaluated(lab, run, "L08", Patch.parse(of_signs(product)), third)
        yield replace(signed, diff=f"- {product.location.code}\n+ # the same with 2 * y - 1 in the place of the labels")


def _orders_of_evaluations(lab: Lab, run: Run) -> Iterator[Experiment]:
    """Do the numbers of evaluations depend on the order in which they visit the examples?"""
    if evaluated_at_random(run) or evaluated_in_drawn_order(run):
        yield try_order(lab, run)
    for sorting in evaluated_in_sorted_order(run)[:1]:
        # Whoever brings the answers back into the stored order, or sorts the targets, too, has as many right.
        yield lab.try_patch(
            "T09", [Patch.parse(unsorting(sorting))], metrics=("answers", PRINTED),
            steps=max(SHORT_STEPS, steps_of_evaluations(run)), margin=tenth, evaluates=True, seeds=1, refute=False,
        )  # fmt: skip


def _evaluated(
    lab: Lab, run: Run, code: str, patch: Patch, margin: Margin | None = None, *,
    metrics: tuple[str, ...] = ("evaluation", "answers", PRINTED), seeds: int = SEEDS,
    purpose: Literal["fix", "question"] = "fix",
) -> Experiment:  # fmt: skip
    """Evaluations judge."""
    return lab.try_patch(
        code, [patch], metrics=metrics, steps=max(SHORT_STEPS, steps_of_evaluations(run)), evaluates=True,
        margin=margin, refute=False, seeds=seeds, purpose=purpose,
    )  # fmt: skip


def _supervised(run: Run) -> bool:
    """The loss compares predictions with targets that come with the data: they change as the batches do.

    In contrastive learning the target is the place of a partner, the same in every step.
    """
    calls = [c for c in run.training_calls() if not c.target_requires_grad]
    targets = {(c.target_mean, c.target_std, tuple(c.label_counts or ()), *c.target_shape) for c in calls}
    batches = {b.digest for b in run.batches if b.training}
    return bool(calls) and (len(targets) > 1 or len(batches) == 1)


def _without_inputs(lab: Lab, run: Run) -> Iterator[Experiment]:
    """The inputs made no difference: for how long, and can the model fit anything at all?"""
    still = [Patch("freeze-batch", "8"), Patch("regularization", "off")]
    fit = lab.try_patch("S01", still, steps=_FIT_STEPS, seeds=1, purpose="question")
    yield fit
    if fit.after is not None and fit.start is not None and fit.after > 0.05 * fit.start:
        rescued = [*still, Patch("optimizer", "Adam(0.003)")]
        yield lab.try_patch("S01", rescued, steps=_FIT_STEPS, seeds=1, purpose="question")
    _measure(lab, run, ("neighbours",), LONG_STEPS)
    for value in ("zero", "permute"):
        yield lab.try_patch(
            "S02", [Patch("inputs", value)], metrics=("evaluation", "error", "loss"), steps=LONG_STEPS,
            evaluates=True, seeds=1, purpose="question",
        )  # fmt: skip


def _without_regularization(lab: Lab, run: Run, control: Experiment) -> Iterator[Experiment]:
    """S05: where the training hardly moves, is it held back?"""
    if control.before is None or control.start is None or control.before < 0.9 * control.start:
        return
    held = {
        "dropout": bool(strongest_dropout(run)),
        "weight_decay": any(g.get("weight_decay") for o in run.optimizers if o.steps for g in o.groups),
        "label_smoothing": any(s.settings.get("label_smoothing") for s in run.loss_sites),
    }
    for name in (n for n, used in held.items() if used):
        yield lab.try_patch("S05", [Patch("regularization", name)], steps=SHORT_STEPS, margin=fivefold, refute=False)


def _without_flat_ends(lab: Lab, run: Run, control: Experiment, asked: set[str]) -> Iterator[Experiment]:
    """C07: where the training hardly moves, is it held back by saturating activations?"""
    if control.before is None or control.start is None or control.before < 0.9 * control.start:
        return
    for steps in _SHORT_AND_LONG if "C07" not in asked and stacked_activation(run) else ():
        swapped = lab.try_patch("C07", [Patch.parse(SWAPPED)], steps=steps, margin=fivefold, refute=False)
        yield swapped
        if swapped.status == "confirmed":
            return


def _measure(lab: Lab, run: Run, probes: tuple[str, ...], steps: int) -> Trained:
    """One trial in which nothing is changed and something is measured; the run keeps the result."""
    measured = lab.run(Trial(tuple(Patch("probe", p) for p in probes), steps=steps))
    if measured.run is not None:
        run.records.setdefault("Probe", []).extend(measured.run.probes)
    return measured


def _repeated(lab: Lab, run: Run, once: Trained) -> None:
    """T02: a trial that changes nothing has the losses of the control, bit by bit."""
    one, other = once.series("loss"), lab.run(Trial(steps=SHORT_STEPS)).series("loss")
    n = min(len(one), len(other))
    if n:
        one, other = one[:n], other[:n]
        differs = np.flatnonzero(~((one == other) | (np.isnan(one) & np.isnan(other))))
        step = int(differs[0]) if len(differs) else -1
        size = float(abs(one[step] - other[step]) / max(abs(one[step]), 1e-30)) if step >= 0 else 0.0
        result = {"equal": step < 0, "step": step, "difference": size}
        run.records.setdefault("Probe", []).append(Probe("repeat", result))
