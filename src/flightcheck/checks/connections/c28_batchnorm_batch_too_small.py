"""C28: a batch normalization over two or three values."""

from __future__ import annotations

from collections.abc import Iterator

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.recording.run import Run


@check(
    "C28",
    "batchnorm-batch-too-small",
    severity="warn",
    evidence="T",
    needs=("batch_statistics", "modules"),
    fix="Use a larger batch, or GroupNorm or LayerNorm, which do not look at other examples.",
)
class BatchnormBatchTooSmall(Check):
    """BatchNorm computes mean and variance from so few values that its output is mostly noise.

    ## What it checks
    Values per channel (batch size times positions) in the training calls of each BatchNorm: the median over calls.
    ## Why it matters
    From two values the normalized ones are always -1 and 1: only the order of the two examples is left. From four, the
    standard deviation is wrong by 40 %, and the running statistics of the evaluation differ from all that was trained.
    ## How to fix
    A larger batch, GroupNorm, LayerNorm, or SyncBatchNorm where several devices hold parts of the batch.
    ## Source
    Wu and He 2018, Group Normalization (the error of BatchNorm grows as batches get small). Threshold our own.
    ## Known false alarms
    SyncBatchNorm, and BatchNorm in eval mode, are not counted. A single small BatchNorm among large ones, as after
    global pooling, is information.
    """

    values = Param(4, "the relative error of a standard deviation from m values is 1/sqrt(2(m-1)): 41 % from four")
    calls = Param(3, "a last batch that is not full is small once per epoch")
    share = Param(0.5, "of the BatchNorm layers: else it is one branch, as after global pooling")

    def __call__(self, run: Run) -> Iterator[Finding]:
        norms = [n for n in run.batch_statistics if n.calls and not n.synchronized]
        if not norms:
            raise NotApplicable("no BatchNorm was seen in training mode")
        seen = [n for n in norms if n.calls >= self.calls.value and n.values is not None]
        if not seen:
            raise NotEnoughEvidence(f"BatchNorm was seen in fewer than {self.calls.value:.0f} training calls")
        small = [n for n in seen if (n.values or 0.0) <= self.values.value]
        if not small:
            return
        least = min(small, key=lambda n: n.values or 0.0)
        module = run.module(least.module)
        count = int(least.values or 0)
        error = 100 / (2 * max(1, count - 1)) ** 0.5
        yield Finding(
            f"{len(small)} of {len(seen)} BatchNorm layers normalize over {count} values per channel"
            + (
                ": the result is always -1 or 1." if count == 2 else f": their deviation is uncertain by {error:.0f} %."
            ),
            location=module.location if module else None,
            module=module.path if module else "",
            evidence={"values": least.values, "layers": len(small), "of": len(seen)},
            severity=None if len(small) >= self.share.value * len(seen) else "info",
        )
