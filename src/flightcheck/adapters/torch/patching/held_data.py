"""Patches of what a data set holds, as soon as it is known what the batches are picked from: one field repeats as a
whole and another row by row; numbers stand for missing values.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Subset, TensorDataset

from flightcheck.adapters.torch.data_digests import FETCHES
from flightcheck.adapters.torch.datasets import reference
from flightcheck.adapters.torch.held_data import Column, columns_below, facts_of, table_columns
from flightcheck.adapters.torch.patching.boundaries import Arguments, Boundaries, map_tensors
from flightcheck.adapters.torch.repeated_rows import turned_order
from flightcheck.adapters.torch.watch import is_plain_tensor
from flightcheck.patch import Patch


def repeated(b: Boundaries, patch: Patch) -> None:
    """``shuffle:repeated``: the field that repeats exactly is put into the order in which the other one repeats, before
    the first batch of a loader is drawn, or as soon as it is known what the script picks its batches from. Nothing is
    written into the script's own memory: it may be a file.
    """

    def held(dataset: Any) -> None:
        base = _below(dataset)
        if (found := _facts(_columns(base), "turned")) and _give(base, found["exact"], _order(found)):
            b.acted(patch)

    def picked(tables: dict[str, torch.Tensor]) -> None:
        if found := _facts(table_columns(tables), "turned"):
            table = tables[found["exact"]]
            others.append((table, table[torch.from_numpy(_order(found)).to(table.device)]))

    def operation(function: Any, name: str, given: Arguments) -> Any:
        args, kwargs = given
        other = next((o for t, o in others if args and args[0] is t), None) if name in FETCHES else None
        if other is None:
            return function(*args, **kwargs)
        b.acted(patch)
        return function(other, *args[1:], **kwargs)

    others: list[tuple[torch.Tensor, torch.Tensor]] = []
    """A table from which batches are picked, and what they are picked from instead."""
    _at_data(b, held, picked)
    b.at_operations(operation)


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

    _at_data(b, lambda dataset: look(_columns(dataset)), lambda tables: look(table_columns(tables)))
    b.at_root(root)


def _at_data(b: Boundaries, held: Callable[[Any], None], picked: Callable[[dict[str, torch.Tensor]], None]) -> None:
    """Tell each data set before a loader draws of it, and the tensors that the script itself picks from."""
    known: dict[int, Callable[[], Any]] = {}
    """Those that were told of, not kept alive: another one may get the place of one that is gone."""

    def told_of(dataset: Any) -> bool:
        held = known.get(id(dataset))
        return held is not None and held() is dataset

    def make(original: Any) -> Any:
        @functools.wraps(original)
        def __iter__(self: DataLoader[Any]) -> Any:  # noqa: N807
            if b.observer.watch.mine() and not told_of(self.dataset):
                known[id(self.dataset)] = reference(self.dataset)
                with b.unwatched():
                    held(self.dataset)
            return original(self)

        return __iter__

    b.observer.patches.replace(DataLoader, "__iter__", make)
    tables = b.observer.operations.tables
    before = tables.tables

    def told(role: str, columns: Any, origins: Any) -> None:
        before(role, columns, origins)
        with b.unwatched(), torch.no_grad():
            picked(columns)

    tables.tables = told


def _columns(dataset: Any) -> dict[str, Column]:
    try:
        return columns_below(dataset)
    except Exception:  # what cannot be read without the user's code is not known
        return {}


def _below(dataset: Any) -> Any:
    while type(dataset) is Subset:
        dataset = dataset.dataset
    return dataset


def _order(found: dict[str, Any]) -> Any:
    return turned_order(found["tiled"], found["groups"], found["copies"])


def _give(dataset: Any, field: str, order: Any) -> bool:
    """Give a data set another array in the place of a field. What the field holds is not touched: it may be a file."""
    if type(dataset) is TensorDataset:
        turned = list(dataset.tensors)
        turned[int(field)] = turned[int(field)][torch.from_numpy(order)]
        dataset.tensors = tuple(turned)
        return True
    held = vars(dataset).get(field) if hasattr(dataset, "__dict__") else None
    if isinstance(held, list):
        vars(dataset)[field] = [held[i] for i in order]
    elif isinstance(held, np.ndarray | torch.Tensor):
        vars(dataset)[field] = held[order]
    else:
        return False
    return True


def _facts(columns: dict[str, Column], name: str) -> dict[str, Any]:
    """A field of their `DataDigest`; empty where they cannot be read, or are too many to be read whole."""
    try:
        found: dict[str, Any] = facts_of(columns)[name]
        return found
    except Exception:  # as above
        return {}
