"""Records as dictionaries of JSON values, and back."""

from __future__ import annotations

import dataclasses
import types
import typing
from functools import cache
from typing import Any, TypeVar

from flightcheck.recording.records import Location

R = TypeVar("R")


def to_data(record: Any) -> dict[str, Any]:
    """The record as a dictionary of JSON values."""
    return dataclasses.asdict(record)


_hints: Any = cache(typing.get_type_hints)  # it evaluates every annotation again


def from_data(cls: type[R], data: dict[str, Any]) -> R:
    """The record again; unknown keys (of a newer version) are ignored."""
    hints = _hints(cls)
    values: dict[str, Any] = {}
    for f in dataclasses.fields(cls):  # type: ignore[arg-type]
        if f.name not in data:
            continue
        value = data[f.name]
        if isinstance(value, dict) and _is_location(hints[f.name]):
            value = _location(value)
        elif isinstance(value, list) and Location in typing.get_args(hints[f.name]):
            value = [_location(v) for v in value]
        values[f.name] = value
    return cls(**values)


def _location(value: dict[str, Any]) -> Location:
    return Location(**{k: value[k] for k in ("file", "line", "function", "code") if k in value})


def _is_location(hint: Any) -> bool:
    if hint is Location:
        return True
    return isinstance(hint, types.UnionType) and Location in typing.get_args(hint)
