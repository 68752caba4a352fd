"""The one owner of everything that is hooked into PyTorch, so that all of it comes out again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from torch.jit._builtins import _find_builtin, _get_builtin_table


class Removable(Protocol):
    """A hook handle of PyTorch."""

    def remove(self) -> None: ...


class Patches:
    """Replaced attributes and hook handles; `close` restores them in reverse order."""

    def __init__(self) -> None:
        self._replaced: list[tuple[Any, str, Any, Any, bool]] = []
        self._handles: list[Removable] = []

    def replace(self, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
        """Replace ``owner.name`` by ``make(original)``."""
        own = name in vars(owner)
        original = vars(owner)[name] if own else getattr(owner, name)
        if isinstance(original, staticmethod):
            original = original.__func__
        replacement = make(original)
        operator = _find_builtin(original)  # type: ignore[no-untyped-call]
        if operator is not None:  # TorchScript knows this function by its identity
            _get_builtin_table()[id(replacement)] = operator  # type: ignore[no-untyped-call]
        setattr(owner, name, replacement)
        self._replaced.append((owner, name, original, replacement, own))

    def add(self, handle: Removable) -> None:
        """Take over a hook handle."""
        self._handles.append(handle)

    def close(self) -> None:
        """Take everything out. An attribute that somebody else replaced meanwhile is left as it is."""
        for handle in self._handles:
            handle.remove()
        for owner, name, original, replacement, own in reversed(self._replaced):
            _get_builtin_table().pop(id(replacement), None)  # type: ignore[no-untyped-call]
            if vars(owner).get(name) is not replacement:
                continue
            if own:
                setattr(owner, name, original)
            else:
                delattr(owner, name)
        self._handles.clear()
        self._replaced.clear()
