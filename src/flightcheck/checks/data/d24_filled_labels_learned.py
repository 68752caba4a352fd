"""D24: labels that are missing got a zero, and are learnt as a no."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.frozen import frozen
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.provenance.fills import BINARY
from flightcheck.recording.records import Location
from flightcheck.recording.run import Run

_CALLS = 10
"""Training calls of a loss whose targets must all be 0 or 1."""


@frozen
class FilledLabels:
    """A line that puts zeros in the place of what is missing, and may do so with the targets of a loss."""

    location: Location
    site: int

    @property
    def patch(self) -> str:
        """The trial in which these labels do not count."""
        return f"targets:known={PurePath(self.location.file).name}:{self.location.line}"


def filled_labels(run: Run) -> list[FilledLabels]:
    """Lines that may have filled the labels of a binary cross-entropy that counts all elements."""
    found = []
    for site in run.loss_sites:
        calls = [c for c in run.training_calls(*BINARY) if c.site == site.index]
        if len(calls) < _CALLS or site.settings.get("reduction") == "none" or site.settings.get("handmade"):
            continue
        if all(c.target_binary for c in calls) and any(c.target_mean < 1 for c in calls):
            found += [FilledLabels(at, site.index) for at in site.fills]
    return found


@check(
    "D24",
    "filled-labels-learned",
    severity="warn",
    evidence="T",
    needs=("loss_calls",),
    fix="Keep a mask of the labels that are there (~isnan) and let no other element into the loss.",
)
class FilledLabelsLearned(Check):
    """Labels that are missing were replaced by 0, which is a label, too, and all elements count in the loss.

    ## What it checks
    A statement in the file of a binary cross-entropy, or of its targets, puts a zero where a value is missing
    (`nan_to_num`, `fillna(0)`, `where(isnan(y), 0, y)`, `y[isnan(y)] = 0`). Whether that reaches the targets cannot be
    seen of them. So it is tried: the zeros get a mark too small to matter, and if elements with the mark stand beside
    labels of 0 and 1 in a loss that leaves nothing out, they are masked. Told only if the labels that are there are
    predicted better then.
    ## Why it matters
    With several tasks most labels are often missing. As zeros they teach that nearly everything is a no: probabilities
    are far too low, and the labels that are known are outvoted.
    ## How to fix
    `known = ~torch.isnan(y)`, `loss = F.binary_cross_entropy_with_logits(out[known], y[known])`; or
    `reduction="none"`, the losses times the mask, divided by its sum.
    ## Source
    Wu et al. 2018, MoleculeNet: missing labels of a task have weight 0. Durand et al. 2019, learning with partial
    labels.
    ## Known false alarms
    Data in which some labels say no, and a missing one means no as well. Where all labels that are there are 1, a
    missing one is taken for a no, and nothing is told. Zeros in the place of missing numbers are not looked at: they
    may be amounts.
    """

    calls = Param(_CALLS, "single batches may hold no label of 1")

    def __call__(self, run: Run) -> Iterator[Finding]:
        if not run.training_calls(*BINARY):
            raise NotApplicable("no binary cross-entropy")
        suspected = filled_labels(run)
        untried = False
        for filled in suspected:
            tried = [e for e in run.experiments if (e.question, e.patch) == ("D24", filled.patch)]
            proof = next((e for e in tried if e.status == "confirmed"), None)
            if proof is not None:
                yield self._found(filled, proof)
                return
            untried = untried or not tried
        if untried:
            raise NotEnoughEvidence("zeros are put in the place of missing values; only a trial tells if of labels")

    @staticmethod
    def _found(filled: FilledLabels, proof: Experiment) -> Finding:
        better = ""
        if proof.before is not None and proof.after is not None:
            better = f" Without them the error of the labels that are known is {proof.after:.3g} after {proof.steps} "
            better += f"steps and not {proof.before:.3g}."
        return Finding(
            "Labels that are missing get a 0 here, which means no, and the loss counts them like those that are known."
            + better,
            location=filled.location,
            evidence={"site": filled.site},
            patch=filled.patch,
        )
