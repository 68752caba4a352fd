"""The inputs of training and of evaluation side by side: shared by the checks that compare the two."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from flightcheck.checks.data._inputs import main_inputs
from flightcheck.recording.batches import Batch
from flightcheck.recording.records import Location
from flightcheck.recording.run import NotEnoughEvidence, Run

OWN_DATA: Final = ("gan", "reinforcement", "second-order")
"""Regimes whose models are called without gradients on data that are no evaluation set."""
_HELD_OUT: Final = {"val", "valid", "validation", "test", "tst", "te", "va", "dev", "holdout", "heldout"}
_TRAINED: Final = {"train", "training", "tr", "trn"}


@dataclass
class Split:
    """What one model was trained on, and what it was evaluated on: by dataset, line, the line of its values, and what
    the functions around that line were given.
    """

    root: int
    training: list[Batch]
    evaluated: dict[tuple[int, Location | None, Location | None, str], list[Batch]] = field(default_factory=dict)
    trained_rows: dict[int, int] = field(default_factory=dict)
    """Hash of an example → the step at which the model was first trained on it."""

    def seen_before(self, batch: Batch) -> set[int]:
        """Examples of an evaluated batch that the model had been trained on by then."""
        return {r for r in batch.rows if r and self.trained_rows.get(r, batch.step) < batch.step}


def splits(run: Run) -> Iterator[Split]:
    """One per model that was both trained and evaluated.

    Where an optimizer is built anew over the same model (cross-validation that resets it), only what came before.

    Raises:
        NotEnoughEvidence: no model was called without gradients.
    """
    found = False
    for root, training in main_inputs(run).items():
        end = _renewed(run, root)
        split = Split(root, [b for b in training if b.step < end])
        for b in run.batches:
            same = b.root == root and training and b.argument == training[0].argument
            if same and not b.training and not b.requires_grad and b.step < end:
                split.evaluated.setdefault((b.source, b.location, b.origin, "; ".join(b.given_as)), []).append(b)
        if split.training and split.evaluated:
            found = True
            for b in split.training:
                for row in b.rows:
                    if row:
                        split.trained_rows.setdefault(row, b.step)
            yield split
    if not found:
        raise NotEnoughEvidence("no model was both trained and evaluated while it was watched")


def _renewed(run: Run, root: int) -> float:
    held = {p.index for p in run.parameters if (m := run.module(p.module)) is not None and m.root == root}
    later = [o.created_at_step for o in run.optimizers if o.created_at_step > 0 and held.intersection(o.parameters)]
    return min(later, default=float("inf"))


def is_called_held_out(run: Run, batch: Batch) -> bool:
    """The names in the user's code call this data a validation or test set, and not a training set."""
    places = []
    for info in run.datasets:
        if info.source == batch.source and 0 <= info.loader < len(run.loaders):
            places.append(_assigned(run.loaders[info.loader].location))
    if not places and batch.location is not None:
        places = [batch.location.code, _assigned(batch.origin)]
    for text in places:
        tokens = _tokens(text)
        if tokens & _HELD_OUT and not tokens & _TRAINED:
            return True
        if tokens & _TRAINED:
            return False
    return False


def is_given_as_held_out(batch: Batch) -> bool:
    """The functions around the call of the model were given data of such a name: ``predict(X_val)``."""
    return any(names_held_out(re.sub(r"\bdev(ice)?\b", "", text)) for text in batch.given_as)


def names_held_out(code: str) -> bool:
    """A line names a validation or test set, and no training set."""
    tokens = _tokens(code)
    return bool(tokens & _HELD_OUT) and not tokens & _TRAINED


def _assigned(location: Location | None) -> str:
    """The names that a line assigns to, the whole line where it assigns nothing."""
    if location is None:
        return ""
    left, equal, _ = re.sub(r"\([^()]*\)", "", location.code).partition("=")
    return left if equal else location.code


def _tokens(text: str) -> set[str]:
    """Words of the identifiers in a text: ``X_val2``, ``Xval`` and ``valLoader`` all hold ``val``."""
    text = re.sub(r"(['\"]).*?\1", lambda m: m.group(0) if len(m.group(0)) < 16 else "", text)
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+", text)
    return {w.lower() for w in words}
