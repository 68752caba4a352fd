"""A mask that chooses what a model is shown, and chooses the elements of its loss, too."""

from __future__ import annotations

import ast
import re
from typing import Final

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS, Location
from flightcheck.recording.separating import Helped

_RULE: Final = re.compile(r"others@([A-Za-z_]\w*)")


@frozen
class ShownMask:
    """A statement of the training step that chooses elements of the loss by a mask which the model was given."""

    location: Location | None
    name: str = ""
    call_location: Location | None = None
    """The line that calls the model with it, or with what it leaves of the input."""


RECORDS[ShownMask.__name__] = ShownMask


def is_of_others(rule: str) -> bool:
    """A rule such as ``others@mask``."""
    return _RULE.fullmatch(rule) is not None


def of_others(rule: str, statement: ast.stmt, chosen: ast.stmt) -> str:
    """``(err * mask).sum()`` becomes ``(err * helper.others(mask)).sum()``, which in training chooses the rest.

    Args:
        rule: ``others@mask``.
        statement: is changed.
        chosen: the same, as it was.
    """
    found = _RULE.fullmatch(rule)
    return Helped(found[1], "others").rewritten(statement) if found is not None else ""
