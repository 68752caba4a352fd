"""T12: the best model is not what is kept as the best."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import PurePath

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.recording.kept_states import KeptState
from flightcheck.recording.run import Run
from flightcheck.recording.signals import LOSS

_VALIDATION = re.compile(r"(?:^|_)(?:val|valid|validation|dev|holdout|heldout|held_out)(?:_|$)")
_SEVERAL = 3
"""Values by which a model was kept."""


@check(
    "T12",
    "best-not-kept",
    severity="error",
    evidence="X",
    needs=("kept_states", "evaluations"),
    fix="Keep copy.deepcopy(model.state_dict()), or save it to a file, whenever the validation metric is better.",
)
class BestNotKept(Check):
    """What is kept as the best model is the last one, or the worst.

    ## What it checks
    A `state_dict()` that is kept where a metric is better than before, without a copy: its tensors are the weights that
    go on training, so that loading or saving it in the end gives those of the last step (seen by the memory they lie
    in); likewise `best_model = model`. The comparison by which a model is kept: the wrong way round for its metric, by
    the metric's name, by what computes it (a share of equal elements is an accuracy, whatever its name) and by the
    losses of the evaluations; or one that its first value never lets be true. A comparison of training losses, always
    beside an evaluation whose printed number is called a validation. In a finished training: whether the best
    evaluation was long ago, and no state was taken then.
    ## Why it matters
    The test result is that of another model than the one that was chosen, and early stopping stops in vain.
    ## How to fix
    `best = copy.deepcopy(model.state_dict())`; `<` for losses and errors from `inf` on, `>` for accuracies from
    `-inf` on.
    ## Source
    PyTorch's notes on saving the best model ("best_model_state will keep getting updated"); SageMaker Debugger,
    Overtraining.
    ## Known false alarms
    A state that is saved in a file at once is a copy. Metrics whose names say nothing (`score`, `value`) are judged
    where all ways to their computation agree; those of the worst case are not.
    """

    evaluations = Param(8, "evaluations: fewer say little of where the best one lies")
    never = Param(3, "evaluations without a model kept: the first one always is the best so far")
    ago = Param(0.2, "of the training since the best evaluation (SageMaker's patience is of this size)")
    worse = Param(0.05, "of the best loss: less is noise")
    tracks = Param(1e-3, "relative: the metric is the loss that the evaluation had")

    def __call__(self, run: Run) -> Iterator[Finding]:
        if not run.kept_states or not run.info.steps:
            raise NotApplicable("nothing was trained")
        found = [f for k in run.kept_states for f in self._of(run, k)]
        yield from found
        if found:
            return
        if any(k.kind == "direction" for k in run.kept_states) and not run.evaluations:
            raise NotEnoughEvidence("no evaluation was seen")
        yield from self._long_ago(run)

    def _of(self, run: Run, kept: KeptState) -> Iterator[Finding]:
        if kept.kind == "reference":
            yield self._by_reference(kept)
        elif kept.kind == "direction" and kept.never:
            yield self._never(kept)
        elif kept.kind == "direction":
            yield from self._direction(run, kept)

    @staticmethod
    def _by_reference(kept: KeptState) -> Finding:
        loaded = f" Line {kept.load_location.line} loads them into itself." if kept.load_location else ""
        what = "This is the model that trains on under another name" if kept.module else "These are no copies"
        held = "its weights change" if kept.module else "the weights in it change"
        return Finding(
            f"{what}: {held} with each further step, so that the last model is kept and not the best.{loaded}",
            location=kept.location,
            evidence={"steps": kept.steps, "module": kept.module, "loaded": kept.load_location is not None},
            patch="" if kept.module else _patch("copied", kept),
            fix="best_model = copy.deepcopy(model)" if kept.module else "copy.deepcopy(model.state_dict())",
        )

    @staticmethod
    def _never(kept: KeptState) -> Finding:
        order = ">" if kept.higher else "<"
        return Finding(
            f"{kept.best} begins with {kept.initial:g}, and {kept.metric} {order} {kept.best} is never true: no model "
            "is kept.",
            location=kept.location,
            evidence={"metric": kept.metric, "initial": kept.initial},
            fix=f"Begin with float('{'-inf' if kept.higher else 'inf'}'), or compare the other way round.",
        )

    def _direction(self, run: Run, kept: KeptState) -> Iterator[Finding]:
        losses = [e.loss_value for e in run.evaluations if e.loss_value is not None]
        if not kept.higher and kept.initial == 0.0 and not kept.values and kept.meaning == "lower":
            if len(losses) >= self.never.value and min(losses) > 0:
                yield Finding(
                    f"{kept.best} begins with 0, and {kept.metric} < {kept.best} was never true in {len(losses)} "
                    "evaluations: no model is kept.",
                    location=kept.location,
                    evidence={"metric": kept.metric, "initial": 0.0, "evaluations": len(losses)},
                    fix="Begin with float('inf').",
                )
            return
        if self._is_training_loss(run, kept):
            yield self._by_training_loss(run, kept)
            return
        meaning = kept.meaning
        by_loss = len(set(kept.values)) > 1 and all(
            any(math.isclose(v, x, rel_tol=self.tracks.value) for x in losses) for v in kept.values
        )
        if by_loss and kept.meaning != "higher":
            meaning = "lower"
        if not meaning or (meaning == "higher") == kept.higher:
            return
        worst = "lowest" if meaning == "higher" else "highest"
        yield Finding(
            f"This keeps the model with the {worst} {kept.metric}, that is the worst one"
            + (f": {', '.join(f'{v:.4g}' for v in kept.values[:4])} …" if len(kept.values) > 1 else "")
            + ".",
            location=kept.location,
            evidence={"metric": kept.metric, "values": kept.values[:8], "by_loss": by_loss, "meaning": meaning},
            patch=_patch("turned", kept),
            fix=f"{kept.metric} {'>' if meaning == 'higher' else '<'} {kept.best}, which begins with "
            f"float('{'-inf' if meaning == 'higher' else 'inf'}').",
        )

    def _is_training_loss(self, run: Run, kept: KeptState) -> bool:
        """What chooses is the loss of the last training step, or the mean over an epoch, each time beside an evaluation
        that the script itself calls a validation.
        """
        if len(set(kept.values)) < _SEVERAL or not any(_VALIDATION.search(m.name) for m in run.metrics):
            return False
        if not set(kept.kept_at) <= {e.step for e in run.evaluations if e.losses or e.metrics}:
            return False
        if LOSS.name not in run.frames:
            return False
        series = run.series(LOSS)
        known = dict(zip(series.steps.tolist(), series.values.tolist(), strict=True))
        for length in {1, run.plan.steps_per_epoch or 1}:
            windows = [[known.get(s - 1 - i) for i in range(length)] for s in kept.kept_at]
            means = [sum(w) / length if None not in w else math.nan for w in windows]  # type: ignore[arg-type]
            if all(math.isclose(m, v, rel_tol=self.tracks.value) for m, v in zip(means, kept.values, strict=True)):
                return True
        return False

    @staticmethod
    def _by_training_loss(run: Run, kept: KeptState) -> Finding:
        name = next(m.name for m in run.metrics if _VALIDATION.search(m.name))
        return Finding(
            f"The model is kept by its training loss ({', '.join(f'{v:.4g}' for v in kept.values[:4])} …), not by the "
            f"validation that is made each time ({name}): that prefers what is learnt by heart.",
            location=kept.location,
            evidence={"metric": kept.metric, "values": kept.values[:8], "by": "training loss", "validation": name},
            severity="warn",
            fix=f"Compare the number of the validation with {kept.best}.",
        )

    def _long_ago(self, run: Run) -> Iterator[Finding]:
        told = [(e.step, e.loss_value, e.location) for e in run.evaluations if e.loss_value is not None]
        told = [t for t in told if t[2] == told[0][2]]
        if run.info.ended != "finished" or len(told) < self.evaluations.value:
            return
        steps, losses = [t[0] for t in told], [float(t[1] or 0.0) for t in told]
        best = losses.index(min(losses))
        late = run.info.steps - steps[best] > self.ago.value * run.info.steps
        if (
            not late
            or not all(map(math.isfinite, losses))
            or losses[-1] - losses[best] <= self.worse.value * abs(losses[best])
        ):
            return
        taken = [s for k in run.kept_states if k.kind == "saved" for s in k.kept_at]
        if any(steps[best] <= s <= steps[best + 1] for s in taken if best + 1 < len(steps)):
            return
        yield Finding(
            f"The evaluation after step {steps[best]} was the best one (loss {losses[best]:.4g}, {losses[-1]:.4g} in "
            "the end), and no state of the model was taken then.",
            location=told[0][2],
            evidence={"best": losses[best], "last": losses[-1], "step": steps[best]},
            onset_step=steps[best],
            severity="info",
        )


def _patch(rule: str, kept: KeptState) -> str:
    line = kept.location
    return f"source:{rule}:{PurePath(line.file).name}:{line.line}" if line is not None else ""
