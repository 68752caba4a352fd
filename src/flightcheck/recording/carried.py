"""A statement that counts on where the loop around it begins anew: ``set_rate(i)`` in each epoch."""

from __future__ import annotations

import ast
import re
from typing import Final

from flightcheck.recording.separating import Helped

_RULE: Final = re.compile(r"carried@(\w+)")


def is_carried(rule: str) -> bool:
    """A rule such as ``carried@i``."""
    return _RULE.fullmatch(rule) is not None


def carried(rule: str, statement: ast.stmt, chosen: ast.stmt) -> str:
    """``set_rate(i)`` becomes ``set_rate(helper.carried(7, i))``, which begins where the loop before it ended.

    Args:
        rule: ``carried@i``.
        statement: is changed.
        chosen: the same, as it was.
    """
    found = _RULE.fullmatch(rule)
    return Helped(found[1], "carried", ast.Constant(chosen.lineno)).rewritten(statement) if found is not None else ""
