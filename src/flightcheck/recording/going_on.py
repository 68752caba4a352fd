"""A call that is given a state and whose new state is dropped: ``scores, _ = decoder(token, h)``."""

from __future__ import annotations

import ast
import copy
from typing import Final

from flightcheck.frozen import frozen

_STATES: Final = {"h", "hx", "hidden", "state", "states", "hidden_state", "h0", "hc"}
"""Keywords under which a state is given."""


@frozen
class DroppedState:
    """What such a statement gives and drops."""

    state: str
    """The name of the state that it is given: of several names behind the first, the first."""
    dropped: str
    """The last name of its target."""
    kept: list[str]
    """The others."""
    given: list[str]
    """The names in its first argument."""


def dropped_state(statement: ast.stmt) -> DroppedState | None:
    """What the statement gives and drops; None if it is no call with two results at least, or keeps its state."""
    if (
        not isinstance(statement, ast.Assign)
        or len(statement.targets) != 1
        or not isinstance(statement.value, ast.Call)
    ):
        return None
    target, call = statement.targets[0], statement.value
    if not isinstance(target, ast.Tuple) or len(target.elts) < 2 or not call.args:
        return None
    names = [e.id for e in target.elts if isinstance(e, ast.Name)]
    states = [a.id for a in call.args[1:] if isinstance(a, ast.Name)]
    states += [k.value.id for k in call.keywords if k.arg in _STATES and isinstance(k.value, ast.Name)]
    if len(names) != len(target.elts) or not states or set(names) & set(states):
        return None
    given = [n.id for n in ast.walk(call.args[0]) if isinstance(n, ast.Name)]
    return DroppedState(states[0], names[-1], names[:-1], given)


def going_on(statement: ast.stmt, chosen: ast.stmt) -> str:
    """The statement with its state in the place of what drops the new one; empty for any other statement."""
    found = dropped_state(statement)
    if found is None or not isinstance(statement, ast.Assign):
        return ""
    made = copy.deepcopy(statement)
    target = made.targets[0]
    if isinstance(target, ast.Tuple):
        target.elts[-1] = ast.Name(found.state, ast.Store())
    return ast.unparse(ast.fix_missing_locations(made))
