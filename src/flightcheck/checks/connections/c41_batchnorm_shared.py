"""C41: one batch normalization behind several layers."""

from __future__ import annotations

from collections.abc import Iterator

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.checks.connections.c25_train_eval_gap import TrainEvalGap
from flightcheck.recording.run import Run
from flightcheck.recording.states import BatchStatistics


@check(
    "C41",
    "batchnorm-shared",
    severity="error",
    evidence="B",
    needs=("batch_statistics", "modules"),
    fix="Give each place of the forward pass a BatchNorm of its own: running statistics belong to one distribution.",
    patch="batchnorm:each",
)
class BatchnormShared(Check):
    """One BatchNorm is called several times in a pass, on values so different that its running statistics fit none.

    ## What it checks
    A BatchNorm that is called more than once while its model runs. The running statistics before and after each call
    tell mean and variance of that call's values: at one of the places they are off from those of all places together by
    more than half a standard deviation, or by a factor of the variance, for most channels. And the model is evaluated
    with the running statistics. Likewise of several passes of one training step, each over a batch of its own kind;
    then only where the last training batches have a larger loss in eval mode and BatchNorm makes that (C25).
    ## Why it matters
    In training each call normalizes its own batch, so nothing shows. In evaluation all calls get the mixture, and each
    layer is shifted and scaled by it: a low training loss, and a model that is evaluated as another one. It looks like
    overfitting.
    ## How to fix
    `self.bn1, self.bn2 = …` in the place of one `self.bn`; a layer without parameters (ReLU, pooling) may be shared.
    ## Source
    Ioffe and Szegedy 2015 (statistics of each activation); Cooijmans et al. 2017, Recurrent Batch Normalization
    (statistics of each time step). Thresholds our own.
    ## Known false alarms
    Shared layers on inputs of one distribution (twins of a siamese network) have the same statistics, and are silent.
    Discriminators that see real and made examples in calls of their own are not judged.
    """

    shift = Param(0.5, "standard deviations: half of what separates two classes that a linear layer tells apart")
    ratio = Param(2.0, "of variances: every value of that place is scaled by 1.4 or its inverse")
    batches = Param(44, "0.9^44 is under 1 %: the mixture, and no longer the initial statistics, is what is evaluated")

    def __call__(self, run: Run) -> Iterator[Finding]:
        norms = [n for n in run.batch_statistics if n.uses > 1 or n.passes > 1]
        if not norms:
            raise NotApplicable("no BatchNorm was called more than once in a pass, or in several passes of a step")
        if run.in_regime("gan"):
            raise NotApplicable("players see other examples than those of the evaluation on purpose")
        within = [n for n in norms if n.uses > 1]
        if not within:
            yield from self._of_passes(run, norms)
            return
        norms = within
        seen = [n for n in norms if n.use_shift is not None and n.use_ratio is not None]
        if not seen:
            raise NotEnoughEvidence("the statistics of the single calls are not known yet")
        apart = [n for n in seen if self._apart(n)]
        if not apart:
            return
        evaluated = [n for n in apart if (n.tracked or 0) >= self.batches.value]
        if not evaluated:
            raise NotEnoughEvidence(f"no evaluation with the running statistics after {self.batches.value:.0f} batches")
        worst = max(evaluated, key=lambda n: (n.use_shift or 0.0, n.use_ratio or 0.0))
        module = run.module(worst.module)
        name = module.path if module is not None else "a BatchNorm"
        yield Finding(
            f"{name} is called {worst.uses} times in each pass, on values of other statistics: at one place their mean "
            f"is {worst.use_shift:.2g} standard deviations off that of all, and their variance differs by a factor of "
            f"{worst.use_ratio:.2g}. Evaluations normalize all of them with the mixture.",
            location=module.location if module is not None else None,
            module=module.path if module is not None else "",
            evidence={
                "uses": worst.uses, "shift": worst.use_shift, "ratio": worst.use_ratio, "layers": len(evaluated),
            },
            onset_step=worst.step,
        )  # fmt: skip

    def _of_passes(self, run: Run, norms: list[BatchStatistics]) -> Iterator[Finding]:
        """Passes over batches of different kinds, each normalized by itself, and evaluations with the mixture."""
        if run.in_regime("contrastive", "self-supervised", "second-order", "reinforcement"):
            raise NotApplicable("passes of other examples than those of the evaluation, on purpose")
        apart = [n for n in norms if self._apart(n) and (n.tracked or 0) >= self.batches.value]
        if not apart:
            return
        worse = [f for f in TrainEvalGap()(run) if f.evidence.get("module") == "batchnorm"]
        if not worse:
            return
        worst = max(apart, key=lambda n: (n.use_shift or 0.0, n.use_ratio or 0.0))
        module = run.module(worst.module)
        name = module.path if module is not None else "a BatchNorm"
        gap = worse[0].evidence
        yield Finding(
            f"Each training step passes {worst.passes} batches of different statistics through {name}: the mean of one "
            f"is {worst.use_shift:.2g} standard deviations off that of all, and its variance differs by a factor of "
            f"{worst.use_ratio:.2g}. Evaluations normalize both with the mixture: on the last training batches "
            f"the loss is {gap['train']:.3g} in train mode and {gap['eval']:.3g} in eval mode.",
            location=module.location if module is not None else None,
            module=module.path if module is not None else "",
            evidence={
                "passes": worst.passes, "shift": worst.use_shift, "ratio": worst.use_ratio, "layers": len(apart),
                "train": gap["train"], "eval": gap["eval"],
            },
            onset_step=worst.step,
            fix="Give each kind of batch a BatchNorm of its own, or put both into one batch; running statistics belong "
            "to one distribution.",
            patch="batchnorm:nearest",
        )  # fmt: skip

    def _apart(self, norm: BatchStatistics) -> bool:
        return (norm.use_shift or 0.0) > self.shift.value or (norm.use_ratio or 1.0) > self.ratio.value
