"""Patches of what samplers draw, and of the order in which it is visited."""

from __future__ import annotations

import functools
from typing import Any, Final

import numpy as np
import torch
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    RandomSampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
)

from flightcheck.adapters.torch.datasets import length_of
from flightcheck.adapters.torch.patching.boundaries import Boundaries
from flightcheck.adapters.torch.weighted_classes import weighted_classes
from flightcheck.patch import Patch

_LABELS: Final = ("targets", "labels", "y")
"""Attributes in which datasets keep the classes of their examples."""


def sampler(b: Boundaries, patch: Patch) -> None:
    """A weighted sampler with fewer weights than there are examples gets one weight for each.

    It is the weight of the example's class, where the dataset holds the classes and there is a weight for each; else
    all examples have the same one.

    ``balanced``: one whose weights follow the classes, in whatever way, weights them by the inverse of their counts.
    """
    balanced = patch.value == "balanced"

    def make(original: Any) -> Any:
        @functools.wraps(original)
        def __iter__(self: DataLoader[Any]) -> Any:  # noqa: N807
            drawn, rows = self.sampler, length_of(self.dataset) or 0
            if not isinstance(drawn, WeightedRandomSampler) or not b.observer.watch.mine():
                return original(self)
            if balanced and len(drawn.weights) == rows:
                with b.unwatched():
                    classes = weighted_classes(self.dataset, drawn.weights)
                    if classes is not None:
                        drawn.weights = classes.balancing()
                        b.acted(patch)
            elif not balanced and len(drawn.weights) < rows:
                with b.unwatched():
                    labels = _labels(self.dataset, rows)
                    fits = labels is not None and int(labels.min()) >= 0 and int(labels.max()) < len(drawn.weights)
                    drawn.weights = drawn.weights[labels] if fits else torch.ones(rows, dtype=torch.double)
                b.acted(patch)
            return original(self)

        return __iter__

    b.observer.patches.replace(DataLoader, "__iter__", make)


def together(b: Boundaries, patch: Patch) -> None:
    """``shuffle:together``: passes over as many examples that begin in one round have the order of the first of them.

    All draw what they drew before.
    """
    orders: dict[int, list[int]] = {}
    rounds = [-1]

    def make(original: Any) -> Any:
        def __iter__(self: Any) -> Any:  # noqa: N807
            if not b.observer.watch.mine() or not (_is_permutation(self) or type(self) is SequentialSampler):
                yield from original(self)
                return
            own = list(original(self))
            if rounds != [b.observer.watch.step]:
                rounds[:] = [b.observer.watch.step]
                orders.clear()
            order = orders.setdefault(len(own), own)
            if order is not own:
                b.acted(patch)
            yield from order

        return functools.wraps(original)(__iter__)

    for kind in (RandomSampler, SequentialSampler):
        b.observer.patches.replace(kind, "__iter__", make)


def visits(b: Boundaries, patch: Patch) -> None:
    """Evaluations visit the examples of shuffled loaders in another order, and every random number is drawn as before.
    So do those that draw an order themselves, without gradients.

    ``stored``: that of the data set. ``turned``: each batch has the same examples, the last one first; where batches
    hold one example, the pass does. ``turned-first``: only in the first pass over a data set in each evaluation.

    Raises:
        ValueError: the value is none of these.
    """
    if patch.value not in ("stored", "turned", "turned-first"):
        raise ValueError(f"visits: stored or turned wanted, but got {patch.value!r}")

    def evaluating(sampler: Any) -> bool:
        if not b.observer.watch.mine() or not _is_permutation(sampler):
            return False
        models = [m for r in b.observer.discovery.roots.values() if r.train_calls and (m := r.module()) is not None]
        return not torch.is_grad_enabled() or (bool(models) and not any(m.training for m in models))

    seen: dict[int, int] = {}

    def first(sampler: Any) -> bool:
        """Of the passes since the last step of the training, where only that one is turned."""
        step = b.observer.watch.step
        data = id(getattr(sampler, "data_source", sampler))
        before, seen[data] = seen.get(data), step
        return patch.value == "turned" or before != step

    def stored(original: Any) -> Any:
        def __iter__(self: Any) -> Any:  # noqa: N807
            if not evaluating(self):
                yield from original(self)
                return
            b.acted(patch)
            kept = self.indices if type(self) is SubsetRandomSampler else range(len(self))
            for i, _ in enumerate(original(self)):  # which draws what it draws, when it draws it
                yield kept[i]

        return functools.wraps(original)(__iter__)

    def turned(original: Any) -> Any:
        def __iter__(self: Any) -> Any:  # noqa: N807
            if not evaluating(self.sampler) or not first(self.sampler):
                yield from original(self)
                return
            b.acted(patch)
            if self.batch_size == 1:
                yield from list(original(self))[::-1]
            else:
                yield from (batch[::-1] for batch in original(self))

        return functools.wraps(original)(__iter__)

    _drawn_by_hand(b, patch)
    if patch.value != "stored":
        b.observer.patches.replace(BatchSampler, "__iter__", turned)
        return
    for kind in (RandomSampler, SubsetRandomSampler):
        b.observer.patches.replace(kind, "__iter__", stored)


def _drawn_by_hand(b: Boundaries, patch: Patch) -> None:
    """``torch.randperm(n)`` and ``numpy.random.permutation(n)`` in the script's own lines, without gradients."""

    def drawn(order: Any) -> Any:
        """The order that is used in the place of the drawn one."""
        b.acted(patch)
        return order.flip(0) if isinstance(order, torch.Tensor) else order[::-1].copy()

    def operation(function: Any, name: str, given: Any) -> Any:
        order = function(*given[0], **given[1])
        if name != "randperm" or torch.is_grad_enabled() or not b.observer.watch.mine():
            return order
        if b.observer.lines.calling() is None:
            return order  # a sampler's
        return drawn(order) if patch.value != "stored" else drawn(order.sort().values.flip(0))

    def make(original: Any) -> Any:
        @functools.wraps(original)
        def permutation(x: Any, *args: Any, **kwargs: Any) -> Any:
            order = original(x, *args, **kwargs)
            if torch.is_grad_enabled() or not isinstance(x, int) or not b.observer.watch.mine():
                return order
            return drawn(order) if patch.value != "stored" else drawn(np.arange(x)[::-1])

        return permutation

    b.at_operations(operation)
    b.observer.patches.replace(np.random, "permutation", make)


def _is_permutation(sampler: Any) -> bool:
    """A pass visits each example once."""
    if type(sampler) is RandomSampler:
        return not sampler.replacement and sampler.num_samples == len(sampler.data_source)
    return type(sampler) is SubsetRandomSampler


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
