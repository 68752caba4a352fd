"""D16: training and evaluation number their classes differently."""

from __future__ import annotations

import linecache
from collections.abc import Iterator
from pathlib import PurePath

import numpy as np
import numpy.typing as npt

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.checks.data._numbered_anew import NumberedAnew, numbered_anew
from flightcheck.recording.data_files import made_in
from flightcheck.recording.inputs import Confusion
from flightcheck.recording.provenance.numbering import numbering_line
from flightcheck.recording.records import Location
from flightcheck.recording.run import Run


@check(
    "D16",
    "label-mapping-differs",
    severity="error",
    evidence="T",
    needs=("Confusion", "datasets"),
    fix="Make one mapping from class names to numbers, from the training set, and use it for every split.",
)
class LabelMappingDiffers(Check):
    """The same class or word has another number in training than in evaluation, or in one batch than in the next.

    ## What it checks
    `class_to_idx` of the training and the evaluation dataset: does a name have two numbers? And the answers of the
    latest evaluation: are some classes answered as each other, so that a renumbering of the labels would make the
    answers right (together at 80 % or more, each at 60 % or more, of two classes each at 80 %; at least 20 examples of
    each)?
    And the labels of the training batches: are they 0 to k−1 without a gap in every one of them, although k changes
    from batch to batch? A batch that lacks a class by chance lacks any of them; the highest numbers alone are missing
    where the classes of each batch were numbered anew. Told where chance (labels drawn by their frequencies) makes it
    less likely than 1e-6. And a function of the script that numbers what it is given in the order of appearance and is
    called for several data: told only if a trial in which all calls have the numbers of the first takes away a third
    of the error of the evaluations.
    ## Why it matters
    The model learned the right thing, and is measured by the wrong labels: the result is far below chance for these
    classes, whatever is changed in the training.
    ## How to fix
    `classes = sorted(set(train_labels))` once, and the same dictionary for validation; with `LabelEncoder`:
    `encoder.transform(val_labels)`, not `fit_transform`. `np.unique(…, return_inverse=True)` and `pd.factorize` number
    what they are given: all labels, once.
    ## Source
    Kuhn 1955, The Hungarian method for the assignment problem, as used to match clusters with classes.
    ## Known false alarms
    Evaluation on nothing but adversarial examples of two classes; a test set in which a shortcut is turned round on
    purpose (Arjovsky et al. 2019, colours of two classes). Episodes of few-shot learning, which number their
    classes anew on purpose, have as many in each, and are silent.
    """

    rate = Param(0.8, "share of all moved classes that is answered as one other")
    each = Param(0.6, "the same of each of them: confusion of alike classes is below a half")
    examples = Param(
        20, "of 40 examples of two classes that a guess confuses, 80 % are wrong in 1 of 10 000 evaluations"
    )

    def __call__(self, run: Run) -> Iterator[Finding]:
        named = self._names(run) or self._numbered_in_each_call(run)
        if named is not None:
            yield named
            return
        if not run.training_calls("cross_entropy", "nll_loss"):
            raise NotApplicable("no classification loss in training: numbers of groups mean nothing")
        if run.in_regime("reinforcement", "second-order", "gan"):
            raise NotApplicable("answers are no class labels, or the examples are made to mislead")
        anew = list(numbered_anew(run))
        if anew:
            yield from map(self._anew, anew)
            return
        known = [c for c in run.recorded(Confusion) if c.step > 0]
        if not known:
            raise NotEnoughEvidence("no evaluation after the start compares predicted with true classes")
        latest = known[-1]
        counts = np.array(latest.counts)
        moved = self._moved(counts)
        if not moved:
            most = int(counts.sum(axis=1).max(initial=0))
            if most < self.examples.value:
                raise NotEnoughEvidence(f"{most} of {self.examples.value:.0f} examples of a class in an evaluation")
            return
        pairs = ", ".join(f"{a} as {b}" for a, b in sorted(moved.items())[:4])
        right = float(np.trace(counts) / counts.sum())
        yield Finding(
            f"In evaluation {len(moved)} classes are answered as each other ({pairs}): {right:.0%} of the answers are "
            "right, and nearly all would be with the labels renumbered.",
            location=self._place(run),
            evidence={"moved": {str(a): b for a, b in moved.items()}, "accuracy": right},
            onset_step=latest.step,
        )

    @staticmethod
    def _numbered_in_each_call(run: Run) -> Finding | None:
        line = numbering(run)
        tried = [(e.question, e.patch, e.status) for e in run.experiments]
        if line is None or ("D16", keeping_numbers(line), "confirmed") not in tried:
            return None
        return Finding(
            f"{line.function or 'The function'} numbers what it is given in the order of appearance, anew in each "
            "call, and is called for several data: a name has another number in the evaluation than in the training.",
            location=line,
            evidence={"numbered": "in each call"},
            patch=keeping_numbers(line),
            fix="Make the numbers once, of the training data, and give them to the other call.",
        )

    def _names(self, run: Run) -> Finding | None:
        trained = [d for d in run.datasets if d.trained and d.classes]
        for other in (d for d in run.datasets if d.evaluated and not d.trained and d.classes):
            for one in trained:
                differing = [n for n in one.classes if n in other.classes and one.classes[n] != other.classes[n]]
                if differing:
                    name = differing[0]
                    return Finding(
                        f"Class '{name}' is number {one.classes[name]} in training and {other.classes[name]} in "
                        f"evaluation ({len(differing)} such classes).",
                        location=run.loaders[other.loader].location if 0 <= other.loader < len(run.loaders) else None,
                        evidence={"classes": differing[:10]},
                    )
        return None

    @staticmethod
    def _anew(found: NumberedAnew) -> Finding:
        at = _numbered_at(found.site.target_origin) or found.site.target_origin or found.site.location
        fitted = at is not None and ".fit_transform(" in at.code
        return Finding(
            f"In each of {found.batches} batches the labels are 0 to k-1 without a gap, with k from {found.fewest} to "
            f"{found.most} (by chance: below {max(found.chance, 1e-99):.0e}): the classes are numbered anew in every "
            "batch, and one number means several classes.",
            location=at,
            evidence={"batches": found.batches, "fewest": found.fewest, "most": found.most},
            fix="Number the classes once, by all labels of the training set, and only look the numbers up in a batch: "
            "encoder.transform(labels).",
            patch=f"source:transform:{PurePath(at.file).name}:{at.line}" if fitted and at is not None else "",
        )

    def _moved(self, counts: npt.NDArray[np.int64]) -> dict[int, int]:
        """Classes that are answered as another one, if these are the same classes in another order."""
        sizes = counts.sum(1)
        moved = {}
        for i in np.flatnonzero(sizes >= self.examples.value):
            j = int(counts[i].argmax())
            if j != i and counts[i, j] >= self.each.value * sizes[i]:
                moved[int(i)] = j
        if len(moved) == 2:  # a shortcut that is turned round in the test set does so, too, but rarely as clearly
            moved = {i: j for i, j in moved.items() if counts[i, j] >= self.rate.value * sizes[i]}
        together = sum(counts[i, j] for i, j in moved.items()) >= self.rate.value * sum(sizes[i] for i in moved)
        return moved if len(moved) >= 2 and together and set(moved) == set(moved.values()) else {}

    def _place(self, run: Run) -> Location | None:
        evaluated = next((d for d in run.datasets if d.evaluated and not d.trained), None)
        if evaluated is not None and 0 <= evaluated.loader < len(run.loaders):
            return run.loaders[evaluated.loader].location
        site = next((s for s in run.loss_sites if s.train_calls and s.target_origin), None)
        numbered = _numbered_at(site.target_origin) if site is not None else None
        return numbered or next((e.location for e in reversed(run.evaluations) if e.location is not None), None)


def _numbered_at(made: Location | None) -> Location | None:
    """The line near the one that made the labels which gives the classes their numbers."""
    found = numbering_line(made.file, made.line) if made is not None else None
    return Location(*found, "", linecache.getline(*found).strip()) if found is not None else None


def numbering(run: Run) -> Location | None:
    """The line of a function that numbers what it is given anew in each of several calls."""
    files = made_in(run, (b for b in run.batches if b.training))
    return next((f.numbering for f in files if f.numbering is not None), None)


def keeping_numbers(line: Location) -> str:
    """The patch by which all calls have the numbers of the first one."""
    return f"source:kept:{PurePath(line.file).name}:{line.line}"
