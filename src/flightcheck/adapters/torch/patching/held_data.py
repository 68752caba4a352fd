"""Patches of what a data set holds, as soon as it is known what the batches are picked from: one field repeats as a
whole and another row by row; numbers stand for missing values.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from flightcheck.adapters.torch.held_data import Column, Unknown, columns_below, facts_of, table_columns
from flightcheck.adapters.torch.patching.boundaries import Arguments, Boundaries, map_tensors
from flightcheck.adapters.torch.repeated_rows import turned_order
from flightcheck.adapters.torch.watch import is_plain_tensor
from flightcheck.patch import Patch


def repeated(b: Boundaries, patch: Patch) -> None:
    """``shuffle:repeated``: the field that repeats exactly is put into the order in which the other one repeats, before
    the first batch of a loader is drawn, or as soon as it is known what the script picks its batches from.
    """

    def turn(columns: dict[str, Column]) -> None:
        if _turn(columns):
            b.acted(patch)

    _at_data(b, turn)


def without_stand_ins(b: Boundaries, patch: Patch) -> None:
    """``inputs:known``: where a number of the training data stands apart from all others of its column, again and
    again, models are given the mean of the others; in evaluations, too.
    """
    columns: dict[int, dict[tuple[int, float], float]] = {}
    """Width of a table → column and number → the mean of the others."""

    def look(held: dict[str, Column]) -> None:
        for field, found in _facts(held, "stand_ins").items():
            width = np.shape(held[field].read(np.zeros(1, np.int64)))[-1]
            known = columns.setdefault(width, {})
            for index, number, _, mean, _, _ in found:
                known.setdefault((int(index), number), mean)

    def replace(t: torch.Tensor) -> torch.Tensor:
        known = columns.get(t.shape[-1]) if t.dim() > 1 else None
        if not known or not is_plain_tensor(t) or t.requires_grad or not t.is_floating_point():
            return t
        changed = t.clone()
        for (index, number), mean in known.items():
            values = changed[..., index]
            values[values == torch.tensor(number, dtype=t.dtype)] = mean
        if not changed.equal(t):
            b.acted(patch)
        return changed

    def root(call: Any, module: torch.nn.Module, given: Arguments) -> Any:
        args, kwargs = map_tensors(given, replace)
        return call(*args, **kwargs)

    _at_data(b, look)
    b.at_root(root)


def _at_data(b: Boundaries, told: Callable[[dict[str, Column]], None]) -> None:
    """Tell the columns of each data set before a loader draws of it, and of what the script itself picks from."""
    known: set[int] = set()

    def make(original: Any) -> Any:
        @functools.wraps(original)
        def __iter__(self: DataLoader[Any]) -> Any:  # noqa: N807
            if b.observer.watch.mine() and id(self.dataset) not in known:
                known.add(id(self.dataset))
                with b.unwatched():
                    told(_columns(self.dataset))
            return original(self)

        return __iter__

    b.observer.patches.replace(DataLoader, "__iter__", make)
    tables = b.observer.operations.tables
    before = tables.tables

    def picked(role: str, columns: Any, origins: Any) -> None:
        before(role, columns, origins)
        with b.unwatched():
            told(table_columns(columns))

    tables.tables = picked


def _columns(dataset: Any) -> dict[str, Column]:
    try:
        return columns_below(dataset)
    except Unknown:
        return {}


def _turn(columns: dict[str, Column]) -> bool:
    """Whether a field was turned, in place."""
    found = _facts(columns, "turned")
    held = columns[found["exact"]].read(None) if found else None
    if not isinstance(held, np.ndarray) or not held.flags.writeable:
        return False
    held[...] = held[turned_order(found["tiled"], found["groups"], found["copies"])]
    return True


def _facts(columns: dict[str, Column], name: str) -> dict[str, Any]:
    """A field of their `DataDigest`; empty where they cannot be read, or are too many to be read whole."""
    try:
        found: dict[str, Any] = facts_of(columns)[name]
        return found
    except Unknown:
        return {}
