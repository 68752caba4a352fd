"""L31: a loss that counts what the model was shown, and leaves out what was hidden from it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, check
from flightcheck.recording.run import Run
from flightcheck.recording.shown_masks import ShownMask


@check(
    "L31",
    "loss-of-what-was-shown",
    severity="error",
    evidence="B",
    needs=("ShownMask",),
    fix="Count the hidden elements: multiply the error with 1 - mask, or choose it by ~mask.",
)
class LossOfWhatWasShown(Check):
    """The loss counts the elements that the model was given, and not those that were hidden from it.

    ## What it checks
    A statement before the backward pass that chooses elements of the loss by a mask (a factor, `masked_fill`, `where`,
    an index), where the same mask chooses what the model is given, or is given to it. It fires where a trial in which
    the training loss counts the other elements brings the error of the script's evaluations down by a third.
    ## Why it matters
    What the model was given it can copy: the loss falls to nothing, and what it was to fill in (a hole in an image, the
    hidden patches of a masked autoencoder, missing measurements) was never trained.
    ## How to fix
    `((out - target) ** 2 * (1 - mask)).sum() / (1 - mask).sum()` where the mask is 1 at what is known; `err[hidden]`.
    ## Source
    He et al. 2022, Masked Autoencoders ("we compute the loss only on masked patches"); Pathak et al. 2016, Context
    Encoders.
    ## Known false alarms
    None known: where the known elements are the right ones to count (ratings, padding), the trial makes it worse.
    Masks that compare token ids with one value are left alone.
    """

    def __call__(self, run: Run) -> Iterator[Finding]:
        if not run.info.steps:
            raise NotApplicable("no optimizer stepped")
        mask = shown_mask(run)
        if mask is None:
            raise NotApplicable("no mask chooses both what a model is given and what its loss counts")
        patch = counting_others(mask)
        tried = next((e for e in run.experiments if (e.question, e.patch) == ("L31", patch)), None)
        if tried is None or tried.status in ("untested", "inconclusive"):
            raise NotEnoughEvidence("whether the loss counts the right elements was not decided by a trial")
        if tried.status != "confirmed" or tried.before is None or tried.after is None:
            return
        call = f" (line {mask.call_location.line})" if mask.call_location is not None else ""
        yield Finding(
            f"By `{mask.name}` the model is given its input{call}, and by the same `{mask.name}` the loss chooses what "
            f"it counts. With the other elements the {tried.measure} after {tried.steps} steps is {tried.after:.3g}, "
            f"and not {tried.before:.3g}.",
            location=mask.location,
            evidence={"mask": mask.name, "before": tried.before, "after": tried.after},
            patch=patch,
        )


def shown_mask(run: Run) -> ShownMask | None:
    """The mask of a loss that chose what the model was given."""
    return next((m for m in run.recorded(ShownMask) if m.location is not None), None)


def counting_others(mask: ShownMask) -> str:
    """The patch under which the training loss counts the other elements."""
    at = mask.location
    return f"source:others@{mask.name}:{PurePath(at.file).name}:{at.line}" if at is not None else ""
