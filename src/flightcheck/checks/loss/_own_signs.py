"""Losses that a script computes by itself: which sign could be wrong, so that a trial may turn it round."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import Final

from flightcheck.frozen import frozen
from flightcheck.recording.loss_records import LossTerm
from flightcheck.recording.records import Location
from flightcheck.recording.run import Run

NEGATE: Final = "loss:negate"
_WITHOUT_LIMIT: Final = ("PowBackward", "ExpBackward", "AbsBackward", "LinalgVectorNormBackward", "NormBackward")
"""Operations whose results are not negative, and have no upper limit: what subtracts them has no lower one."""
_ROUNDS: Final = 3
"""Backward passes: what all of them do is no accident."""
_MOST: Final = 2
"""Signs that are tried."""


@frozen
class Turn:
    """A sign that a trial can turn round."""

    patch: str
    location: Location | None
    what: str
    """The loss, or a term of it, in words."""


def subtracted_penalty(run: Run) -> tuple[list[LossTerm], str] | None:
    """The penalties of weights that a loss is reduced by, in all of its backward passes, and the patch that adds them.

    A penalty is a square, a size or a norm, which grows without limit with the weights.
    """
    rounds = _rounds(run)
    if len(rounds) < _ROUNDS:
        return None
    found: list[LossTerm] = []
    numbers: list[int] = []
    for terms in rounds:
        here = [(n, t) for n, t in enumerate(terms, 1) if t.penalty and _subtracted(t)]
        if not here or len(here) == len(terms):
            return None
        found, numbers = [t for _, t in here], [n for n, _ in here]
    at = found[0].location if found else None
    if not found:
        return None
    lines = {(t.location.file, t.location.line) for t in found if t.location is not None}
    alone = at is not None and len(lines) == 1
    where = f"{PurePath(at.file).name}:{at.line}" if at is not None else ""
    return found, f"term:{','.join(map(str, numbers))}@{where} x-1" if alone else ""


def turns(run: Run) -> list[Turn]:
    """Signs of the script's own arithmetic that may be wrong, the likeliest first.

    A term that subtracts squares or exponentials of what the model puts out; of an agent, a policy's term without any
    minus; and a loss that no function of the framework is in, as a whole.
    """
    rounds = _rounds(run)
    places = {(str(t.backward_location)) for terms in rounds for t in terms}
    if not rounds or len(places) > 1 or run.in_regime("gan"):
        return []
    terms = rounds[-1]
    agent = run.in_regime("reinforcement")
    of_data = [t for t in terms if not t.penalty]
    own = [t for t in of_data if t.site < 0]
    groups: dict[str, list[tuple[int, LossTerm]]] = {}
    for n, t in enumerate(terms, 1):
        if t.site < 0 and not t.penalty and t.location is not None:
            groups.setdefault(str(t.location), []).append((n, t))
    found = []
    for group in groups.values():
        number, first = group[0]
        at = first.location
        doubtful = first.negated_location is None if agent else any(_subtracted(t) for _, t in group)
        if doubtful and at is not None and len(group) < len(of_data):
            patch = f"term:{number}@{PurePath(at.file).name}:{at.line} x-1"
            found.append(Turn(patch, at, f"the term of line {at.line}"))
    # A return below 0 turns a term round as a minus does: of an agent all terms must have one.
    minus = all(t.negated_location is not None for terms in rounds for t in terms if not t.penalty)
    if own and len(own) == len(of_data) and not (agent and minus):
        found.append(Turn(NEGATE, own[0].location or own[0].backward_location, "the loss"))
    return found[:_MOST]


def _subtracted(term: LossTerm) -> bool:
    below = term.coefficient is not None and term.coefficient < 0
    return below and term.operation.startswith(_WITHOUT_LIMIT) and (term.value is None or term.value >= 0)


def _rounds(run: Run) -> Sequence[list[LossTerm]]:
    """The terms of each backward, in the order of the sum."""
    rounds: dict[int, list[LossTerm]] = {}
    for term in run.loss_terms:
        rounds.setdefault(term.backward, []).append(term)
    return list(rounds.values())
