"""D08: validation examples are trained on."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, Severity, check
from flightcheck.checks.data._splits import (
    OWN_DATA,
    Split,
    is_called_held_out,
    is_given_as_held_out,
    names_held_out,
    splits,
)
from flightcheck.checks.depth import where
from flightcheck.recording.batches import Batch
from flightcheck.recording.evaluated_labels import EvaluatedLabels
from flightcheck.recording.fold_loops import FoldLoop
from flightcheck.recording.provenance.repeated_data import oversamples
from flightcheck.recording.records import Location
from flightcheck.recording.run import Run


@check(
    "D08",
    "train-val-leak-exact",
    severity="error",
    evidence="X",
    needs=("batches",),
    fix="Split first, by example or group, and augment, oversample or window only afterwards.",
)
class TrainValLeakExact(Check):
    """Examples of what the code calls validation or test data are also trained on.

    ## What it checks
    Hashes of single examples: which inputs of an evaluation had the same model already been trained on? It fires
    where names in the code call the evaluated data validation or test data and at least 5 different examples and 2 %
    of them were seen in training. Below a fifth of the part of the training data that was watched it warns. It also
    fires where a loop over the folds of a cross-validation (splits of scikit-learn) goes on with the model of the
    fold before: what the second fold holds out was trained on in the first. And where a step gets all examples at
    once (the nodes of a graph), its loss is that of all of them, and what a line compares with answers of a part is
    called validation or test.
    ## Why it matters
    A model knows examples that it was trained on. The validation result is too good, overfitting stays hidden, and
    the wrong model is chosen.
    ## How to fix
    Split the data into disjoint parts before anything else: `train, val = random_split(data, [0.8, 0.2])`, and build
    the training loader from `train`, not from `data`. Oversample, augment or cut windows after the split. Build a new
    model, and its optimizer, for each fold. Of a graph, `loss_fn(out[train_mask], y[train_mask])`.
    ## Source
    Kapoor and Narayanan 2023, Leakage and the reproducibility crisis in machine-learning-based science.
    ## Known false alarms
    Data with natural duplicates (short texts, tables of few categories): examples that repeat inside a split are
    counted against it, unless they are of real numbers and the script copies examples; short rows of few values are
    left out. Training data that are evaluated on purpose are
    not flagged unless they are called test data. Graphs whose nodes or edges are split, not their features: every step
    gets the same input as the evaluation, and its loss has another number of targets than the input has rows.
    Folds that give the model its first weights back (`load_state_dict`, `reset_parameters`, `apply`, `deepcopy`), and
    `TimeSeriesSplit`.
    """

    examples = Param(20, "fewer evaluated examples are a demonstration")
    overlap = Param(5, "a few duplicates occur in every public data set")
    share = Param(0.02, "natural duplicates of image benchmarks lie between 0.1 and 10 %; of most tables below 1 %")
    grave = Param(0.2, "a fifth of the data is no accident of collection: the split itself is wrong")
    bits = Param(64, "short rows of few different values (digits, words of a toy) meet by chance")
    copies = Param(0.05, "of the evaluated examples stand there twice: they were copied before they were split")
    repeated = Param(0.25, "more repetition inside a split than a quarter of the overlap explains the overlap")

    def __call__(self, run: Run) -> Iterator[Finding]:
        if run.in_regime(*OWN_DATA):
            raise NotApplicable("models are called without gradients on data that are no evaluation set")
        if told := [*_shared_by_folds(run), *_trained_on_all(run)]:
            yield from told
            return
        judged, places = 0, set[Location | None]()
        for split in splits(run):
            if _transductive(run, split.training):
                continue
            for batches in split.evaluated.values():
                rows = {r for b in batches for r in b.rows if r}
                if len(rows) < self.examples.value or _may_be_transductive(run, split.training, batches):
                    continue
                judged += 1
                held_out = is_called_held_out(run, batches[0]) or (
                    is_given_as_held_out(batches[0]) and _repeated(batches) > self.copies.value and _copied(batches)
                )
                for finding in self._judge(run, split, batches, len(rows)) if held_out else ():
                    if finding.location not in places:  # one split is evaluated from several lines
                        places.add(finding.location)
                        yield finding
        if not judged:
            raise NotEnoughEvidence(f"no evaluation of {self.examples.value:.0f} different examples")

    def _judge(self, run: Run, split: Split, batches: list[Batch], distinct: int) -> Iterator[Finding]:
        known = {r for b in batches for r in split.seen_before(b)}
        share = len(known) / distinct
        if len(known) < self.overlap.value or share < self.share.value:
            return
        natural = max(_repeated(batches), _repeated(self._first_pass(run, split.training)))
        explained = natural > self.repeated.value * share
        explained = explained and not _copied(batches)
        if explained or not all(self._rich(run, b) for b in batches):
            return
        part = self._watched_part(run, split)
        severity: Severity | None = None if share >= self.grave.value * part else "warn"
        place = self._place(run, split, batches[0])
        of_all = f" (which were {part:.0%} of the training data)" if part < 0.95 else ""
        yield Finding(
            f"{len(known)} of {distinct} evaluated examples ({share:.0%}) are among the {len(split.trained_rows)} that "
            f"the model was seen to be trained on{of_all}: the validation data are not held out.",
            location=place,
            evidence={"shared": len(known), "evaluated": distinct, "trained": len(split.trained_rows), "part": part},
            onset_step=batches[0].step,
            severity=severity,
        )

    def _rich(self, run: Run, batch: Batch) -> bool:
        """Examples hold so much that two equal ones are the same one: real numbers, or enough values of few kinds.

        Only the first input is compared: beside others of the same examples (a graph and what its nodes are), values of
        few kinds may well be equal in two examples.
        """
        values, kinds = math.prod(batch.shape[1:]), batch.distinct or 1
        if _continuous(batch):
            return True
        if any(_accompanies(b, batch) for b in run.batches):
            return False
        return values * math.log2(kinds) >= self.bits.value

    def _first_pass(self, run: Run, batches: list[Batch]) -> list[Batch]:
        """The batches of the first pass over the data as one; each for itself where its length is not known."""
        loader = next((d.loader for d in run.datasets if d.source == batches[0].source), None)
        length = run.loaders[loader].length if loader is not None and 0 <= loader < len(run.loaders) else None
        length = length or (run.plan.steps_per_epoch if run.plan is not None else None)
        if not length:
            return batches
        return [replace(batches[0], rows=[r for b in batches[:length] for r in b.rows])]

    def _watched_part(self, run: Run, split: Split) -> float:
        """Which part of the training data was seen, 1 if unknown."""
        sizes = {d.source: d.examples for d in run.datasets}
        total = max((sizes.get(b.source) or 0 for b in split.training), default=0)
        return min(1.0, len(split.trained_rows) / total) if total else 1.0

    def _place(self, run: Run, split: Split, batch: Batch) -> Location | None:
        """The loader of the evaluation; that of the training if it draws from all of what the other is a part of."""
        known = {d.source: d for d in run.datasets}
        evaluated = known.get(batch.source)
        trained = known.get(split.training[0].source)
        if trained and evaluated and trained.whole and not evaluated.whole and trained.shared == evaluated.shared:
            evaluated = trained
        if evaluated is not None and 0 <= evaluated.loader < len(run.loaders):
            return run.loaders[evaluated.loader].location
        return batch.order_origin or batch.origin or batch.location


def _shared_by_folds(run: Run) -> Iterator[Finding]:
    """A cross-validation goes on with one model. Read from the source: the second fold is often behind the watch."""
    names = {r.index: r for r in run.roots}
    for folds in run.recorded(FoldLoop)[:1]:
        root = names.get(folds.root)
        made = root.location if root is not None else None
        yield Finding(
            f"The model is made once ({where(made)}), and the loop over the folds in {where(folds.location)} goes on "
            "with it: from the second fold on it was trained on the examples that are held out.",
            location=made or folds.location,
            evidence={"folds_line": str(folds.location or "")},
            fix=f"Make the model and its optimizer anew in each round of the loop in {where(folds.location)}.",
        )


def _trained_on_all(run: Run) -> Iterator[Finding]:
    """The loss of every step is that of all nodes, and some of them are called a test set."""
    trained = [b for b in run.batches if b.training and b.shape]
    calls = [c for c in run.training_calls() if c.target_shape]
    first = [b for b in trained if (b.root, b.argument) == (trained[0].root, trained[0].argument)]
    if len({b.digest for b in first}) != 1 or not calls:
        return
    whole, nodes = trained[0].digest, trained[0].shape[0]
    if any(math.prod(c.target_shape) != nodes or c.ignored or c.result_shape for c in calls):
        return  # a loss of each node may be masked afterwards
    site = next((s for s in run.loss_sites if s.index == calls[0].site), None)
    for e in run.recorded(EvaluatedLabels):
        held_out = e.location is not None and names_held_out(e.location.code)
        if e.digest == whole and e.fewest and e.fewest < nodes and held_out:
            yield Finding(
                f"The loss of each step is that of all {nodes} examples, the {e.fewest} among them whose answers "
                f"{where(e.location)} compares with their labels: those labels are learned, not held out.",
                location=site.location if site is not None else e.location,
                evidence={"trained": nodes, "evaluated": e.fewest, "compared": str(e.location)},
                fix="Compute the loss of the training examples alone: loss_fn(out[train_mask], y[train_mask]).",
            )
            return


def _accompanies(other: Batch, batch: Batch) -> bool:
    """Another input of the same call, with as many examples."""
    same_call = (other.step, other.root, other.training) == (batch.step, batch.root, batch.training)
    return same_call and other.argument != batch.argument and other.shape[:1] == batch.shape[:1]


def _transductive(run: Run, training: list[Batch]) -> bool:
    """One and the same input in every step, whose rows are not what the loss is computed for."""
    rows = {b.step: b.shape[0] for b in training if b.shape}
    targets = [(math.prod(c.target_shape), rows[c.step]) for c in run.training_calls() if c.step in rows]
    one_input = len({b.digest for b in training}) == 1
    return one_input and bool(targets) and all(count % max(1, n) for count, n in targets)


def _may_be_transductive(run: Run, training: list[Batch], evaluated: list[Batch]) -> bool:
    """Every step and the evaluation get one and the same input, and no loss is known whose targets tell which of its
    rows are trained on: the script may pick them in a loss of its own.
    """
    whole = {tuple(b.rows) for b in (*training, *evaluated)}
    return len(training) > 1 and len(whole) == 1 and not run.training_calls()


def _continuous(batch: Batch) -> bool:
    """Real numbers, of which hardly two are equal."""
    most = min(4096, math.prod(batch.shape))
    return batch.dtype.startswith(("float", "bfloat")) and (batch.distinct or 1) > 0.5 * most


def _copied(batches: list[Batch]) -> bool:
    """Real numbers are equal only where the script copies examples, and it does."""
    at = batches[0].location
    return all(map(_continuous, batches)) and at is not None and oversamples(at.file)


def _repeated(batches: list[Batch]) -> float:
    """Share of examples that stand twice in what was given between two training steps."""
    given: dict[int, list[int]] = {}
    for b in batches:
        given.setdefault(b.step, []).extend(r for r in b.rows if r)
    rows = list(given.values())
    total = sum(len(r) for r in rows)
    return 1 - sum(len(set(r)) for r in rows) / total if total else 0.0
