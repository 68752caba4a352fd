"""C34: running statistics of the last batch, because the momentum is that of another framework."""

from __future__ import annotations

from collections.abc import Iterator

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.recording.run import Run
from flightcheck.recording.states import NEWEST_BATCH, BatchStatistics


@check(
    "C34",
    "batchnorm-momentum-inverted",
    severity="warn",
    evidence="X",
    needs=("batch_statistics", "modules"),
    fix="In PyTorch the momentum of BatchNorm is the weight of the newest batch: 0.1 or less.",
    patch="batchnorm:momentum=0.1",
)
class BatchnormMomentumInverted(Check):
    """A BatchNorm whose momentum makes its running statistics those of the last batch.

    ## What it checks
    The momentum in all training calls of a BatchNorm that were seen is 0.9 or more, and a model is evaluated with its
    running statistics. How far their mean wanders from batch to batch by chance, and how far it was off at the last
    evaluation, in standard deviations of the values: if that is little (large batches), it is information.
    ## Why it matters
    Other frameworks give the weight of the old statistics (0.99), PyTorch that of the new batch. With 0.99 the average
    spans one batch: the evaluated model depends on which examples came last, and its quality jumps.
    ## How to fix
    `momentum=0.1`, the default, or 1 minus the value of the other framework.
    ## Source
    PyTorch, BatchNorm (note on momentum); Keras, BatchNormalization (momentum 0.99).
    ## Known false alarms
    A momentum of 1 in passes without gradients that recalibrate the statistics, None (a plain average), and models that
    are never evaluated in eval mode are silent.
    """

    last_batch = Param(NEWEST_BATCH, "with such a weight of the newest batch the average spans one batch")
    noise = Param(0.1, "standard deviations: the mean of a hundred values is off by that much, and of fewer by more")
    part = Param(1 / 3, "of the noise: statistics that were recalibrated before the evaluation are off by less")

    def __call__(self, run: Run) -> Iterator[Finding]:
        norms = run.batch_statistics
        if not norms:
            raise NotApplicable("no BatchNorm was seen in training or evaluation")
        inverted = [n for n in norms if n.calls and (n.newest_weight or 0.0) >= self.last_batch.value]
        if not inverted:
            return
        evaluated = [n for n in inverted if n.tracked is not None]
        if not evaluated:
            raise NotEnoughEvidence("no evaluation with the running statistics was seen")
        noisy = [n for n in evaluated if self._noisy(n)]
        first = max(noisy or evaluated, key=lambda n: n.noise or 0.0)
        module = run.module(first.module)
        momentum = first.newest_weight or 0.0
        layers = f"{len(evaluated)} BatchNorm layer{'s have' if len(evaluated) > 1 else ' has'}"
        text = f"{layers} momentum {momentum:g}, in PyTorch the weight of the newest batch: evaluations use the "
        text += "statistics of the last batch."
        if first.noise is not None and first.off is not None:
            text += f" Their mean wanders by {first.noise:.2g} standard deviations from batch to batch, and was "
            text += f"{first.off:.2g} off at the last evaluation."
        value = 1 - momentum if 0 < 1 - momentum < 1 else 0.1
        yield Finding(
            text,
            location=module.location if module else None,
            module=module.path if module else "",
            evidence={"momentum": momentum, "layers": len(evaluated), "noise": first.noise, "off": first.off},
            severity=None if noisy else "info",
            fix=f"If {momentum:g} is the value of another framework, PyTorch's is {value:.3g}; the default is 0.1.",
        )

    def _noisy(self, norm: BatchStatistics) -> bool:
        noise = norm.noise or 0.0
        return noise >= self.noise.value and (norm.off or 0.0) >= self.part.value * noise
