"""Functions that run: whose they are, and their local variables, read without keeping them alive."""

from __future__ import annotations

import inspect
import os
import sys
from pathlib import Path
from types import FrameType
from typing import Any, Final

import torch

_TORCH: Final = f"{Path(torch.__file__).parent}{os.sep}"


def is_of_torch(frame: FrameType) -> bool:
    """It is a function of PyTorch's own, and not of a library whose name begins alike."""
    return frame.f_code.co_filename.startswith(_TORCH)


def local(frame: FrameType, name: str, default: Any = None) -> Any:
    """The value of a local variable.

    Before Python 3.13 (PEP 667), ``f_locals`` of a function's frame is a copy of all its variables that stays on the
    frame: batches and models that the function lets go of would live on until it returns. The namespace of a module or
    class is the real one, and stays as it is.
    """
    names = frame.f_locals
    value = names.get(name, default)
    if frame.f_code.co_flags & inspect.CO_OPTIMIZED and sys.version_info < (3, 13):
        names.clear()
    return value
