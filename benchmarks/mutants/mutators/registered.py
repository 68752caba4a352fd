"""The list of mutators."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from benchmarks.mutants.source import Change, Source


@dataclass(frozen=True)
class Mutator:
    """A kind of fault."""

    name: str
    causes: tuple[str, ...]
    """Codes that name it."""
    changes: Callable[[Source], Iterator[Change]]
    """Every place of a program where it can be made."""


MUTATORS: Final[dict[str, Mutator]] = {}


def mutator(causes: str) -> Callable[[Callable[[Source], Iterator[Change]]], Callable[[Source], Iterator[Change]]]:
    """Register a function as the mutator of its name."""

    def register(function: Callable[[Source], Iterator[Change]]) -> Callable[[Source], Iterator[Change]]:
        name = function.__name__.replace("_", " ")
        MUTATORS[name] = Mutator(name, tuple(causes.split()), function)
        return function

    return register
