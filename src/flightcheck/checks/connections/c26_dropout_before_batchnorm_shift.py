"""C26: dropout gives batch normalization another variance in training than in evaluation."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.recording.records import ModuleInfo
from flightcheck.recording.run import Run


@check(
    "C26",
    "dropout-before-batchnorm-shift",
    severity="warn",
    evidence="T",
    needs=("Probe", "modules"),
    fix="Move dropout behind the last BatchNorm, lower p, or recompute the statistics (update_bn) with dropout off.",
    preview=True,
)
class DropoutBeforeBatchnormShift(Check):
    """Running variances were taken with dropout; without it the inputs have others, and the evaluation is worse.

    ## What it checks
    In a trial, after 44 steps or more: the statistics of each BatchNorm anew over the last eight training batches, once
    with dropout and once without; then the loss of these batches in eval mode with both. Weights, batches and mode are
    the same. The variance of a layer differs by more than the factor 1.18, and with the statistics taken without
    dropout the loss is lower by more than a tenth and 0.05, in a signed-rank test over the batches with p < 0.01.
    ## Why it matters
    Dropout keeps the mean and enlarges the variance. In evaluation it is off: BatchNorm then divides by too much, in
    each layer again, and the model is a worse one than was trained.
    ## How to fix
    Dropout behind the last BatchNorm, a smaller p, or `torch.optim.swa_utils.update_bn` with dropout in eval mode.
    ## Source
    Li, Chen, Hu and Yang 2019, Understanding the Disharmony between Dropout and Batch Normalization by Variance Shift;
    catalogue C26; limits ours.
    ## Known false alarms
    The order alone is never reported: in wide layers it does little (Wide ResNet). What was measured are training
    batches: on other data the gain may be smaller.
    """

    calls = Param(44, "training calls: before that the weights are those of the initialization")
    ratio = Param(1.18, "factor of the variance; dropout of a tenth on ReLU outputs makes 1.16; catalogue C26")
    relative = Param(0.1, "of the loss in eval mode, as for C25")
    absolute = Param(0.05, "nats, where the loss is small, as for C25")
    p = Param(0.01, "the level of all experiments; eight batches out of eight give 0.004")

    def __call__(self, run: Run) -> Iterator[Finding]:
        if run.in_regime("gan", "reinforcement", "contrastive", "self-supervised", "second-order"):
            raise NotApplicable("the loss of a batch is not that of its examples, or no measure of them")
        trained = {r.index for r in run.roots if r.train_calls}
        kinds = {m.kind for m in run.modules if m.root in trained}
        if not kinds >= {"dropout", "batchnorm"}:
            raise NotApplicable("no model with dropout and batch normalization")
        found = run.probe("modes").result
        if "shift" not in found or found["calls"] < self.calls.value:
            raise NotEnoughEvidence("statistics with and without dropout were not compared")
        shift = found["shift"]
        one, other = np.array(shift["with"]), np.array(shift["without"])
        before, after = float(one.mean()), float(other.mean())
        if not np.isfinite([before, after]).all():
            raise NotEnoughEvidence("the loss is not finite")
        norms = [n for n in shift["norms"] if abs(np.log(max(n["ratio"], 1e-12))) > np.log(self.ratio.value)]
        if not norms or before - after <= max(self.relative.value * abs(before), self.absolute.value):
            return
        from scipy import stats  # type: ignore[import-untyped] # slow to import, and `list` needs it not

        p = float(stats.wilcoxon(one, other, alternative="greater").pvalue)
        if p >= self.p.value:
            return
        most = max(norms, key=lambda n: abs(np.log(max(n["ratio"], 1e-12))))
        module = next((m for m in run.modules if m.path.partition(".")[2] == most["path"]), None)
        dropout = _dropout_before(run, module)
        place = dropout or module
        yield Finding(
            f"In eval mode the last {len(one)} training batches have a loss of {before:.3g} with BatchNorm statistics "
            f"taken with dropout, and of {after:.3g} with those taken without (p = {p:.2g}): dropout changes the "
            f"variance before {module.path if module else most['path']} by the factor {1 / most['ratio']:.2f}, and in "
            f"{len(norms)} of {len(shift['norms'])} BatchNorm layers by more than {self.ratio.value:g}.",
            location=place.location if place else None,
            module=place.path if place else "",
            evidence={"with": before, "without": after, "p": p, "ratio": most["ratio"], "layers": len(norms)},
            patch=f"dropout:{dropout.path}=0" if dropout else "",
        )


def _dropout_before(run: Run, norm: ModuleInfo | None) -> ModuleInfo | None:
    """The dropout that is called last before the batch normalization."""
    if norm is None:
        return None
    before = [m for m in run.modules if (m.kind, m.root) == ("dropout", norm.root) and 0 <= m.order < norm.order]
    return max(before, key=lambda m: m.order, default=None)
