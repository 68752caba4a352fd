"""Loops that generate step by step, and begin each step from the same state."""

from __future__ import annotations

import ast

from flightcheck.recording.going_on import DroppedState, dropped_state
from flightcheck.recording.provenance.source import end_of, read_source


def dropped_in_loop(file: str, line: int) -> str:
    """The name of a state that a call in a loop is given anew in each round, while its new one is dropped.

    What the call is given next is made of what it returned, so the rounds are steps of one sequence.

    Args:
        file: the source file.
        line: a line of the call.

    Returns:
        The name; empty where the state goes on, or where the rounds may be branches from one state.
    """
    try:
        source = read_source(file)
        around = [n for n in source.nodes if isinstance(n, ast.stmt)] if source else []
        around = [n for n in around if n.lineno <= line <= end_of(n)]
        loops = [n for n in around if isinstance(n, ast.For | ast.While)]
        statements = [n for n in around if isinstance(n, ast.Assign)]
        if not loops or len(statements) != 1:
            return ""
        found = dropped_state(statements[0])
        loop = max(loops, key=lambda n: n.lineno)
        return found.state if found is not None and _begins_again(loop, statements[0], found) else ""
    except Exception:  # the promise of this package: odd sources have no answer, and are no error
        return ""


def _begins_again(loop: ast.For | ast.While, call: ast.Assign, found: DroppedState) -> bool:
    names = [n for s in loop.body for n in ast.walk(s) if isinstance(n, ast.Name)]
    bound = {n.id for n in names if isinstance(n.ctx, ast.Store)}
    read = {n.id for n in names if isinstance(n.ctx, ast.Load)}
    if found.state in bound or found.dropped in read:
        return False
    made, grown = set(found.kept), True
    others = [s for s in ast.walk(loop) if isinstance(s, ast.Assign) and s is not call]
    while grown:
        grown = False
        for statement in others:
            given = {n.id for n in ast.walk(statement.value) if isinstance(n, ast.Name)}
            new = {n.id for t in statement.targets for n in ast.walk(t) if isinstance(n, ast.Name)}
            if given & made and not new <= made:
                made |= new
                grown = True
    return bool(made & set(found.given))
