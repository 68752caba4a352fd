"""P30: a distributed sampler that gives the same order in every epoch."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.recording.run import Run


@check(
    "P30",
    "sampler-set-epoch-missing",
    severity="error",
    evidence="X",
    needs=("loaders",),
    fix="Call loader.sampler.set_epoch(epoch) at the start of every epoch.",
)
class SamplerSetEpochMissing(Check):
    """A DistributedSampler shuffles by its epoch number, which never changes: every epoch has the same order.

    ## What it checks
    Seed and epoch number of each training loader's shuffling DistributedSampler, at the start of each pass.
    ## Why it matters
    The order, and so the contents of every batch and the share of every rank, is drawn from seed + epoch. With the
    same number it is the same in every epoch: the batches are fixed for ever, and no rank ever sees another's data.
    ## How to fix
    `loader.sampler.set_epoch(epoch)` before the loop over the batches.
    ## Source
    PyTorch, torch.utils.data.distributed.DistributedSampler (warning in its documentation).
    ## Known false alarms
    None known: samplers with shuffle=False, loaders for evaluation, and frameworks that set the epoch are not reported.
    """

    passes = Param(2, "in one pass there is nothing to repeat")

    def __call__(self, run: Run) -> Iterator[Finding]:
        loaders = [x for x in run.loaders if x.sampler_epochs is not None and x.used_in_training]
        if not loaders:
            raise NotApplicable("no training loader shuffles by the number of an epoch")
        if all(len(x.sampler_epochs or ()) < self.passes.value for x in loaders):
            raise NotEnoughEvidence("the data was passed over only once in the watched steps")
        for loader in loaders:
            epochs = loader.sampler_epochs or []
            if len(epochs) < self.passes.value or any(a != b for a, b in pairwise(epochs)):
                continue
            ranks = f" and each of {loader.sampler_replicas} ranks the same part" if loader.sampler_replicas > 1 else ""
            yield Finding(
                f"The sampler's seed and epoch were the same in all {len(epochs)} passes over the training "
                f"data: every epoch has the same order{ranks}.",
                location=loader.iterator_location or loader.location,
                evidence={"epochs": epochs, "replicas": loader.sampler_replicas},
            )
