"""C28: a batch normalization over two or three values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.recording.run import Run
from flightcheck.recording.states import BatchStatistics

_METRICS: Final = {"evaluation": "the loss of the evaluation", "answers": "the share of wrong answers"}


@check(
    "C28",
    "batchnorm-batch-too-small",
    severity="warn",
    evidence="T",
    needs=("batch_statistics", "modules", "experiments"),
    fix="Use a larger batch, or GroupNorm or LayerNorm, which do not look at other examples.",
)
class BatchnormBatchTooSmall(Check):
    """BatchNorm computes mean and variance from so few values that its output is mostly noise.

    ## What it checks
    Values per channel (batch size times positions) in the training calls of each BatchNorm: the median over calls. And
    batches of a single example, whatever its size, if the model is evaluated with the running statistics: a note, and a
    warning if in a trial whose training steps normalize with these statistics, too, the evaluation is better.
    ## Why it matters
    From two values the normalized ones are always -1 and 1: only the order of the two examples is left. From four, the
    standard deviation is wrong by 40 %, and the running statistics of the evaluation differ from all that was trained.
    A single image is normalized by itself: how bright it is, and how strong its contrast, is gone in training, and back
    in the evaluation.
    ## How to fix
    A larger batch, GroupNorm, LayerNorm, or SyncBatchNorm where several devices hold parts of the batch.
    ## Source
    Wu and He 2018, Group Normalization (the error of BatchNorm grows as batches get small). Threshold our own.
    ## Known false alarms
    SyncBatchNorm, and BatchNorm in eval mode, are not counted. A single small BatchNorm among large ones, as after
    global pooling, is information. Single images are normalized by themselves on purpose where style is transferred.
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
            yield from self._alone(run)
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

    def _alone(self, run: Run) -> Iterator[Finding]:
        """Each example is normalized by itself in training, and by all of them in evaluations."""
        norms = lone_examples(run)
        if not norms:
            return
        module = run.module(norms[0].module)
        proof = next((e for e in run.experiments if (e.question, e.status) == ("C28", "confirmed")), None)
        text = (
            f"{len(norms)} BatchNorm layers are given one example at a time: training normalizes each by itself, and "
        )
        text += "evaluations by the running statistics of all."
        if proof is not None and proof.before is not None and proof.after is not None:
            what = _METRICS.get(proof.metric, proof.metric.removeprefix("printed "))
            text += (
                f" Where training does as evaluations do, {what} goes from {proof.before:.3g} to {proof.after:.3g}, "
            )
            text += f"in each of {proof.seeds} seeds."
        yield Finding(
            text,
            location=module.location if module else None,
            module=module.path if module else "",
            evidence={"examples": 1, "layers": len(norms)},
            severity=None if proof is not None else "info",
        )


def lone_examples(run: Run) -> list[BatchStatistics]:
    """Batch normalizations that were given one example in each training call, and are evaluated with their running
    statistics.
    """
    least = BatchnormBatchTooSmall.calls.value
    norms = [n for n in run.batch_statistics if n.calls >= least and not n.synchronized]
    alone = [n for n in norms if n.examples == 1 and n.fewest == n.most and n.tracked]
    return alone if len(alone) * 2 > len(norms) else []
