"""D07 where a model is given a condition and what is to have it: rows of two tables that were drawn in two orders."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from flightcheck.checks.base import Finding
from flightcheck.recording.joined_orders import JoinedOrders
from flightcheck.recording.run import Run

_PAIRS = 50
"""Rows of the two tables with one number: of fewer, a few odd ones make a correlation."""
_RELATED = 0.3
_CHANCE = 6.0
"""Standard errors: with 32 by 32 columns, chance gives 4 to 5."""
_LOST = 0.5
"""Of the correlation: rows with the next number, and those that were joined, have less than this of it."""


def joined_apart(run: Run, few: int, places: float) -> Iterator[Finding]:
    """Rows that belong together in their tables, and are joined with others in all calls.

    Args:
        run: the run.
        few: calls that show a habit.
        places: share of the rows above which two orders are no different ones.
    """
    joins = run.recorded(JoinedOrders)
    together = [j.tables for j in joins if j.apart < j.calls]  # then the others are meant (mutual information, MINE)
    for join in joins:
        if (
            join.tables in together
            or not join.apart == join.calls >= few
            or join.same_places >= places
            or not _belong_together(join)
        ):
            continue
        lines = sorted({at.line for at in (join.one, join.other) if at is not None})
        named = f"line{'s' * (len(lines) > 1)} {' and '.join(map(str, lines))}"
        yield Finding(
            f"Rows of two tables of {join.examples} are joined that do not belong together ({named}): in all "
            f"{join.calls} calls each was drawn in an order of its own. Of rows with one number two columns have a "
            f"rank correlation of {join.related:.2f} ({join.pairs} rows), of those that are joined {join.joined:.2f}.",
            location=join.other if join.other is not None else join.location,
            evidence={
                "related": join.related, "joined": join.joined, "neighbours": join.neighbours, "pairs": join.pairs,
                "joined_in": join.location.line,
            },
            fix="Pick both with the same index: x[rows], y[rows]."
            if join.picked
            else "Give both to one dataset, and that to one loader: DataLoader(TensorDataset(x, y), shuffle=True).",
            patch=_one_order(join),
        )  # fmt: skip
        return


def _belong_together(join: JoinedOrders) -> bool:
    chance = _CHANCE / math.sqrt(max(1, join.pairs))
    elsewhere = max(join.neighbours, join.joined)
    return join.pairs >= _PAIRS and join.related > max(_RELATED, chance) and elsewhere < _LOST * join.related


def _one_order(join: JoinedOrders) -> str:
    if not join.picked:
        return "shuffle:together"
    one, other = join.one, join.other
    if one is None or other is None or one.file != other.file or one.line == other.line:
        return ""
    return f"picks:{Path(one.file).name}:{one.line},{other.line}"
