"""The one owner of everything that is hooked into PyTorch, so that all of it comes out again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


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
            if vars(owner).get(name) is not replacement:
                continue
            if own:
                setattr(owner, name, original)
            else:
                delattr(owner, name)
        self._handles.clear()
        self._replaced.clear()
