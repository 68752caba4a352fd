"""Patch of what collate functions make of their examples."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch.utils.data import DataLoader

from flightcheck.adapters.torch.collated_rows import follow, held_against
from flightcheck.adapters.torch.patching.boundaries import Boundaries
from flightcheck.patch import Patch


def collated(b: Boundaries, patch: Patch) -> None:
    """``shuffle:collated``: labels that a collate function leaves in the old order are put into that of the sequences
    which it sorts by length.
    """

    def change(function: Any, examples: list[Any], batch: Any) -> Any:
        if not b.observer.watch.mine():
            return None
        with b.unwatched():
            made = held_against(examples, batch)
            if made is None or not made.order or not made.labels:
                return None
            changed = _with(batch, {id(t): t[made.order] for t in made.labels})
        b.acted(patch)
        return changed

    def make(original: Any) -> Any:
        @functools.wraps(original)
        def __iter__(self: DataLoader[Any]) -> Any:  # noqa: N807
            iterator = original(self)
            if b.observer.watch.mine():
                follow(iterator, change)
            return iterator

        return __iter__

    b.observer.patches.replace(DataLoader, "__iter__", make)


def _with(batch: Any, others: dict[int, torch.Tensor]) -> Any:
    """The same batch with other tensors at some places."""
    if id(batch) in others:
        return others[id(batch)]
    if isinstance(batch, dict):
        return {k: _with(v, others) for k, v in batch.items()}
    if type(batch) in (tuple, list):
        return type(batch)(_with(v, others) for v in batch)
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(_with(v, others) for v in batch))
    return batch
