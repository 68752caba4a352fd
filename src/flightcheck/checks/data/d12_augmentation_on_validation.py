"""D12: validation examples are augmented at random."""

from __future__ import annotations

from collections.abc import Iterator

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, check
from flightcheck.recording.inputs import DatasetInfo
from flightcheck.recording.run import Run


@check(
    "D12",
    "augmentation-on-validation",
    severity="error",
    evidence="X",
    needs=("datasets",),
    fix="Give the validation set a dataset object of its own, with a transform that has no random part.",
)
class AugmentationOnValidation(Check):
    """The examples that a model is evaluated on are changed at random.

    ## What it checks
    A loader in a fixed order that only feeds evaluations: did two passes over it give different inputs together with
    the same targets? Before there are two passes: does its dataset hold a transform that says it is random
    (`RandomCrop`, `ColorJitter` …)?
    ## Why it matters
    Every evaluation measures something else, and harder examples than those the model will meet: the result is noisy
    and too bad, and the best epoch is chosen by luck.
    ## How to fix
    Build two datasets over the same files, one with the augmenting and one with the plain transform, and split both
    by the same indices. `random_split` of one dataset shares its transform.
    ## Source
    Catalogue D12; torchvision reference scripts keep separate transforms.
    ## Known false alarms
    Test-time augmentation and datasets that make their examples up. Noise that is added after the loader, and
    targets as large as the inputs (denoising), are not flagged.
    """

    def __call__(self, run: Run) -> Iterator[Finding]:
        evaluated = [d for d in run.datasets if d.evaluated and not d.trained]
        if not evaluated:
            raise NotApplicable("no DataLoader that only feeds evaluations")
        for info in evaluated:
            reason = self._reason(info)
            if not reason:
                continue
            with_training = any(d.trained and d.shared == info.shared for d in run.datasets)
            shared = (
                " It is the dataset object that the model is trained on, with its transform." if with_training else ""
            )
            yield Finding(
                f"{reason}{shared}",
                location=run.loaders[info.loader].location if 0 <= info.loader < len(run.loaders) else None,
                evidence={
                    "passes": info.passes_compared,
                    "changed": info.inputs_changed,
                    "transforms": info.random_transforms,
                },
            )
        if not any(d.passes_compared or d.random_transforms for d in evaluated):
            raise NotEnoughEvidence("no two passes over the same evaluation data in a fixed order")

    def _reason(self, info: DatasetInfo) -> str:
        if info.passes_compared:
            if info.targets_changed or info.inputs_changed < info.passes_compared:
                return ""
            return (
                f"Of {info.passes_compared + 1} passes over the evaluation data in the same order every one gave other "
                "inputs with the same targets."
            )
        if info.random_transforms:
            return f"The evaluation data go through {', '.join(info.random_transforms[:3])}."
        return ""
