"""D17: images are turned over, and their masks or coordinates are not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePath

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.recording.alignments import MapAlignment, PointAlignment
from flightcheck.recording.records import Location
from flightcheck.recording.run import Run

_TURNS = re.compile(r"flip|rot90|::\s*-1|Rotate90", re.IGNORECASE)


@check(
    "D17",
    "augmentation-breaks-label",
    severity="error",
    evidence="T",
    needs=("MapAlignment",),
    fix="Give image and target to the same transform, with one random decision for both.",
)
class AugmentationBreaksLabel(Check):
    """An augmentation turns images over and leaves their masks or coordinates as they were, or the other way round.

    ## What it checks
    Targets that are as large as the input (masks, maps), of the first training calls. A linear fit over all examples
    tells what the image around a place says of the target there. Examples whose target agrees with that as it is are
    held against those whose target agrees only after a flip or a quarter turn.
    Of targets of a few numbers: does one of them follow, to 75 % of its variance, the place of what is bright, dark or
    sharp in the image, on the one side in some examples and on the other side, just as far from the middle, in others?
    A file of the user must turn images over, too.
    ## Why it matters
    Half of the examples then teach something else than the other half; the model predicts a blur of both, and the loss
    stays far above what it could be.
    ## How to fix
    Draw the random number once, and flip both (`torchvision.transforms.v2` and albumentations take image and mask
    together).
    ## Source
    Karpathy, A Recipe for Training Neural Networks ("flip the image but not the label"); PyTorch forum, segmentation
    transforms.
    ## Known false alarms
    None known. Coordinates are told only where what they point at stands out in the image. Classes that an
    augmentation changes (a turned 6) are not looked at, nor are crops, shifts and small rotations of the image alone.
    """

    moved = Param(0.15, "of the examples: an augmentation turns a tenth of them at least, and half as a rule")
    aligned = Param(0.15, "of the examples lie as they are: without them the target is meant to be turned")
    decided = Param(0.6, "of the examples are one or the other: else the image says too little of its target")
    examples = Param(16, "a handful may agree with anything")

    def __call__(self, run: Run) -> Iterator[Finding]:
        points = list(self._points(run))
        yield from points
        if not run.recorded(MapAlignment):
            seen: list[PointAlignment] = run.recorded(PointAlignment)
            if points or seen:
                return
            raise NotApplicable("no target was as large as its input, or too few examples were seen")
        told = [a for a in run.recorded(MapAlignment) if a.examples >= self.examples.value]
        if not told and not points:
            raise NotEnoughEvidence(f"fewer than {self.examples.value:.0f} examples with such a target")
        for a in told:
            turned = sum(a.moved.values())
            if turned < self.moved.value * a.examples or a.aligned < self.aligned.value * a.examples:
                continue
            if turned + a.aligned < self.decided.value * a.examples:
                continue
            how = max(a.moved, key=lambda k: a.moved[k])
            yield Finding(
                f"Of {a.examples} training examples {a.aligned} have a target that lies over the image, and {turned} "
                f"one that fits it only when turned over (mostly {how}): images are augmented without their targets.",
                location=a.location,
                evidence={"examples": a.examples, "aligned": a.aligned, **a.moved},
                patch=_unturned(a.location),
            )

    def _points(self, run: Run) -> Iterator[Finding]:
        for a in run.recorded(PointAlignment):
            few = self.moved.value * a.examples
            if not a.turning or a.mirrored < few or a.aligned < self.aligned.value * a.examples:
                continue
            if a.aligned + a.mirrored < self.decided.value * a.examples:
                continue
            yield Finding(
                f"Of {a.examples} training examples {a.aligned} have number {a.column} of the target on the one side "
                f"of the middle, seen from what stands out in the image, and {a.mirrored} just as far on the other: "
                f"images are turned over ({a.turn}) without their coordinates.",
                location=a.location,
                evidence={"examples": a.examples, "aligned": a.aligned, "mirrored": a.mirrored, "column": a.column},
                fix="Turn the coordinates with the image: x = width - x (1 - x where they are shares of the width), "
                "and exchange left and right points.",
                patch=_unturned(a.location),
            )


def _unturned(line: Location | None) -> str:
    """The trial in which the images stay as they are."""
    turns = line is not None and _TURNS.search(line.code)
    return f"source:unturned:{PurePath(line.file).name}:{line.line}" if line is not None and turns else ""
