"""C27: an evaluation with running statistics that never caught up with the batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.recording.run import Run
from flightcheck.recording.states import BatchStatistics

_USUAL: Final = 0.1
"""PyTorch's momentum."""


@check(
    "C27",
    "batchnorm-statistics-stale",
    severity="error",
    evidence="B",
    needs=("batch_statistics", "modules"),
    fix="Leave the momentum of BatchNorm at 0.1, or recompute the statistics before evaluating.",
)
class BatchnormStatisticsStale(Check):
    """A model is evaluated with BatchNorm statistics that are still mostly those of its construction.

    ## What it checks
    At the last evaluation, after 44 batches or more: the share (1 - momentum)^batches of the initial mean 0 and
    variance 1 that is left in the running statistics, and how far these are from those of the batches. In a training
    that goes on, the same share at its planned end. Also a copy of a trained model (an average of its weights, say)
    that is evaluated with statistics that no batch has updated.
    ## Why it matters
    In training, BatchNorm uses the batch; in evaluation, the running statistics. If these are wrong, the evaluated
    model is another one: good training loss, bad validation, which looks like overfitting.
    ## How to fix
    `momentum` in PyTorch is the weight of the new batch: what other frameworks call 0.99 is 0.01 here, and needs some
    hundred steps. Use the default, or `torch.optim.swa_utils.update_bn` before evaluating.
    ## Source
    Wu and Johnson 2021, Rethinking "Batch" in BatchNorm; PyTorch, BatchNorm (note on momentum).
    ## Known false alarms
    Statistics that were loaded are not judged. A small momentum in a long training catches up and is not reported. A
    momentum near 1 is C34's.
    """

    batches = Param(44, "0.9^44 is under 1 %: the default momentum has caught up by then")
    left = Param(0.1, "a tenth of the initial values moves normalized outputs by less than usual noise")
    ratio = Param(1.5, "a wrong variance by a half scales every output by more than a fifth")
    shift = Param(0.5, "standard deviations: half of a ReLU's input range around its threshold")
    spoils = Param(10.0, "times the variance, or standard deviations of the mean: outputs lie where no input ever was")

    def __call__(self, run: Run) -> Iterator[Finding]:
        norms = run.batch_statistics
        if not norms:
            raise NotApplicable("no BatchNorm was seen in training or evaluation")
        untouched = self._untouched(run)
        if untouched:
            yield self._never_updated(run, untouched)
            return
        evaluated = [n for n in norms if n.tracked is not None and n.calls]
        if not evaluated:
            raise NotEnoughEvidence("no evaluation with running statistics of its own making was seen")
        judged = [n for n in evaluated if (n.tracked or 0) >= self.batches.value]
        if not judged:
            raise NotEnoughEvidence(f"no evaluation after {self.batches.value:.0f} batches")
        stale = [n for n in judged if self._stale(n)]
        if len(stale) * 2 > len(judged) or any(self._far(n) for n in stale):
            yield from self._report(run, stale)

    def _stale(self, norm: BatchStatistics) -> bool:
        if norm.left <= self.left.value or norm.variance_ratio is None:
            return False
        wrong = not 1 / self.ratio.value <= norm.variance_ratio <= self.ratio.value
        return wrong or (norm.mean_shift or 0.0) > self.shift.value

    def _far(self, norm: BatchStatistics) -> bool:
        """So wrong that one such layer spoils the model."""
        wrong = not 1 / self.spoils.value <= (norm.variance_ratio or 0.0) <= self.spoils.value
        return wrong or (norm.mean_shift or 0.0) > self.spoils.value

    def _untouched(self, run: Run) -> list[BatchStatistics]:
        """Evaluated norms that never saw a batch, of a model of which another instance is trained."""
        modules = {m.index: m for m in run.modules}
        types = {r.index: r.type for r in run.roots}
        root = {n.module: modules[n.module].root for n in run.batch_statistics if n.module in modules}
        trained = {types.get(root[n.module]) for n in run.batch_statistics if n.calls and n.module in root}
        return [
            n
            for n in run.batch_statistics
            if n.tracked == 0 and not n.calls and n.step >= self.batches.value and n.momentum != 0
            and n.module in root and types.get(root[n.module]) in trained
        ]  # fmt: skip

    def _never_updated(self, run: Run, norms: list[BatchStatistics]) -> Finding:
        module = run.module(norms[0].module)
        name = next((r.name for r in run.roots if module and r.index == module.root), "a model")
        inside = module.path.partition(".")[2] if module else ""  # a copy has no line of its own, the original has
        lines = (m.location for m in run.modules if m.path.partition(".")[2] == inside and m.location)
        return Finding(
            f"After step {norms[0].step} {name} is evaluated with BatchNorm statistics that no batch has ever updated "
            f"(mean 0, variance 1), in {len(norms)} layers: its weights follow a model that is trained, its buffers do "
            "not.",
            location=next(lines, None),
            module=module.path if module else "",
            evidence={"batches": 0, "left": 1.0, "layers": len(norms)},
            onset_step=norms[0].step,
            fix="Copy the buffers with the weights (load_state_dict, or AveragedModel(use_buffers=True)), or call "
            "torch.optim.swa_utils.update_bn before evaluating.",
            patch="load:buffers",
        )

    def _report(self, run: Run, stale: list[BatchStatistics]) -> Iterator[Finding]:
        first = max(stale, key=lambda n: n.left)
        if run.info.ended not in ("finished", "exit"):
            planned = (run.plan.epochs or 0) * (run.plan.steps_per_epoch or 0) * run.plan.accumulation
            planned = planned or run.plan.rounds or 0
            if planned <= 0:
                raise NotEnoughEvidence("the training goes on, and may be long enough for the statistics")
            if (1 - (first.momentum or 0.0)) ** planned <= self.left.value:
                return
        module = run.module(first.module)
        ratio, shift = first.variance_ratio or 0.0, first.mean_shift or 0.0
        yield Finding(
            f"The evaluation after {first.tracked} batches uses BatchNorm statistics of which {first.left:.0%} are "
            f"still those of the construction (momentum {first.momentum:g}): the variance is {ratio:.3g} times that of "
            f"the batches, the mean {shift:.2g} standard deviations off, in {len(stale)} BatchNorm layers.",
            location=module.location if module else None,
            module=module.path if module else "",
            evidence={
                "momentum": first.momentum, "batches": first.tracked, "left": first.left, "variance_ratio": ratio,
                "mean_shift": shift,
            },
            onset_step=first.step,
            patch="batchnorm:momentum=0.1" if 0 < (first.momentum or 0.0) < _USUAL else "",
        )  # fmt: skip
