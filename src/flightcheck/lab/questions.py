"""What no single run can show: is it repeatable, who sees whom, are inputs used, is another step size better?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from typing import Final

import numpy as np

from flightcheck.checks.connections.c07_vanishing_gradient import SWAPPED, stacked_activation
from flightcheck.checks.connections.c25_train_eval_gap import depends_on_mode
from flightcheck.checks.connections.c28_batchnorm_batch_too_small import lone_examples
from flightcheck.checks.data.d24_filled_labels_learned import filled_labels
from flightcheck.checks.data.d25_vocabulary_cut_short import cut_vocabulary
from flightcheck.checks.loss._pairs import ROLES, stuck_pairs
from flightcheck.checks.loss.l13_loss_terms_unbalanced import has_several_terms
from flightcheck.checks.parameters.p02_lr_too_low import (
    gets_there_by_its_plan,
    planned_steps,
    rises_to_the_end,
    trains_in_parts,
)
from flightcheck.checks.parameters.p11_freezing_mistake import frozen_at_random, frozen_tables, meant_to_be_random
from flightcheck.checks.parameters.p13_weight_decay_misapplied import WITHOUT, WeightDecayMisapplied
from flightcheck.checks.parameters.p14_adam_epsilon_dominates import dominated
from flightcheck.checks.parameters.p17_gradient_clipping_misuse import clips_hard
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
from flightcheck.lab.longer import more_rounds
from flightcheck.lab.metrics import steps_of_evaluations, try_order
from flightcheck.lab.printed import PRINTED
from flightcheck.lab.signs import turned
from flightcheck.lab.statistics import Pair
from flightcheck.lab.suspicions import suspicions
from flightcheck.lab.trials import Trained, Trial
from flightcheck.patch import Patch
from flightcheck.recording.experiments import Experiment, Probe
from flightcheck.recording.run import NotEnoughEvidence, Run
from flightcheck.recording.signals import LEARNING_RATE, LOSS

_SHORT_STEPS: Final = 80
_LONG_STEPS: Final = 300
_FIT_STEPS: Final = 400
_LEAK_STEPS: Final = 4
_MODE_STEPS: Final = 120
_ARRIVED: Final = 0.2
"""Of the error at the start: who has so little left is not too slow."""
_MOST_PLANNED: Final = 3000
"""Steps of a trial that goes to the planned end."""
_MOST_FILLS: Final = 3
"""Lines that fill what is missing and are tried."""
_WITHOUT_MISSING: Final = "+ known = ~torch.isnan(y)  # before y is filled; then loss_fn(out[known], y[known])"


def who_sees_whom(lab: Lab, run: Run) -> None:
    """What a few steps show: whose output depends on whom, are gradients right, is the training repeatable?"""
    _repeated(lab, run, _measure(lab, run, ("leaks", "gradients"), _LEAK_STEPS))


def questions(lab: Lab, run: Run, asked: set[str]) -> Iterator[Experiment]:
    """What no single run can show: are inputs used, is anything held back, is the learning rate far off?"""
    for ordered in _orders_of_evaluations(lab, run) if "T09" not in asked else ():
        yield ordered
        if ordered.status == "confirmed":
            return
    if "L08" not in asked and stuck_pairs(run):
        exchanged = lab.try_patch("L08", [Patch.parse(ROLES)], steps=_SHORT_STEPS, margin=_half, refute=False)
        yield exchanged
        if exchanged.status == "confirmed":
            return
    if "C28" not in asked and lone_examples(run):
        together = _evaluated(lab, run, "C28", Patch("batchnorm", "running"))
        yield replace(together, diff="+ # batches of more examples, or nn.GroupNorm in the place of BatchNorm")
        if together.status == "confirmed":
            return
    for sign in turned(lab, run, asked):
        yield sign
        if sign.status == "confirmed":
            return
    for filled in filled_labels(run)[:_MOST_FILLS] if "D24" not in asked else ():
        masked = lab.try_patch(
            "D24", [Patch.parse(filled.patch)], steps=_MODE_STEPS, margin=tenth_of_error, refute=False
        )
        yield replace(masked, diff=_WITHOUT_MISSING)
        if masked.status == "confirmed":
            return
    if "D25" not in asked and (vocabulary := cut_vocabulary(run)) is not None:
        whole = lab.try_patch("D25", [Patch.parse(vocabulary.patch)], steps=_LONG_STEPS, margin=_fivefold, refute=False)
        yield replace(whole, diff=f"- {vocabulary.location.code}\n+ # the same with more words")
        if whole.status == "confirmed":
            return
    for measured in _by_the_script_s_measure(lab, run, asked):
        yield measured
        if measured.status == "confirmed":
            return
    for code, patch, diff in suspicions(run):
        if code not in asked:
            mended = lab.try_patch(code, [Patch.parse(patch)], steps=_SHORT_STEPS, refute=False)
            yield replace(mended, diff=diff)
            if mended.status == "confirmed":
                return
    held = {path: _SHORT_STEPS for path, (_, of) in frozen_at_random(run).items() if not meant_to_be_random(of)}
    held |= dict.fromkeys(frozen_tables(run), _LONG_STEPS)  # of rows that are rare something is learnt late
    for path, steps in held.items():
        if "P11" not in asked:
            thawed = lab.try_patch("P11", [Patch("unfreeze", path)], steps=steps, margin=_quarter, refute=False)
            yield replace(thawed, diff=f"+ p.requires_grad_(True)  # for each parameter p of {path}")
            if thawed.status == "confirmed":
                return
    permuted = Experiment("S02", "inputs:permute", reason="the targets are no labels of the inputs")
    if _supervised(run):
        permuted = lab.try_patch(
            "S02", [Patch("inputs", "permute")], metrics=("error",), steps=_SHORT_STEPS, seeds=1, purpose="question"
        )
    yield permuted
    if run.maximizes:
        return  # whoever gets further has the larger loss
    found = False
    for experiment in chain(
        _without_regularization(lab, run, permuted),
        _steps_of_another_size(lab, run, asked),
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


def _by_the_script_s_measure(lab: Lab, run: Run, asked: set[str]) -> Iterator[Experiment]:
    """What makes the training loss larger and evaluations better: weights of the classes, no decay of the weights."""
    if "D10" not in asked:
        yield from classes_alike(lab, run)
    if "P13" not in asked and WeightDecayMisapplied().outweighed(run):
        lighter = _evaluated(lab, run, "P13", Patch.parse(WITHOUT), _third)
        yield replace(lighter, diff="+ weight_decay=0, or a hundredth of it")


def _orders_of_evaluations(lab: Lab, run: Run) -> Iterator[Experiment]:
    """Do the numbers of evaluations depend on the order in which they visit the examples?"""
    if evaluated_at_random(run) or evaluated_in_drawn_order(run):
        yield try_order(lab, run)
    for sorting in evaluated_in_sorted_order(run)[:1]:
        # Whoever brings the answers back into the stored order, or sorts the targets, too, has as many right.
        yield lab.try_patch(
            "T09", [Patch.parse(unsorting(sorting))], metrics=("answers", PRINTED),
            steps=max(_SHORT_STEPS, steps_of_evaluations(run)), margin=tenth, evaluates=True, seeds=1, refute=False,
        )  # fmt: skip


def _evaluated(lab: Lab, run: Run, code: str, patch: Patch, margin: Margin | None = None) -> Experiment:
    """Evaluations judge."""
    steps = max(_SHORT_STEPS, steps_of_evaluations(run))
    metrics = ("evaluation", "answers", PRINTED)
    return lab.try_patch(code, [patch], metrics=metrics, steps=steps, evaluates=True, margin=margin, refute=False)


def _supervised(run: Run) -> bool:
    """The loss compares predictions with targets that come with the data: they change as the batches do.

    In contrastive learning the target is the place of a partner, the same in every step.
    """
    calls = [c for c in run.training_calls() if not c.target_requires_grad]
    targets = {(c.target_mean, c.target_std, tuple(c.label_counts or ()), *c.target_shape) for c in calls}
    batches = {b.digest for b in run.batches if b.training}
    return bool(calls) and (len(targets) > 1 or len(batches) == 1)


def _steps_of_another_size(lab: Lab, run: Run, asked: set[str]) -> Iterator[Experiment]:
    """A smaller learning rate; steps that no limit, epsilon or rounding holds back; a larger learning rate."""
    if "P01" not in asked:
        for steps in (_SHORT_STEPS, _LONG_STEPS):
            slower = lab.try_patch("P01", [Patch("lr", "x0.1")], steps=steps, margin=tenth, refute=False)
            yield slower
            if slower.status == "confirmed":
                return
            if not _promises(slower):
                break
    warm_up = _warm_up(run)
    if run.in_regime("finetune") or trains_in_parts(run) or (warm_up is None and not rises_to_the_end(run)):
        return
    held_back = {
        # Whoever is free to learn is soon done: five times as much may be more than there is to gain.
        "P17": (Patch("clip", "off"), clips_hard(run), ((_SHORT_STEPS, _further(run)), (_LONG_STEPS, _fivefold))),
        "P14": (Patch("epsilon", "1e-8"), bool(dominated(run)), ((_LONG_STEPS, _fivefold),)),
        "P20": (
            Patch("precision", "master"),
            any(not u.master for u in run.stored_updates),
            ((_LONG_STEPS, _twofold),),
        ),
    }
    for code, (patch, possible, lengths) in held_back.items():
        for steps, margin in lengths if possible and code not in asked else ():
            freed = lab.try_patch(code, [patch], steps=steps, margin=margin, refute=False)
            yield freed
            if freed.status == "confirmed":
                return
    for more in more_rounds(lab, run) if "P36" not in asked else ():
        yield more
        if more.status == "confirmed":
            return
    yield from _faster(lab, run, _SHORT_STEPS if warm_up == 0 else _LONG_STEPS)


def _faster(lab: Lab, run: Run, first: int) -> Iterator[Experiment]:
    """P02: ten times the learning rate, a hundred times; and for longer, if one is better and not yet by enough."""
    promising = None
    for factor in ("x10", "x100"):
        margin = _further(run) if factor == "x10" else _far_further(run)
        faster = lab.try_patch("P02", [Patch("lr", factor)], steps=first, margin=margin, refute=False)
        yield faster
        if faster.status == "confirmed":
            planned = planned_steps(run) or 0
            if gets_there_by_its_plan(run, faster) and planned <= _MOST_PLANNED:  # how far is the larger one by then?
                yield lab.try_patch("P02", [Patch("lr", factor)], steps=planned, margin=_at_the_end, refute=False)
            return
        if faster.low is None or faster.differences[0] < 0:
            break
        if faster.low > 0:
            promising = factor
    if promising and first < _LONG_STEPS:
        yield lab.try_patch("P02", [Patch("lr", promising)], steps=_LONG_STEPS, margin=_further(run), refute=False)


def _without_inputs(lab: Lab, run: Run) -> Iterator[Experiment]:
    """The inputs made no difference: for how long, and can the model fit anything at all?"""
    still = [Patch("freeze-batch", "8"), Patch("regularization", "off")]
    fit = lab.try_patch("S01", still, steps=_FIT_STEPS, seeds=1, purpose="question")
    yield fit
    if fit.after is not None and fit.start is not None and fit.after > 0.05 * fit.start:
        rescued = [*still, Patch("optimizer", "Adam(0.003)")]
        yield lab.try_patch("S01", rescued, steps=_FIT_STEPS, seeds=1, purpose="question")
    _measure(lab, run, ("neighbours",), _LONG_STEPS)
    for value in ("zero", "permute"):
        yield lab.try_patch(
            "S02", [Patch("inputs", value)], metrics=("evaluation", "error", "loss"), steps=_LONG_STEPS,
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
        yield lab.try_patch("S05", [Patch("regularization", name)], steps=_SHORT_STEPS, margin=_fivefold, refute=False)


def _without_flat_ends(lab: Lab, run: Run, control: Experiment, asked: set[str]) -> Iterator[Experiment]:
    """C07: where the training hardly moves, is it held back by saturating activations?"""
    if control.before is None or control.start is None or control.before < 0.9 * control.start:
        return
    for steps in (_SHORT_STEPS, _LONG_STEPS) if "C07" not in asked and stacked_activation(run) else ():
        swapped = lab.try_patch("C07", [Patch.parse(SWAPPED)], steps=steps, margin=_fivefold, refute=False)
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
    one, other = once.series("loss"), lab.run(Trial(steps=_SHORT_STEPS)).series("loss")
    n = min(len(one), len(other))
    if n:
        one, other = one[:n], other[:n]
        differs = np.flatnonzero(~((one == other) | (np.isnan(one) & np.isnan(other))))
        step = int(differs[0]) if len(differs) else -1
        size = float(abs(one[step] - other[step]) / max(abs(one[step]), 1e-30)) if step >= 0 else 0.0
        result = {"equal": step < 0, "step": step, "difference": size}
        run.records.setdefault("Probe", []).append(Probe("repeat", result))


def _promises(e: Experiment) -> bool:
    """Better by more than the margin on average, and not in every seed: what a rate does to a plateau takes longer."""
    return bool(e.differences) and e.low is not None and e.low > 0 and float(np.mean(e.differences)) > e.margin


def tenth(pair: Pair) -> float:
    """P01: a tenth of what the smaller rate achieved."""
    _, after = pair.blocks()
    return max(0.1 * (pair.untrained() - float(after.mean())), 0.01 * abs(pair.untrained()))


def tenth_of_error(pair: Pair) -> float:
    """L13: a tenth of the error that is left without the patch."""
    before, _ = pair.blocks()
    return 0.1 * abs(float(before.mean()))


def _fivefold(pair: Pair) -> float:
    """The change achieves five times as much, and at least 5 % of the start."""
    return _times(pair, 5)


def _twofold(pair: Pair) -> float:
    """P20: twice as much: nobody rounds away half of the progress on purpose, as one may limit the size of steps."""
    return _times(pair, 2)


def _half(pair: Pair) -> float:
    """L08: half of the loss goes."""
    before, _ = pair.blocks()
    return 0.5 * abs(float(before.mean()))


def _third(pair: Pair) -> float:
    """P13: a third of the error of evaluations goes."""
    return abs(float(pair.blocks()[0].mean())) / 3


def _quarter(pair: Pair) -> float:
    """P11: a quarter of the error goes. Whoever fixes random layers on purpose knows what they cost."""
    return max(0.25 * float(pair.blocks()[0].mean()), 0.05 * abs(pair.start()))


def _times(pair: Pair, factor: float) -> float:
    before, _ = pair.blocks()
    done = max(pair.start() - float(before.mean()), 0.0)
    return max((factor - 1) * done, 0.05 * abs(pair.start()) - done)


def _further(run: Run) -> Margin:
    """P02: five times as much, and more than the watched run achieved in all its steps: who arrives is not too slow."""
    reached = _reached(run)

    def margin(pair: Pair) -> float:
        before, _ = pair.blocks()
        return max(_fivefold(pair), float(before.mean()) - (1 - reached) * abs(pair.start()))

    return margin


def _far_further(run: Run) -> Margin:
    """P02, of a hundredfold rate: as `_further`, or so much that a fifth of the error is left: that is no caution any
    more, which keeps the rate below what is best by a factor of ten perhaps.
    """
    further = _further(run)

    def margin(pair: Pair) -> float:
        before, _ = pair.blocks()
        left = 0.8 * float(before.mean())
        least = float(before.mean()) - (1 - _reached(run)) * abs(pair.start())
        return further(pair) if left <= 0 else min(further(pair), max(left, least))

    return margin


def _at_the_end(pair: Pair) -> float:
    """P02, at the planned end: half of the error goes, where more than a fifth of that of the start is left."""
    before = float(pair.blocks()[0].mean())
    return before / 2 if before > _ARRIVED * abs(pair.start()) else math.inf


def _reached(run: Run) -> float:
    """The part of its first loss by which the watched run's loss had fallen at the end of the watch, at least 0."""
    try:
        losses = run.series(LOSS, _SHORT_STEPS // 2).values
    except NotEnoughEvidence:
        return 0.0
    first, last = float(np.median(losses[:5])), float(losses[-max(5, len(losses) // 16) :].mean())
    return max((first - last) / abs(first), 0.0) if math.isfinite(last) and first else 0.0


def _warm_up(run: Run) -> int | None:
    """Rounds in which the schedule raises the learning rate far beyond that of the first steps; None if it still does,
    or did through more than a third of what was watched or of a trial: a larger rate would always win then.
    """
    try:
        rates = run.table(LEARNING_RATE, 2).values
    except NotEnoughEvidence:
        return None
    early = rates[:_SHORT_STEPS].max(initial=0.0)
    if not (rates.max(initial=0.0) > 1.5 * early or rates[:5].max(initial=0.0) < 0.5 * early):
        return 0
    highest = rates.max(axis=1)
    peak = int((highest >= 0.99 * highest.max()).argmax())
    return peak if 3 * peak <= min(len(highest), _LONG_STEPS) else None
