"""Statements one level further in or out: into the loop that they stand behind, or out of the one that they leave.

Only the indentation of lines changes, so that every line keeps its number.
"""

from __future__ import annotations

import ast
import re
from typing import Final

RULES: Final = ("into", "out")
_MOST: Final = 8
"""Statements that are moved together."""
_CALLED: Final = {"backward", "step"}


def reindented(source: str, rule: str, line: int) -> str:
    """The source with the statements at a line moved; as it was if the rule does not fit.

    Args:
        source: of the whole file.
        rule: ``into``: what stands between the end of a loop and the step of the optimizer behind it, with the backward
            at that line, becomes the end of the loop. ``out``: a ``return`` at the end of a loop stands behind it; a
            ``break`` that is no part of a condition is a ``pass``.
        line: of the backward, or of the statement that leaves the loop.
    """
    moved = _moved(source, rule, line)
    if moved is None:
        return source
    lines = source.splitlines(keepends=True)
    for number, text in moved.items():
        lines[number - 1] = text
    return "".join(lines)


def shown(source: str, rule: str, line: int) -> str:
    """The lines that change, with ``-`` and ``+``; empty if the rule does not fit."""
    moved = _moved(source, rule, line) or {}
    before = source.splitlines()
    removed = {n: before[n - 1] for n in moved if before[n - 1].strip()}
    widest = min((len(t) - len(t.lstrip()) for t in [*removed.values(), *(moved[n] for n in removed)]), default=0)
    old = [f"- {removed[n][widest:]}" for n in removed]
    return "\n".join([*old, *(f"+ {moved[n].rstrip()[widest:]}" for n in removed if moved[n].strip() != "pass")])


def _moved(source: str, rule: str, line: int) -> dict[int, str] | None:
    """Line numbers, and what becomes of these lines."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return None
    lines = source.splitlines(keepends=True)
    for node in ast.walk(tree):
        for body in (getattr(node, name, None) for name in ("body", "orelse", "finalbody")):
            if isinstance(body, list) and any(isinstance(s, ast.stmt) and _at(s, line) for s in body):
                found = _into(body, line, lines) if rule == "into" else _out(node, body, line, lines)
                if found is not None:
                    return found
    return None


def _into(body: list[ast.stmt], line: int, lines: list[str]) -> dict[int, str] | None:
    at = next(i for i, s in enumerate(body) if _at(s, line))
    loops = [i for i, s in enumerate(body[:at]) if isinstance(s, ast.For | ast.While)]
    last = next((i for i in range(at, len(body)) if "step" in _calls(body[i])), None)
    if not loops or last is None or "backward" not in {c for s in body[at : last + 1] for c in _calls(s)}:
        return None
    loop, moved = body[loops[-1]], body[loops[-1] + 1 : last + 1]
    if not isinstance(loop, ast.For | ast.While) or loop.orelse or len(moved) > _MOST:
        return None
    if not all(_is_plain(s) for s in moved) or loop.body[0].lineno == loop.lineno:
        return None
    inner, outer = (_margin(lines[s.lineno - 1]) for s in (loop.body[0], loop))
    changed = range(moved[0].lineno, (moved[-1].end_lineno or 0) + 1)
    if not inner.startswith(outer) or any(lines[n - 1].strip() and _margin(lines[n - 1]) < outer for n in changed):
        return None
    return {n: inner + lines[n - 1][len(outer) :] if lines[n - 1].strip() else lines[n - 1] for n in changed}


def _out(owner: ast.AST, body: list[ast.stmt], line: int, lines: list[str]) -> dict[int, str] | None:
    at = next(i for i, s in enumerate(body) if _at(s, line))
    left = body[at]
    if not isinstance(owner, ast.For | ast.While) or body is not owner.body or not _is_alone(left, lines):
        return None
    if isinstance(left, ast.Break):
        return {left.lineno: _margin(lines[left.lineno - 1]) + "pass\n"}
    if not isinstance(left, ast.Return) or left is not body[-1] or owner.orelse or not at:
        return None
    inner, outer = _margin(lines[left.lineno - 1]), _margin(lines[owner.lineno - 1])
    if not inner.startswith(outer):
        return None
    return {n: outer + lines[n - 1][len(inner) :] for n in range(left.lineno, (left.end_lineno or 0) + 1)}


def _at(statement: ast.stmt, line: int) -> bool:
    return statement.lineno <= line <= (statement.end_lineno or 0) and not hasattr(statement, "body")


def _is_plain(statement: ast.stmt) -> bool:
    """It computes or assigns something: no block, no end of a function, nothing that counts up for a mean, no text over
    several lines.
    """
    if not isinstance(statement, ast.Expr | ast.Assign | ast.AnnAssign):
        return False
    return not any(
        isinstance(n, ast.Constant | ast.JoinedStr) and n.lineno != n.end_lineno for n in ast.walk(statement)
    )


def _is_alone(statement: ast.stmt, lines: list[str]) -> bool:
    """No other statement stands in its first line."""
    return not lines[statement.lineno - 1][: statement.col_offset].strip()


def _calls(statement: ast.stmt) -> set[str]:
    calls = (n.func for n in ast.walk(statement) if isinstance(n, ast.Call))
    return {c.attr for c in calls if isinstance(c, ast.Attribute) and c.attr in _CALLED}


def _margin(line: str) -> str:
    match = re.match(r"[ \t]*", line)
    return match.group() if match else ""
