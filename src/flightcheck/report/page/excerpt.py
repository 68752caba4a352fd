"""The code around a line, from the source if it still holds that line, else the recorded line alone."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from flightcheck.frozen import frozen
from flightcheck.recording.records import Location
from flightcheck.recording.run import Run
from flightcheck.redaction import redacted_code
from flightcheck.report.json import relative
from flightcheck.report.page.markup import Html, element, shortened, theirs

AROUND: Final = 3
"""Lines before and after the marked one."""
_LONGEST_LINE: Final = 400
_LONGEST_NAME: Final = 160
_LARGEST_SOURCE: Final = 4_000_000


@frozen
class Excerpt:
    """Some lines of a file: number and text of each."""

    lines: tuple[tuple[int, str], ...]
    whole: bool
    """Neighbours of the line are there."""


def excerpt(location: Location, run: Run) -> Excerpt | None:
    """What can be shown of a line; None where nothing of it is known."""
    for path in _candidates(location, run):
        lines = _lines(path)
        # A source that changed since the run would show the wrong code with confidence.
        if location.code and 0 < location.line <= len(lines) and lines[location.line - 1].strip() == location.code:
            first = max(location.line - AROUND, 1)
            last = min(location.line + AROUND, len(lines))
            while not lines[first - 1].strip():
                first += 1
            while not lines[last - 1].strip():
                last -= 1
            return Excerpt(tuple((n, _shown(lines[n - 1])) for n in range(first, last + 1)), True)
    if location.code:
        return Excerpt(((location.line, _shown(location.code)),), False)
    return None


def _candidates(location: Location, run: Run) -> list[Path]:
    """Where the file may lie: as recorded, or beside the script of a run that was recorded relative to elsewhere."""
    path = Path(location.file)
    found = [path]
    if not path.is_absolute() and run.path is not None:
        found += [folder / path for folder in run.path.absolute().parents[:4]]
    return found


def _shown(line: str) -> str:
    """A page is mailed about: secrets that somebody wrote beside the line stay at home."""
    return redacted_code(line)[:_LONGEST_LINE]


def _lines(path: Path) -> list[str]:
    try:
        if path.suffix not in (".py", ".pyw", "") or not path.is_file() or path.stat().st_size > _LARGEST_SOURCE:
            return []
        return path.read_text(encoding="utf-8", errors="replace").expandtabs(4).splitlines()
    except (OSError, ValueError):
        return []


def place(location: Location) -> Html:
    """``file:line``, as it can be given to an editor."""
    name = shortened(" ".join(relative(location.file).splitlines()), _LONGEST_NAME)
    return element("code", theirs(f"{name}:{location.line}"), class_="place")


def code_around(location: Location, run: Run) -> Html | None:
    """The excerpt as an element, with the line marked in colour, by a sign, and for screen readers."""
    found = excerpt(location, run)
    if found is None:
        return None
    rows = []
    for line, text in found.lines:
        here = line == location.line
        cells = [
            element("span", "▶" if here else "", class_="mark", aria_hidden="true"),
            element("span", str(line), class_="number"),
            element("code", theirs(text or " ")),
        ]
        if here:
            cells.insert(0, element("span", "the line: ", class_="unseen"))
        rows.append(element("span", *cells, class_="line here" if here else "line"))
    return element("pre", *rows, class_="excerpt", tabindex=0, aria_label=f"Code around line {location.line}")
