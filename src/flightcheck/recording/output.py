"""What a script printed: its lines in the order in which they came; of very many the first and the last."""

from __future__ import annotations

from collections.abc import Iterable

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS


@frozen
class OutputPart:
    """Some lines that came one after the other."""

    first: int
    """The number of the first of them among all lines, counted from 0."""
    lines: list[str]
    """Without what looks like a secret; of a line that was written over (a progress bar) what stood there last."""
    errors: list[int]
    """Positions in `lines` of those that were written to stderr."""


@frozen
class Line:
    """One line, or a gap."""

    text: str
    error: bool = False
    """It was written to stderr."""
    left_out: int = 0
    """Instead of a line: so many are not kept here."""


def lines_of(parts: Iterable[OutputPart]) -> list[Line]:
    """All lines that are kept, with the gaps between them."""
    found: list[Line] = []
    known = 0
    for part in sorted(parts, key=lambda p: p.first):
        if part.first > known:
            found.append(Line("", left_out=part.first - known))
        errors = set(part.errors)
        found += [Line(text, i in errors) for i, text in enumerate(part.lines)]
        known = max(known, part.first + len(part.lines))
    return found


def ends_of(lines: list[Line], first: int, last: int) -> list[Line]:
    """At most so many lines of the beginning and of the end, with one gap in the place of the rest."""
    if len(lines) <= first + last:
        return lines
    gone = sum(line.left_out or 1 for line in lines[first : len(lines) - last])
    return [*lines[:first], Line("", left_out=gone), *lines[len(lines) - last :]]


RECORDS["OutputPart"] = OutputPart
