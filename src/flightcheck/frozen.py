"""Dataclasses that cannot be changed, made when they are needed.

The standard library compiles six methods for each frozen dataclass (Python 3.11: 1 ms), and a report needs some two
hundred of these classes: more than half of the time of ``flightcheck list``. Here only ``__init__`` is compiled; the
other methods are the same for all. And a class is made a dataclass when its first object is made, or somebody asks for
its fields: most have no object in a given report. What `dataclasses` has for an object (`replace`, `fields`, `asdict`)
works as ever.
"""

from __future__ import annotations

import dataclasses
import operator
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

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
    own = frozenset(vars(cls))
    made: Any = cls
    made.__dataclass_fields__ = fields = _Fields(made, own)
    for name, method in {**_METHODS, **_completing(made, fields)}.items():
        if name not in own:
            setattr(made, name, method)
    return cls


class _Fields:
    """In the place of a class's fields until somebody asks for them, or makes an object."""

    def __init__(self, made: Any, own: frozenset[str]) -> None:
        self.made, self.own = made, own
        self.done = False

    def __get__(self, instance: object, owner: type) -> object:
        self.complete()
        return vars(self.made)["__dataclass_fields__"]

    def complete(self) -> None:
        """Once: a thread that comes while another is at it waits, or it would find a class that is half made."""
        with _ONE_AT_A_TIME:
            if self.done:
                return
            dataclasses.dataclass(init=False, repr=False, eq=False)(self.made)
            for name, method in {**_by_fields(self.made), "__init__": _init(self.made)}.items():
                if name not in self.own:
                    setattr(self.made, name, method)
            self.done = True


def _completing(made: Any, fields: _Fields) -> dict[str, Callable[..., Any]]:
    """Methods that make way for those of the fields when one of them is called first."""

    def later(name: str) -> Callable[..., Any]:
        def method(self: Any, *values: object, **named: object) -> Any:
            fields.complete()
            return vars(made)[name](self, *values, **named)

        return method

    return {name: later(name) for name in ("__init__", "__eq__", "__hash__")}


def _init(made: Any) -> Callable[..., None]:
    """``__init__`` as `dataclasses` writes it, but that the fields go to ``__dict__``, past ``__setattr__``."""
    known: dict[str, object] = {"_unset": _UNSET}
    parameters, body = ["self"], ["_values = self.__dict__"]
    for f in dataclasses.fields(made):
        if f.default_factory is not dataclasses.MISSING:
            known[f"_made_{f.name}"] = f.default_factory
            parameters.append(f"{f.name}=_unset")
            body.append(f"_values[{f.name!r}] = _made_{f.name}() if {f.name} is _unset else {f.name}")
            continue
        body.append(f"_values[{f.name!r}] = {f.name}")
        if f.default is dataclasses.MISSING:
            parameters.append(f.name)
        else:
            known[f"_default_{f.name}"] = f.default
            parameters.append(f"{f.name}=_default_{f.name}")
    if hasattr(made, "__post_init__"):
        body.append("self.__post_init__()")
    exec(f"def __init__({', '.join(parameters)}):\n  " + "\n  ".join(body), known)
    init: Any = known["__init__"]
    init.__qualname__ = f"{made.__qualname__}.__init__"  # as a call with wrong arguments names it
    return cast("Callable[..., None]", init)


def _by_fields(made: Any) -> dict[str, Callable[..., Any]]:
    """``__eq__`` and ``__hash__``. Records are keys of dictionaries at each step that is measured: the loop is in C."""
    fields = dataclasses.fields(made)
    compared = _getter([f.name for f in fields if f.compare])
    hashed = _getter([f.name for f in fields if (f.compare if f.hash is None else f.hash)])

    def equal(self: Any, other: object) -> object:
        if type(other) is not type(self):
            return NotImplemented
        return compared(self) == compared(other)

    def hash_(self: Any) -> int:
        return hash(hashed(self))

    return {"__eq__": equal, "__hash__": hash_}


def _getter(names: list[str]) -> Callable[[Any], Any]:
    return operator.attrgetter(*names) if names else lambda self: ()


def _set_once(self: Any, name: str, value: object) -> None:
    known = self.__dict__
    if name in known or name not in type(self).__dataclass_fields__:
        raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
    known[name] = value


def _deleted(self: Any, name: str) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


def _written(self: Any) -> str:
    told = (f"{f.name}={getattr(self, f.name)!r}" for f in dataclasses.fields(self) if f.repr)
    return f"{type(self).__qualname__}({', '.join(told)})"


_UNSET: Final = object()
_ONE_AT_A_TIME: Final = threading.RLock()
"""Held while a class is completed; a class completes those that it derives from."""
if hasattr(os, "register_at_fork"):  # else a child that is forked meanwhile by another thread would wait for ever
    os.register_at_fork(
        before=_ONE_AT_A_TIME.acquire,
        after_in_parent=_ONE_AT_A_TIME.release,
        after_in_child=_ONE_AT_A_TIME.release,
    )
_METHODS: Final = {
    "__setattr__": _set_once,
    "__delattr__": _deleted,
    "__repr__": _written,
}
