"""Patch of data of which one field repeats as a whole and another row by row."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from torch.utils.data import DataLoader

from flightcheck.adapters.torch.held_data import Column, Unknown, columns_below, facts_of, table_columns
from flightcheck.adapters.torch.patching.boundaries import Boundaries
from flightcheck.adapters.torch.repeated_rows import turned_order
from flightcheck.patch import Patch


def repeated(b: Boundaries, patch: Patch) -> None:
    """``shuffle:repeated``: the field that repeats exactly is put into the order in which the other one repeats, before
    the first batch of a loader is drawn, or as soon as it is known what the script picks its batches from.
    """
    known: set[int] = set()

    def turn(columns: dict[str, Column]) -> None:
        with b.unwatched():
            if _turn(columns):
                b.acted(patch)

    def make(original: Any) -> Any:
        @functools.wraps(original)
        def __iter__(self: DataLoader[Any]) -> Any:  # noqa: N807
            if b.observer.watch.mine() and id(self.dataset) not in known:
                known.add(id(self.dataset))
                turn(_columns(self.dataset))
            return original(self)

        return __iter__

    b.observer.patches.replace(DataLoader, "__iter__", make)
    tables = b.observer.operations.tables
    before = tables.tables

    def told(role: str, columns: Any, origins: Any) -> None:
        before(role, columns, origins)
        if all(origins[name] is table for name, table in columns.items()):
            turn(table_columns(columns))

    tables.tables = told


def _columns(dataset: Any) -> dict[str, Column]:
    try:
        return columns_below(dataset)
    except Unknown:
        return {}


def _turn(columns: dict[str, Column]) -> bool:
    """Whether a field was turned, in place."""
    try:
        found = facts_of(columns)["turned"]
    except Unknown:
        return False
    held = columns[found["exact"]].read(None) if found else None
    if not isinstance(held, np.ndarray) or not held.flags.writeable:
        return False
    held[...] = held[turned_order(found["tiled"], found["groups"], found["copies"])]
    return True
