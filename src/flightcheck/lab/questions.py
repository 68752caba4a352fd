"""What no single run can show: is it repeatable, who sees whom, are inputs used, is another step size better?"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Final

import numpy as np

from flightcheck.checks.connections.c07_vanishing_gradient import SWAPPED, stacked_activation
from flightcheck.checks.connections.c25_train_eval_gap import depends_on_mode
from flightcheck.checks.loss.l13_loss_terms_unbalanced import has_several_terms
from flightcheck.checks.start.s02_input_ignored_entirely import makes_little_difference
from flightcheck.checks.start.s05_regularizer_blocks_fit import gets_going, strongest_dropout
from flightcheck.lab.experiments import Lab
from flightcheck.lab.margins import fivefold
from flightcheck.lab.particulars import particulars
from flightcheck.lab.step_sizes import LONG_STEPS, SHORT_STEPS, steps_of_another_size
from flightcheck.lab.trials import Trained, Trial
from flightcheck.patch import Patch
from flightcheck.recording.experiments import Experiment, Probe
from flightcheck.recording.run import Run

_FIT_STEPS: Final = 400
_LEAK_STEPS: Final = 4
_MODE_STEPS: Final = 120
_SHORT_AND_LONG: Final[tuple[int, ...]] = (SHORT_STEPS, LONG_STEPS)


def who_sees_whom(lab: Lab, run: Run) -> None:
    """What a few steps show: whose output depends on whom, are gradients right, is the training repeatable?"""
    _repeated(lab, run, _measure(lab, run, ("leaks", "gradients"), _LEAK_STEPS))


def questions(lab: Lab, run: Run, asked: set[str]) -> Iterator[Experiment]:
    """What no single run can show: are inputs used, is anything held back, is the learning rate far off?"""
    for particular in particulars(lab, run, asked):
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
    moved = control.before is None or control.start is None or control.before < 0.9 * control.start
    if moved or gets_going(run):
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
