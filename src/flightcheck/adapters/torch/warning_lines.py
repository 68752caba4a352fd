"""Warnings name the lines that they would name without us, although our wrappers stand on the stack.

PyTorch warns with a distance on the stack (``stacklevel``): "the caller of my caller". A wrapper between them would
be blamed in his place, and Python, which shows a warning once per line, would show it once for all callers.
"""

from __future__ import annotations

import functools
import sys
import warnings
from pathlib import Path
from types import FrameType
from typing import Any, Final

from torch.overrides import handle_torch_function

from flightcheck.adapters.torch.patches import Patches

_PACKAGE: Final = str(Path(__file__).parents[2])


def install(patches: Patches) -> None:
    """Patch the ways of a warning: from Python code, and from PyTorch's C++ code (which only the display shows)."""
    patches.replace(warnings, "warn", _warning)
    if hasattr(warnings, "_showwarnmsg"):
        patches.replace(warnings, "_showwarnmsg", _showing)


def _warning(original: Any) -> Any:
    @functools.wraps(original)
    def warn(message: Any, category: Any = None, stacklevel: int = 1, source: Any = None, **kwargs: Any) -> None:
        frame = None if kwargs else _blamed(sys._getframe(1), stacklevel)
        if frame is None:
            original(message, category, stacklevel + 1, source, **kwargs)
            return
        kind = type(message) if isinstance(message, Warning) else category or UserWarning
        where, registry = frame.f_globals, frame.f_globals.setdefault("__warningregistry__", {})
        warnings.warn_explicit(
            message, kind, frame.f_code.co_filename, frame.f_lineno, where.get("__name__"), registry, None, source
        )

    return warn


def _blamed(frame: FrameType, stacklevel: int) -> FrameType | None:
    """The frame at this distance, ours not counted; None where none of ours is in between."""
    passed_ours = False
    for _ in range(stacklevel - 1):
        if frame.f_back is None:
            return None
        outside = _outside(frame.f_back)
        if outside is None:
            return None
        passed_ours |= outside is not frame.f_back
        frame = outside
    return frame if passed_ours else None


def _outside(frame: FrameType | None) -> FrameType | None:
    """The first frame from here outwards that would be there without us."""
    while frame is not None:
        if frame.f_code is handle_torch_function.__code__:  # under our function mode a function calls itself by this
            frame = frame.f_back
        elif not frame.f_code.co_filename.startswith(_PACKAGE):
            return frame
        frame = frame.f_back if frame is not None else None
    return None


def _showing(original: Any) -> Any:
    @functools.wraps(original)
    def show(message: warnings.WarningMessage) -> None:
        if message.filename.startswith(_PACKAGE):
            frame: FrameType | None = sys._getframe(1)
            while frame is not None and (frame.f_code.co_filename, frame.f_lineno) != (
                message.filename,
                message.lineno,
            ):
                frame = frame.f_back
            frame = _outside(frame)
            if frame is not None:
                message.filename, message.lineno = frame.f_code.co_filename, frame.f_lineno
        original(message)

    return show
