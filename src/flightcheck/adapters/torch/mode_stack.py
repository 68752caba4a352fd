"""PyTorch's stack of function modes: the last one sees an operation first."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch.overrides import _get_current_function_mode_stack, _pop_mode, _push_mode


def modes() -> list[Any]:
    """The modes that are on the stack, lowest first."""
    return list(_get_current_function_mode_stack())  # type: ignore[no-untyped-call]


def arrange(wanted: Iterable[Any]) -> None:
    """Make these the stack, lowest first."""
    for _ in modes():
        _pop_mode()  # type: ignore[no-untyped-call]
    for mode in wanted:
        _push_mode(mode)  # type: ignore[no-untyped-call]
