"""How a training went, in words: what a report that found nothing says beside it."""

from __future__ import annotations

import math
import re
from typing import Final

from flightcheck.checks.loss._baseline import baseline
from flightcheck.frozen import frozen
from flightcheck.recording.metrics import MetricInfo
from flightcheck.recording.outcomes import first_and_final
from flightcheck.recording.printed import is_of_unseen
from flightcheck.recording.run import NotApplicable, NotEnoughEvidence, Run

FEWEST: Final = 10
"""Steps before silence means anything, and losses before they are held against a constant guess."""
HARDLY: Final = 0.05
"""A loss that is not further below that of a constant guess is hardly better: a sentence for the reader, no finding."""
MOST_TOLD: Final = 3
"""Of the script's own numbers, in a sentence."""
_LONGEST: Final = 40


@frozen
class Guess:
    """What the best constant prediction would score, on the scale of the recorded loss."""

    value: float
    name: str
    """In words: the entropy of the class shares, …"""


def constant_guess(run: Run) -> Guess | None:
    """None where no single loss with a known best constant is trained."""
    try:
        base = baseline(run, FEWEST)
    except (NotApplicable, NotEnoughEvidence):
        return None
    except (StopIteration, ValueError, ArithmeticError):  # records of a damaged run are missing
        return None
    return Guess(base.value * base.scale, base.name)


def held_against_guess(run: Run) -> str:
    """``no better`` or ``hardly better`` than a constant guess is the loss of the last tenth of the training; else, and
    where no constant guess is known, empty.
    """
    guess, (_, final) = constant_guess(run), first_and_final(run)
    if guess is None or (final is not None and final < guess.value - HARDLY * abs(guess.value)):
        return ""
    return "no better" if final is None or final >= guess.value else "hardly better"


def quiet_words(run: Run) -> tuple[bool, str]:
    """Whether silence is good news, and how it is told: ``nothing found``, with what speaks against it."""
    if run.info.steps < FEWEST:  # most checks want more: a busy machine, a script that was stopped
        return False, "nothing found, but hardly anything was seen,"
    if held := held_against_guess(run):
        return False, f"nothing found, but the loss is {held} than a constant guess,"
    return True, "nothing found"


def loss_sentence(run: Run) -> str:
    """The loss from where to where, and what a constant guess would score; empty where no loss was recorded."""
    first, final = first_and_final(run)
    if first is None and final is None:
        return ""
    told = f"Loss {_number(first)} → {_number(final)} (mean of the last tenth) over {run.info.steps:,} steps"
    if (guess := constant_guess(run)) is None:
        return f"{told}."
    held = held_against_guess(run)
    sense = f"{held} than a constant guess, which scores" if held else "a constant guess scores"
    return f"{told}; {sense} {_number(guess.value)} ({guess.name})."


def own_numbers_sentence(run: Run) -> str:
    """The last numbers that the script itself printed or logged, those of an evaluation first; empty without any."""
    known = [m for m in run.metrics if math.isfinite(m.last)]
    shown = sorted(known, key=lambda m: not is_of_unseen(_in_words(m)))[:MOST_TOLD]
    if not shown:
        return ""
    return f"The script's last numbers: {', '.join(_last(m) for m in shown)}."


def _in_words(m: MetricInfo) -> str:
    return " ".join(re.findall(r"[A-Za-z]+", m.name)).lower()


def _last(m: MetricInfo) -> str:
    name = m.name if len(m.name) <= _LONGEST else f"{m.name[: _LONGEST - 1]}…"
    return f"{name} {_number(m.last)}"


def _number(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.3g}"
