"""What is known of objects of the user's, by their identity and without keeping them alive."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Any, Final, Generic, TypeVar

V = TypeVar("V")
_FEWEST: Final = 1024


class ByIdentity(Generic[V]):
    """A table whose keys are objects, held weakly.

    Unlike `weakref.WeakKeyDictionary` it asks no object for its hash or equality, and runs no code as an object dies:
    Python swallows a Ctrl-C that arrives in such code.
    """

    def __init__(self) -> None:
        self._values: dict[int, tuple[weakref.ref[Any], V]] = {}
        self._limit = _FEWEST

    def __setitem__(self, thing: Any, value: V) -> None:
        if len(self._values) >= self._limit:
            self._values = {k: v for k, v in self._values.items() if v[0]() is not None}
            self._limit = max(_FEWEST, 2 * len(self._values))
        self._values[id(thing)] = (weakref.ref(thing), value)

    def __contains__(self, thing: Any) -> bool:
        return self.get(thing) is not None

    def __iter__(self) -> Iterator[Any]:
        return (thing for thing, _ in self.items())

    def get(self, thing: Any) -> V | None:
        """The value of an object, None if there is none."""
        known = self._values.get(id(thing))
        return known[1] if known is not None and known[0]() is thing else None

    def pop(self, thing: Any) -> V | None:
        """As `get`; forgotten afterwards."""
        value = self.get(thing)
        if value is not None:
            del self._values[id(thing)]
        return value

    def items(self) -> Iterator[tuple[Any, V]]:
        """Objects that live, with their values, in the order in which they came."""
        return ((thing, value) for ref, value in list(self._values.values()) if (thing := ref()) is not None)
