"""S04: the last batch of a pass holds one example, of which batch normalization cannot be trained."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.recording.inputs import DatasetInfo
from flightcheck.recording.records import LoaderInfo, ModuleInfo
from flightcheck.recording.run import Run

_ERROR: Final = "Expected more than 1 value per channel when training"
_PLAIN: Final = {"BatchNorm1d", "BatchNorm2d", "BatchNorm3d"}
"""Those that raise this error. One that is synchronized has the values of other ranks, too."""


@check(
    "S04",
    "dress-rehearsal-fails",
    severity="error",
    evidence="X",
    needs=("datasets", "loaders", "batch_statistics", "batches", "modules"),
    fix="Give the training loader drop_last=True.",
)
class DressRehearsalFails(Check):
    """The training will stop at the end of a pass: its last batch is one example, too few for BatchNorm.

    ## What it checks
    Length of the data, batch size and drop_last leave one example over for the last batch of each pass. A BatchNorm of
    the model that is trained on it had, in every training call, one value per channel and example. Or the script has
    ended with that very error.
    ## Why it matters
    PyTorch refuses to normalize one value by itself: "Expected more than 1 value per channel when training". That comes
    after a whole pass, and only with this length of the data.
    ## How to fix
    `drop_last=True` for the training loader (each pass leaves out another example), or another batch size. For a single
    example outside of the training, `model.eval()`.
    ## Source
    Article, section 1 (run one or a few epochs first); PyTorch, `torch.nn.functional.batch_norm` and DataLoader.
    ## Known false alarms
    Samplers of the script's own, distributed ones and streams are not judged; nor loops that may skip a batch or end
    before the pass does, nor code that compares the length of anything with 1 or 2.
    """

    calls = Param(3, "training calls of one batch normalization: its values per example are no accident")

    def __call__(self, run: Run) -> Iterator[Finding]:
        crashed = run.info.ended == "exception" and _ERROR in run.info.error
        trained = [d for d in run.datasets if d.trained and d.last_batch == 1 and (d.pass_length or 0) > 1]
        if crashed:
            yield self._crashed(run, trained)
            return
        if not trained:
            raise NotApplicable("no loader of the training leaves one example for its last batch")
        if run.info.ended == "exception":
            raise NotEnoughEvidence("the script ended with another exception")
        if run.in_regime("gan"):
            raise NotEnoughEvidence("which of several players a batch is given to is not known")
        loaders = {i.index: i for i in run.loaders}
        for dataset in trained:
            loader = loaders.get(dataset.loader)
            norm = self._norm(run, dataset)
            if loader is None or norm is None or dataset.passes or not loader.used_in_training:
                continue
            if not loader.whole_passes or (run.plan.rounds and run.plan.rounds < (dataset.pass_length or 0)):
                raise NotEnoughEvidence("the source does not tell whether a pass goes on to its last batch")
            yield _coming(dataset, loader, norm)
            return

    def _norm(self, run: Run, dataset: DatasetInfo) -> ModuleInfo | None:
        """A batch normalization with one value per channel for each example of this dataset."""
        fed = [b for b in run.batches if b.training and b.source == dataset.source and b.shape]
        roots = {b.root for b in fed if b.shape[0] == dataset.batch_size}
        others = {b.root for b in run.batches if b.training and b.source != dataset.source}
        for norm in run.batch_statistics:
            module = run.module(norm.module)
            if module is None or module.type not in _PLAIN or module.root not in roots - others:
                continue
            if norm.calls >= self.calls.value and norm.fewest == norm.most == dataset.batch_size:
                return module
        return None

    def _crashed(self, run: Run, trained: list[DatasetInfo]) -> Finding:
        step = run.info.steps
        dataset = next((d for d in trained if d.passes), None)
        loader = next((i for i in run.loaders if dataset and i.index == dataset.loader), None)
        if dataset is None or loader is None:
            return Finding(
                f'After step {step} the script ended with "{_ERROR}": a model in training mode was given a batch with '
                "one value per channel, of which BatchNorm can compute no variance.",
                location=run.info.error_location,
                onset_step=step,
                fix="Leave out a last batch of one example (drop_last=True); in an evaluation call model.eval() first.",
            )
        return Finding(
            f"After step {step} the script ended at the last batch of a pass: {_left_over(dataset)}, and BatchNorm in "
            "training mode needs more than one value per channel.",
            location=loader.location,
            evidence=_facts(dataset),
            onset_step=step,
        )


def _coming(dataset: DatasetInfo, loader: LoaderInfo, norm: ModuleInfo) -> Finding:
    return Finding(
        f"The training will stop at batch {dataset.pass_length}, the last of its first pass: {_left_over(dataset)}, "
        f'and of one example {norm.path} ({norm.type}) cannot compute a variance ("{_ERROR}").',
        location=loader.location,
        module=norm.path,
        evidence=_facts(dataset),
    )


def _left_over(dataset: DatasetInfo) -> str:
    drawn = (dataset.batch_size or 0) * ((dataset.pass_length or 1) - 1) + 1
    return f"{drawn} examples in batches of {dataset.batch_size} leave one for it"


def _facts(dataset: DatasetInfo) -> dict[str, int | None]:
    return {"batch_size": dataset.batch_size, "batches": dataset.pass_length, "last_batch": dataset.last_batch}
