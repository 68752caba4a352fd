"""Patches of what samplers draw."""

from __future__ import annotations

import functools
from typing import Any, Final

import torch
from torch.utils.data import DataLoader, Subset, TensorDataset, WeightedRandomSampler

from flightcheck.adapters.torch.datasets import length_of
from flightcheck.adapters.torch.patching.boundaries import Boundaries
from flightcheck.patch import Patch

_LABELS: Final = ("targets", "labels", "y")
"""Attributes in which datasets keep the classes of their examples."""


def sampler(b: Boundaries, patch: Patch) -> None:
    """A weighted sampler with fewer weights than there are examples gets one weight for each.

    It is the weight of the example's class, where the dataset holds the classes and there is a weight for each; else
    all examples have the same one.
    """

    def make(original: Any) -> Any:
        @functools.wraps(original)
        def __iter__(self: DataLoader[Any]) -> Any:  # noqa: N807
            drawn, rows = self.sampler, length_of(self.dataset) or 0
            if isinstance(drawn, WeightedRandomSampler) and len(drawn.weights) < rows and b.observer.watch.mine():
                with b.unwatched():
                    labels = _labels(self.dataset, rows)
                    fits = labels is not None and int(labels.min()) >= 0 and int(labels.max()) < len(drawn.weights)
                    drawn.weights = drawn.weights[labels] if fits else torch.ones(rows, dtype=torch.double)
                b.acted(patch)
            return original(self)

        return __iter__

    b.observer.patches.replace(DataLoader, "__iter__", make)


def _labels(dataset: Any, rows: int) -> torch.Tensor | None:
    """The class numbers of all examples, None if they are not kept in a usual place."""
    if type(dataset) is Subset:
        below = length_of(dataset.dataset)
        all_labels = _labels(dataset.dataset, below) if below else None
        return None if all_labels is None else all_labels[torch.as_tensor(list(dataset.indices), dtype=torch.long)]
    if type(dataset) is TensorDataset:
        held = list(dataset.tensors[1:])
    else:
        held = [vars(dataset)[n] for n in _LABELS if n in getattr(dataset, "__dict__", {})]
    for values in held:
        try:
            labels = torch.as_tensor(values)
        except (TypeError, ValueError, RuntimeError):
            continue
        if labels.shape == (rows,) and not (labels.is_floating_point() or labels.dtype == torch.bool):
            return labels.long()
    return None
