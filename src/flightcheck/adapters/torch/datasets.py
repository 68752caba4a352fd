"""What DataLoaders draw from: read from attributes and compiled code, without a call of the user's methods."""

from __future__ import annotations

import dataclasses
import dis
import random
import types
import weakref
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import torch
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

from flightcheck.adapters.torch.batches import digest_of
from flightcheck.adapters.torch.watch import Watch, is_plain_tensor
from flightcheck.recording.inputs import DatasetInfo

_MOST_SOURCES: Final = 64
_MOST_COMPARED: Final = 64
"""Passes whose first batches are compared: later ones of a small dataset would cost more than their steps."""
_MOST_CLASSES: Final = 1000
_GENERATORS: Final = (np.random.Generator, np.random.RandomState, random.Random, torch.Generator)
_DRAWING: Final = {"random", "randint", "uniform", "normal", "choice", "shuffle", "permutation", "rand", "randn"}
_MODULES: Final = {"np": "numpy", "numpy": "numpy", "torch": "torch", "random": "random"}
_SEEDING: Final = {"seed", "manual_seed"}
_SAMPLERS: Final = (RandomSampler, SequentialSampler, SubsetRandomSampler, WeightedRandomSampler)
_WORKER: Final = {"initial_seed", "get_worker_info", "default_rng", "SeedSequence", "urandom", "time"}


class Datasets:
    """The datasets behind the loaders, and whether two passes over one give the same examples."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.infos: list[DatasetInfo] = []
        self._known: dict[tuple[int, int], tuple[Any, int]] = {}
        self._shared: dict[int, tuple[Any, int]] = {}
        self._ordered: set[int] = set()
        self._first: dict[int, tuple[str, str]] = {}
        """Per source: the digests of the first batch's inputs and targets."""

    def opened(self, loader: DataLoader[Any], line: int) -> int:
        """An iterator of this loader was made; the number of its dataset, -1 if there are too many."""
        dataset = loader.dataset
        known = self._known.get((line, id(dataset)))
        if known is not None and known[0]() is dataset:
            return known[1]
        if len(self.infos) >= _MOST_SOURCES:
            return -1
        number = len(self.infos)
        self._known[line, id(dataset)] = (reference(dataset), number)
        if isinstance(loader.sampler, SequentialSampler) and not isinstance(dataset, IterableDataset):
            self._ordered.add(number)
        below = underlying(dataset)
        self.infos.append(
            DatasetInfo(
                source=number,
                loader=line,
                type=type(below).__name__,
                examples=length_of(dataset),
                sampler=type(loader.sampler).__name__,
                sampler_weight_ratio=_weight_ratio(loader.sampler),
                workers=loader.num_workers,
                classes=_classes(below),
                shared=self._number_of(below),
                whole=below is dataset,
                copied_generators=copied_generators(below),
                worker_init=loader.worker_init_fn is not None,
                same_worker_seed=constantly_seeded(loader, below),
                persistent=bool(loader.persistent_workers),
                random_transforms=random_transforms(below),
                batch_size=loader.batch_size,
                pass_length=length_of(loader),
                last_batch=last_batch(loader),
            )
        )
        return number

    def first_batch(self, source: int, batch: Any) -> None:
        """A pass over the dataset gave its first batch."""
        if source not in self._ordered or self.infos[source].passes_compared >= _MOST_COMPARED:
            return
        tensors = [t for t in _tensors(batch) if is_plain_tensor(t) and t.numel()]
        if len(tensors) < 2 or not tensors[0].is_floating_point() or tensors[1].numel() >= tensors[0].numel():
            return  # a target as large as the input is another view of it: what makes the input random is the task
        found = (digest_of(tensors[0]), ",".join(digest_of(t) for t in tensors[1:3]))
        if (before := self._first.setdefault(source, found)) is found:
            return
        info = self.infos[source]
        changed = before[0] != found[0]
        same_targets = before[1] == found[1]
        self.infos[source] = dataclasses.replace(
            info,
            passes_compared=info.passes_compared + 1,
            inputs_changed=info.inputs_changed + (changed and same_targets),
            targets_changed=info.targets_changed + (not same_targets),
        )

    def fetched(self, source: int, given: int) -> None:
        """A pass over the dataset has given so many batches."""
        if 0 <= source < len(self.infos) and given == self.infos[source].pass_length:
            self.infos[source] = dataclasses.replace(self.infos[source], passes=self.infos[source].passes + 1)

    def fed(self, source: int, training: bool) -> None:
        """A model was given a batch of this dataset."""
        if 0 <= source < len(self.infos):
            info = self.infos[source]
            self.infos[source] = dataclasses.replace(
                info, trained=info.trained or training, evaluated=info.evaluated or not training
            )

    def save(self) -> None:
        """Write the records."""
        for i, info in enumerate(self.infos):
            self.watch.writer.put(info, i)

    def _number_of(self, dataset: Any) -> int:
        known = self._shared.get(id(dataset))
        if known is None or known[0]() is not dataset:
            known = self._shared[id(dataset)] = (reference(dataset), len(self._shared))
        return known[1]


