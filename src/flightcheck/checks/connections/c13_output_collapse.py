"""C13: the model answers the same for every example."""

from __future__ import annotations

import math
from collections.abc import Iterator

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.checks.depth import at_row, layers, trained_roots
from flightcheck.recording.loss_records import LossCall
from flightcheck.recording.run import Run
from flightcheck.recording.signals import ACTIVATION_RMS, ACTIVATION_SPREAD

CLASSES = ("cross_entropy", "nll_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits")
NUMBERS = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")


@check(
    "C13",
    "output-collapse",
    severity="error",
    evidence="T",
    needs=("loss_calls", ACTIVATION_SPREAD, ACTIVATION_RMS),
    fix="Look for the cause: dead or symmetric layers, a shape mismatch in the loss, a learning rate that is too high.",
)
class OutputCollapse(Check):
    """After many steps, predictions for different examples differ by less than a thousandth of their size.

    ## What it checks
    The standard deviation of the predictions over the batch, relative to their size, in the last observed loss calls
    after step 30, for targets that do differ; where only activations were seen, the output and the last hidden layer.
    ## Why it matters
    The model has learnt a constant: the class shares, or the mean of the target.
    ## How to fix
    A symptom; see the root cause.
    ## Source
    TheDeepChecker; Karpathy's recipe.
    ## Known false alarms
    Not judged before step 30 (zero-initialized heads), for batches under 8, for constant targets, in GANs and in
    reinforcement learning, or for a regression output that only has a large mean.
    """

    armed = Param(30, "steps after which a zero-initialized head has left zero")
    batch = Param(8, "a spread over fewer examples is chance")
    spread = Param(1e-3, "healthy predictions differ by 5 % and more of their size")
    explained = Param(1e-2, "share of the target's deviation; a large mean alone is no collapse")
    calls = Param(2, "one batch may hold look-alikes")

    def __call__(self, run: Run) -> Iterator[Finding]:
        if run.in_regime("gan", "reinforcement", "contrastive"):
            raise NotApplicable("the regime has no targets to predict")
        late = [
            c for c in run.training_calls(*CLASSES, *NUMBERS)
            if c.step >= self.armed.value and c.input_shape and c.input_shape[0] >= self.batch.value
            and c.input_column_spread is not None and math.isfinite(c.input_column_spread)
            and not c.target_requires_grad and _varied(c)
        ]  # fmt: skip
        judged = 0
        for site in sorted({c.site for c in late}):
            here = [c for c in late if c.site == site][-5:]
            if len(here) < self.calls.value:
                continue
            judged += 1
            if all(self._collapsed(c, run.site(c).function) for c in here):
                last, at = here[-1], run.site(here[-1])
                share = (last.input_column_spread or 0.0) / _size(last)
                yield Finding(
                    f"In step {last.step} predictions for different examples differ by {share:.1g} of their size "
                    f"(limit {self.spread.value:g}) while the targets differ: it answers the same for everything.",
                    location=last.input_module_location or at.input_location or at.location,
                    module=last.input_module,
                    evidence={"relative_spread": share, "target_std": last.target_std},
                    onset_step=here[0].step,
                )
        if not judged:
            yield from self._by_activations(run)

    def _collapsed(self, c: LossCall, function: str) -> bool:
        spread = c.input_column_spread or 0.0
        if spread >= self.spread.value * _size(c):
            return False
        return function in CLASSES or spread < self.explained.value * c.target_std

    def _by_activations(self, run: Run) -> Iterator[Finding]:
        spread, rms = run.table(ACTIVATION_SPREAD, 3), run.table(ACTIVATION_RMS, 3)
        sizes = [b.shape[0] for b in run.batches if b.training and b.shape]
        if spread.steps[-3] < self.armed.value or not sizes or min(sizes) < self.batch.value:
            raise NotEnoughEvidence(
                f"outputs were not seen after step {self.armed.value:.0f}, or batches are too small"
            )
        for root in trained_roots(run):
            chosen = layers(run, root)[-2:]
            if len(chosen) < 2:
                continue
            shares = [
                at_row(spread, row, layer.module.index) / max(at_row(rms, row, layer.module.index), 1e-12)
                for layer in chosen
                for row in (-1, -2, -3)
            ]
            if all(s < self.spread.value for s in shares):
                last = chosen[-1].module
                yield Finding(
                    f"The output of {last.path} differs by {max(shares):.1g} of its size between examples (limit "
                    f"{self.spread.value:g}), and so does the layer before it.",
                    location=last.location,
                    module=last.path,
                    evidence={"relative_spread": max(shares)},
                    onset_step=int(spread.steps[-3]),
                )


def _size(c: LossCall) -> float:
    return max(c.input_std, (abs(c.input_min) + abs(c.input_max)) / 2, 1e-12)


def _varied(c: LossCall) -> bool:
    return c.target_std > 0 and (c.target_distinct is None or c.target_distinct >= 2)
