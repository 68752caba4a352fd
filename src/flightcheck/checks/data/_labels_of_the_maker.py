"""Generated examples that are judged with labels they were not made for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from flightcheck.checks.base import Finding
from flightcheck.recording.opponents import Opponents
from flightcheck.recording.run import Run

_CALLS: Final = 4
"""Of the judge, before steps of the maker; the first ones may be a warm-up."""


def judged_with_other_labels(run: Run) -> Iterator[Finding]:
    """Makers of examples for given labels whose steps come from judgements about other labels, all of them."""
    names = {r.index: r.name for r in run.roots}
    for pair in run.recorded(Opponents):
        if not pair.other_labels == pair.labelled >= _CALLS:
            continue
        judge, maker = names.get(pair.judge, "the judge"), names.get(pair.maker, "the maker")
        yield Finding(
            f"In the steps of {maker}, {judge} is asked about its examples with other labels than those they were made "
            f"for (in all of {pair.labelled} calls): what is rewarded is another class than the one asked for.",
            location=pair.judged_location,
            evidence={"judge": judge, "maker": maker, "calls": pair.labelled},
            fix=f"Give {judge} the very labels that {maker} was given.",
        )
