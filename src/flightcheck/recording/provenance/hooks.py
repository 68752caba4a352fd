"""Which line registers a hook: ``parameter.register_hook(lambda g: …)``, ``module.register_forward_hook(hook)``."""

from __future__ import annotations

import ast
import re
from typing import Final

from flightcheck.recording.provenance.source import last_name, line_of, read_source

_REGISTERS: Final = re.compile(r"register_(?:\w+_)?hook")


def registered_at(file: str, line: int, name: str) -> int | None:
    """The only line of a file that registers a hook which is written there.

    Args:
        file: the source file of the hook.
        line: the first line of the hook.
        name: of the function, ``<lambda>`` for a lambda.

    Returns:
        The line of the call; None if no call, or more than one, may be it.
    """
    try:
        source = read_source(file)
        found = set()
        for call in source.calls if source else ():
            if not _REGISTERS.fullmatch(last_name(call.func)):
                continue
            for hook in call.args[:1]:
                made = hook.func if isinstance(hook, ast.Call) else hook  # save("body"), which returns the hook
                here = isinstance(hook, ast.Lambda) and line_of(hook) == line
                if here or (not isinstance(made, ast.Lambda) and name and last_name(made) == name):
                    found.add(line_of(call))
        return found.pop() if len(found) == 1 else None
    except Exception:  # the promise: odd sources have no answer, and are no error
        return None
