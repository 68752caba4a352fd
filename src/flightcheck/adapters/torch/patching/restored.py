"""Patch of a dataset that writes into its examples: before each batch they are what they were."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import torch
from torch.utils.data import Subset
from torch.utils.data.dataloader import _BaseDataLoaderIter

from flightcheck.adapters.torch.patching.boundaries import Boundaries
from flightcheck.patch import Patch

_MOST_BYTES: Final = 64_000_000


def restored(b: Boundaries, patch: Patch) -> None:
    """``loader:restored``: arrays and tensors of a dataset are put back to what they held when it was first read."""
    known: dict[int, tuple[Any, list[tuple[Any, Any]]]] = {}

    def make(original: Any) -> Any:
        @functools.wraps(original)
        def __next__(self: Any) -> Any:  # noqa: N807
            if b.observer.watch.mine():
                dataset = self._dataset
                if id(dataset) not in known:
                    known[id(dataset)] = dataset, list(_copies(dataset))
                for held, copy in known[id(dataset)][1]:
                    if _put_back(held, copy):
                        b.acted(patch)
            return original(self)

        return __next__

    b.observer.patches.replace(_BaseDataLoaderIter, "__next__", make)


def _copies(dataset: Any) -> Iterator[tuple[Any, Any]]:
    """The arrays and tensors of a dataset, also those in lists, each with a copy; not more than 64 MB."""
    while type(dataset) is Subset:
        dataset = dataset.dataset
    left = _MOST_BYTES
    for value in list(getattr(dataset, "__dict__", {}).values()):
        for held in value if type(value) in (list, tuple) else (value,):
            if isinstance(held, (np.ndarray, torch.Tensor)) and getattr(held, "nbytes", 0) <= left:
                left -= int(held.nbytes)
                yield held, held.copy() if isinstance(held, np.ndarray) else held.detach().clone()


def _put_back(held: Any, copy: Any) -> bool:
    """Whether anything had changed."""
    if isinstance(held, torch.Tensor):
        if torch.equal(held, copy):
            return False
        with torch.no_grad():
            held.copy_(copy)
        return True
    if np.array_equal(held, copy, equal_nan=copy.dtype.kind == "f"):
        return False
    held[...] = copy
    return True
