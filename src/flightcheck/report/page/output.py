"""What the script printed, folded: the beginning and the end of it."""

from __future__ import annotations

from typing import Final

from flightcheck.recording.output import ends_of
from flightcheck.recording.run import Run
from flightcheck.report.page.markup import Html, count, element, shortened, theirs

FIRST: Final = 40
LAST: Final = 160
"""Lines in the page; `flightcheck show --output` prints all that are kept."""
_LONGEST: Final = 400


def printed(run: Run) -> Html | None:
    """A part of the page; None where nothing is kept."""
    lines = ends_of(run.output, FIRST, LAST)
    if not lines:
        return None
    shown = [
        f"… {count(line.left_out, 'line')} left out …" if line.left_out else shortened(line.text, _LONGEST)
        for line in lines
    ]
    total = sum(line.left_out or 1 for line in lines)
    return element(
        "section",
        element("h2", "What the script printed", id="output"),
        element(
            "details",
            element("summary", count(total, "line")),
            element("pre", theirs("\n".join(shown)), class_="scroll", tabindex=0, aria_label="What the script printed"),
        ),
    )
