"""D21: a sampler that never draws most of the examples."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.recording.inputs import DatasetInfo
from flightcheck.recording.records import Location
from flightcheck.recording.row_slices import RowSlices
from flightcheck.recording.run import Run
from flightcheck.recording.samplers import SamplerInfo


@check(
    "D21",
    "sampler-misses-examples",
    severity="error",
    evidence="X",
    needs=("samplers", "datasets"),
    fix="Give the sampler one weight per example: class_weights[labels].",
)
class SamplerMissesExamples(Check):
    """Most of the training examples are never drawn: the sampler has weights or indices for a few of them only.

    ## What it checks
    `WeightedRandomSampler` with fewer weights than the dataset has examples, most often one per class: what comes
    after the last weight is never drawn. Indices of a `Subset` or `SubsetRandomSampler` that are truth values (a mask):
    each is read as the number 0 or 1. Exact facts of attributes; nothing is drawn for it. A pass that draws a small
    part of the examples is information; one that draws as many as there are classes is a warning. Batches that the
    script cuts out of a tensor itself: slices that overlap, begin at the same few rows again and again, and leave out
    most of the tensor (``x[i : i + size]`` for batch ``i``).
    ## Why it matters
    Nothing fails: batches are full, the loss falls quickly, because a handful of examples is learnt by heart.
    ## How to fix
    `weights = 1 / torch.bincount(labels)`, then `WeightedRandomSampler(weights[labels], len(labels))`; of a mask its
    indices, `mask.nonzero().flatten()`.
    ## Source
    PyTorch documentation of `torch.utils.data.WeightedRandomSampler`: a weight is that of an index of the dataset.
    ## Known false alarms
    A dataset whose first examples alone are to be drawn; where that is more than half of them, or another loader draws
    from a part of the same dataset, it is information.
    """

    share = Param(0.5, "weights for most of the examples may be a split of the dataset on purpose")
    drawn = Param(0.1, "short passes over large data are common; below a tenth one may have meant another number")

    calls = Param(40, "slices seen: fewer may be the beginning of a pass")
    begun = Param(8, "different first rows: fewer may be a handful of chosen windows")

    def __call__(self, run: Run) -> Iterator[Finding]:
        sliced = list(self._slices(run))
        yield from sliced
        if sliced:
            return
        sources = {d.source: d for d in run.datasets}
        trained = [(s, sources[s.source]) for s in run.samplers if s.source in sources and sources[s.source].trained]
        if not trained:
            if not run.datasets:
                raise NotApplicable("no DataLoader gives the batches")
            raise NotEnoughEvidence("no batch of a DataLoader fed a training step that was seen")
        for sampler, dataset in trained:
            examples = sampler.examples or 0
            if sampler.masked:
                yield self._mask(run, sampler, dataset)
            elif sampler.weights is not None and 0 < sampler.weights < examples:
                yield self._too_few(run, sampler, dataset, sampler.weights, examples)
            elif sampler.draws is not None and 0 < sampler.draws < self.drawn.value * examples:
                yield self._short(run, sampler, dataset, sampler.draws)

    def _slices(self, run: Run) -> Iterator[Finding]:
        """Batches cut by hand that begin one row after another: the number of the batch taken for its first row."""
        for s in run.recorded(RowSlices):
            reached = s.last + s.rows - s.first
            enough = s.calls >= self.calls.value and s.starts >= self.begun.value and s.since_new >= s.starts
            if enough and s.gap == 1 < s.rows and reached < self.share.value * s.examples:
                yield Finding(
                    f"The batches of {s.rows} rows begin at {s.starts} different rows, from {s.first} to {s.last}, one "
                    f"after another: they overlap, and of {s.examples} examples only {reached} are "
                    f"ever seen (no new one in the last {s.since_new} of {s.calls} steps).",
                    location=s.location or next((b.origin for b in run.batches if b.root == s.root), None),
                    evidence={"rows": s.rows, "starts": s.starts, "gap": s.gap, "examples": s.examples},
                    fix=f"Begin batch i at row i * {s.rows}: x[i * size : (i + 1) * size].",
                    patch=f"source:apart:{PurePath(s.location.file).name}:{s.location.line}" if s.location else "",
                )

    def _too_few(self, run: Run, sampler: SamplerInfo, dataset: DatasetInfo, weights: int, examples: int) -> Finding:
        shared = any(
            o.shared == dataset.shared and o.source != dataset.source and self._part(run, o) for o in run.datasets
        )
        on_purpose = weights > self.share.value * examples or shared
        classes = max((len(c.label_counts or []) for c in run.training_calls()), default=0)
        per_class = ", it seems one per class," if 1 < classes <= weights <= 2 * classes else ""
        return Finding(
            f"{sampler.type} has {weights} weights{per_class} and the dataset {examples} examples: only the first "
            f"{weights} are ever drawn.",
            location=sampler.location or self._loader(run, dataset),
            evidence={"weights": weights, "examples": examples, "classes": classes},
            severity="info" if on_purpose else None,
            patch="sampler:examples",
        )

    def _short(self, run: Run, sampler: SamplerInfo, dataset: DatasetInfo, draws: int) -> Finding:
        per_class = draws == len(sampler.class_counts or ())
        as_many = ", as many as the dataset has classes" if per_class else ""
        return Finding(
            f"One pass draws {draws} of {sampler.examples} examples ({sampler.type}){as_many}.",
            location=sampler.location or self._loader(run, dataset),
            evidence={"draws": draws, "examples": sampler.examples},
            severity="warn" if per_class else "info",
            fix="Say num_samples=len(dataset), if a pass over all of them is meant.",
        )

    def _mask(self, run: Run, sampler: SamplerInfo, dataset: DatasetInfo) -> Finding:
        return Finding(
            "The indices of the subset are truth values: False is read as the number 0 and True as 1, so that only two "
            "different examples are ever drawn.",
            location=sampler.location or self._loader(run, dataset),
            evidence={"masked": True, "examples": sampler.examples},
            fix="Give it the indices of the mask: mask.nonzero().flatten().tolist().",
        )

    @staticmethod
    def _part(run: Run, dataset: DatasetInfo) -> bool:
        """The loader draws from a part of the dataset: a subset, or a sampler of some indices."""
        return not dataset.whole or dataset.sampler not in (
            "SequentialSampler",
            "RandomSampler",
            "WeightedRandomSampler",
        )

    @staticmethod
    def _loader(run: Run, dataset: DatasetInfo) -> Location | None:
        return next((x.location for x in run.loaders if x.index == dataset.loader), None)
