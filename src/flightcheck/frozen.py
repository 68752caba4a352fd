"""Dataclasses that cannot be changed, made in a fifth of the time.

The standard library compiles six methods for each frozen dataclass (Python 3.11: 1 ms), and a report needs some two
hundred of these classes: more than half of the time of ``flightcheck list``. Here only ``__init__`` is compiled; the
other methods are the same for all. What `dataclasses` has for an object (`replace`, `fields`, `asdict`) works as ever.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from typing_extensions import dataclass_transform
else:

    def dataclass_transform(**_: object) -> Callable[[Any], Any]:
        """Python 3.10 has none, and only type checkers ask for it."""
        return lambda decorator: decorator


T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field,))
def frozen(cls: type[T]) -> type[T]:
    """A dataclass whose fields are set once, by ``__init__``; equal and hashed by its fields. For a decorator.

    Setting or deleting a field later raises `dataclasses.FrozenInstanceError`.
    """
    made = dataclasses.dataclass(repr=False, eq=False)(cls)
    own = vars(made)
    for name, method in _METHODS.items():
        if name not in own:
            setattr(made, name, method)
    return made


def _set_once(self: Any, name: str, value: object) -> None:
    known = self.__dict__
    if name in known or name not in type(self).__dataclass_fields__:
        raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
    known[name] = value


def _deleted(self: Any, name: str) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


def _values(self: Any, of: Callable[[Any], bool]) -> tuple[object, ...]:
    return tuple(getattr(self, f.name) for f in dataclasses.fields(self) if of(f))


def _equal(self: Any, other: object) -> object:
    if type(other) is not type(self):
        return NotImplemented
    return _values(self, lambda f: f.compare) == _values(other, lambda f: f.compare)


def _hash(self: Any) -> int:
    return hash(_values(self, lambda f: f.compare if f.hash is None else f.hash))


def _written(self: Any) -> str:
    told = (f"{f.name}={getattr(self, f.name)!r}" for f in dataclasses.fields(self) if f.repr)
    return f"{type(self).__qualname__}({', '.join(told)})"


_METHODS: Final = {
    "__setattr__": _set_once,
    "__delattr__": _deleted,
    "__eq__": _equal,
    "__hash__": _hash,
    "__repr__": _written,
}
