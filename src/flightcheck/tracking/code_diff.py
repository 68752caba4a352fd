"""What differs between the code of two runs: the lines, without those that cannot matter."""

from __future__ import annotations

import ast
import difflib
from dataclasses import field

from flightcheck.frozen import frozen
from flightcheck.recording.run import Run
from flightcheck.recording.surroundings import SourceFile


@frozen
class FileDifference:
    """A file of the user's code that is not the same in two runs."""

    path: str
    lines: list[str] = field(default_factory=list)
    """``12 - text`` and ``12 + text``: the lines that went and came, by their numbers."""
    why: str = ""
    """In words, where there are no lines."""
    matters: bool = True
    """More than comments, blanks and documentation differ."""


def code_differences(first: Run, second: Run) -> list[FileDifference]:
    """The files that differ, those first that can matter."""
    one = {"" if f.main else f.path: f for f in first.recorded(SourceFile)}
    other = {"" if f.main else f.path: f for f in second.recorded(SourceFile)}
    keys = one.keys() | other.keys()
    if "running" in (first.info.ended, second.info.ended) or not (one and other):
        keys = one.keys() & other.keys()  # of a run that was killed, or of an older version, not all files are known
    found = [_difference(one.get(key), other.get(key)) for key in sorted(keys)]
    return sorted((d for d in found if d is not None), key=lambda d: not d.matters)


def _difference(one: SourceFile | None, other: SourceFile | None) -> FileDifference | None:
    if one is None or other is None:
        there = one or other
        assert there is not None
        return FileDifference(there.path, why="only in the first run" if one else "only in the second run")
    if one.digest == other.digest:
        return None
    path = other.path if one.path == other.path else f"{one.path} → {other.path}"
    if not one.text or not other.text:
        return FileDifference(path, why="differs; it is too large for a copy in the run")
    lines = list(_changed_lines(one.text, other.text))
    if not lines:
        return FileDifference(path, why="differs only in values that look like secrets, or in line ends")
    return FileDifference(path, lines, matters=not _same_program(one.text, other.text))


def _changed_lines(one: str, other: str) -> list[str]:
    before, after = one.splitlines(), other.splitlines()
    found = []
    for tag, i, j, k, m in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag != "equal":
            found += [f"{n + 1} - {before[n]}" for n in range(i, j)]
            found += [f"{n + 1} + {after[n]}" for n in range(k, m)]
    return found


def _same_program(one: str, other: str) -> bool:
    try:
        return _meaning(one) == _meaning(other)
    except (SyntaxError, ValueError, RecursionError):
        return False


def _meaning(text: str) -> str:
    """The program without comments, layout and documentation."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        first = body[0] if isinstance(body, list) and body else None
        if isinstance(first, ast.Expr) and isinstance(getattr(first.value, "value", None), str):
            del node.body[0]  # type: ignore[attr-defined]
    return ast.dump(tree)