def underlying(dataset: Any) -> Any:
    """The dataset below ``Subset`` and wrappers like it."""
    for _ in range(5):
        below = _attributes(dataset).get("dataset")
        if below is None:
            break
        dataset = below
    return dataset


def last_batch(loader: DataLoader[Any]) -> int | None:
    """Examples in the last batch of a pass; None where code of the script's own decides what a batch is."""
    batches, size = loader.batch_sampler, loader.batch_size
    if type(batches) is not BatchSampler or type(loader.sampler) not in _SAMPLERS or not size or batches.drop_last:
        return None
    drawn = length_of(loader.sampler)
    return (drawn % size or size) if drawn else None


def copied_generators(dataset: Any) -> list[str]:
    """Attributes with a random generator that a method other than ``__init__`` reads, and none sets anew."""
    held = [n for n, v in _attributes(dataset).items() if isinstance(v, _GENERATORS)]
    if not held:
        return []
    read = {name for code in _methods(type(dataset)) for name in code.co_names}
    stored = {i.argval for c in _methods(type(dataset)) for i in dis.get_instructions(c) if i.opname == "STORE_ATTR"}
    return [n for n in held if n in read - stored]


def seeds_constantly(code: types.CodeType) -> bool:
    """A ``worker_init_fn`` sets a seed, and looks neither at its argument nor at anything else that could differ."""
    if code.co_argcount != 1 or code.co_freevars:
        return False
    names, argument = set(code.co_names), code.co_varnames[0]
    reads = any(i.opname.startswith("LOAD_FAST") and argument in str(i.argval) for i in dis.get_instructions(code))
    return bool(names & _SEEDING) and not names & _WORKER and not reads


def random_transforms(dataset: Any) -> list[str]:
    """Names of transforms among the attributes (also inside a ``Compose``) that say that they are random."""
    found: list[str] = []
    for name in ("transform", "transforms", "augment", "augmentation"):
        value = _attributes(dataset).get(name)
        several = _attributes(value).get("transforms", [value])
        for one in several if isinstance(several, (list, tuple)) else [several]:
            kind = type(one).__name__
            if kind.startswith("Random") or kind in ("ColorJitter", "TrivialAugmentWide", "AugMix", "AutoAugment"):
                found.append(kind)
    return found


def drawn_from(dataset: Any) -> set[str]:
    """Modules from whose global generator the dataset's methods draw, by the names in their code."""
    found: set[str] = set()
    for code in _methods(type(dataset)):
        if set(code.co_names) & _DRAWING:
            found |= {_MODULES[n] for n in code.co_names if n in _MODULES}
    return found


def constantly_seeded(loader: DataLoader[Any], dataset: Any) -> bool:
    """The ``worker_init_fn`` gives every worker the same seed, of a generator that the dataset draws from."""
    code = getattr(loader.worker_init_fn, "__code__", None)
    if not isinstance(code, types.CodeType) or not seeds_constantly(code):
        return False
    return bool({_MODULES[n] for n in code.co_names if n in _MODULES} & drawn_from(dataset))


def _methods(cls: type) -> Iterator[types.CodeType]:
    """Compiled code of the class's own methods (nothing of a library's base class), without ``__init__``."""
    for base in cls.__mro__[:-1]:
        if base.__module__.startswith(("torch.", "typing")):
            continue
        for name, value in vars(base).items():
            code = getattr(value, "__code__", None)
            if name != "__init__" and isinstance(code, types.CodeType):
                yield code
                yield from (c for c in code.co_consts if isinstance(c, types.CodeType))


def _classes(dataset: Any) -> dict[str, int]:
    found = _attributes(dataset).get("class_to_idx")
    if not isinstance(found, dict) or not 0 < len(found) <= _MOST_CLASSES:
        return {}
    return {str(k): int(v) for k, v in found.items() if isinstance(v, (int, np.integer))}


def _weight_ratio(sampler: Any) -> float | None:
    weights = _attributes(sampler).get("weights")
    if not isinstance(weights, torch.Tensor) or not weights.numel():
        return None
    drawn = weights[weights > 0]
    return float(drawn.max() / drawn.min()) if drawn.numel() else None


def _tensors(batch: Any) -> list[torch.Tensor]:
    values = batch.values() if isinstance(batch, dict) else batch if isinstance(batch, (list, tuple)) else ()
    return [v for v in values if isinstance(v, torch.Tensor)]


def _attributes(thing: Any) -> dict[str, Any]:
    """The instance's own attributes; no property and no ``__getattr__`` of the user's is called."""
    found = getattr(thing, "__dict__", None)
    return found if isinstance(found, dict) else {}


def reference(thing: Any) -> Any:
    """A weak reference to it; one that gives None where there is none."""
    try:
        return weakref.ref(thing)
    except TypeError:  # a list as a dataset: it cannot be followed, and must not be kept alive
        return lambda: None


def length_of(thing: Any) -> int | None:
    """Its length, None if it has none or does not tell."""
    try:
        return len(thing)
    except Exception:  # a ``__len__`` of the user's may raise what it likes
        return None
