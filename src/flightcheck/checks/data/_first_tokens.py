"""Sequences that begin with another token in evaluation than in training."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from flightcheck.checks.base import Finding
from flightcheck.recording.batches import Batch
from flightcheck.recording.run import Run

_ROUNDS: Final = 5
"""Training steps whose first call is known: fewer may begin alike by chance."""
_ROWS: Final = 8
"""Sequences of one evaluation: of a few that begin alike, the user may have chosen the beginning."""


def other_first_tokens(run: Run) -> Iterator[Finding]:
    """All sequences of the training begin with one token, and all that are generated with another one.

    Of a model that is called once for each position, the first call of a step is that of the first position.
    """
    for batches in _by_argument(run).values():
        training = [b for b in batches if b.training]
        trained = _first_of_each_step(training)
        begun = {b.begins for b in trained}
        usual = trained[0].begins if trained else None
        if len(trained) < _ROUNDS or begun != {usual} or usual is None or not _are_sequences(training):
            continue
        for line in {b.location for b in batches if not b.training}:
            evaluated = _first_of_each_step([b for b in batches if not b.training and b.location == line])
            other = evaluated[0].begins
            if {b.begins for b in evaluated} == {other} and other is not None and other != usual:
                yield _finding(run, evaluated[0], usual, other)


def _by_argument(run: Run) -> dict[tuple[int, str], list[Batch]]:
    """Whole numbers for an embedding; in evaluation those of several sequences."""
    found: dict[tuple[int, str], list[Batch]] = defaultdict(list)
    for b in run.batches:
        ids = b.dtype in ("int32", "int64") and b.first_module == "embedding"
        if ids and b.shape and b.shape[0] >= (2 if b.training else _ROWS):
            found[b.root, b.argument].append(b)
    return found


def _are_sequences(training: list[Batch]) -> bool:
    """Rows of several tokens, or one token at a time, of which those behind the first are others. A number of each
    example alone may be that of its task.
    """
    if all(len(b.shape) == 2 and b.shape[1] > 1 for b in training):
        return True
    steps = {b.step for b in training}
    return len({b.step for b in training if b.begins is None}) * 2 >= len(steps)


def _first_of_each_step(batches: list[Batch]) -> list[Batch]:
    first: dict[int, Batch] = {}
    for b in batches:
        first.setdefault(b.step, b)
    return list(first.values())


def _finding(run: Run, evaluated: Batch, usual: int, other: int) -> Finding:
    patch = f"inputs:begin={other},{usual}"
    proved = any((e.question, e.patch, e.status) == ("D04", patch, "confirmed") for e in run.experiments)
    return Finding(
        f"All sequences of the training begin with token {usual}, and all of this evaluation with token {other}: the "
        "model begins with an input that it never saw in this place.",
        location=evaluated.origin or evaluated.location,
        evidence={"training": usual, "evaluation": other},
        onset_step=evaluated.step,
        severity=None if proved else "warn",
        fix=f"Begin the decoding with token {usual}, as in training.",
        patch=patch,
    )
