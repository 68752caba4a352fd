"""Losses between two loaders: which one's examples a prediction was made of, and which one's the target is.

Each batch of a loader is followed through the operations of its round. Where a prediction holds nothing of the loader
that gave the target, the two belong together only if both drew the same examples in the same order. Rows that the
script picks out of tables itself (``x[indices]``, ``y[i : i + size]``) are followed in the same way.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch.utils.data import BatchSampler, IterableDataset, RandomSampler, SequentialSampler

from flightcheck.adapters.torch.datasets import length_of
from flightcheck.adapters.torch.joined_orders import OPERATIONS as JOINS
from flightcheck.adapters.torch.joined_orders import JoinedRows
from flightcheck.adapters.torch.watch import Watch
from flightcheck.recording.records import Location
from flightcheck.recording.separate_orders import SeparateOrders

_AS_THEY_ARE: Final = {
    "to", "float", "double", "half", "bfloat16", "long", "int", "type", "type_as", "cuda", "cpu", "clone", "detach",
    "contiguous", "view", "reshape", "flatten", "squeeze", "unsqueeze", "permute", "transpose", "movedim", "pin_memory",
    "sub", "__sub__", "add", "__add__", "mul", "__mul__", "__rmul__", "div", "__truediv__", "true_divide", "clamp",
    "__getitem__", "select", "narrow",
}  # fmt: skip
"""Operations after which each row is still what it was, on another scale or a part of it."""
_MOST_ROWS: Final = 4096
_MOST_DRAWN: Final = 64
"""Batches whose examples are known before they are given: workers draw ahead."""


@dataclass(eq=False)
class Batch:
    """What one loader gave in this round."""

    iterator: int
    """Number of the loader's iterator."""
    dataset: int
    """Its identity."""
    drawn: list[int] | None
    """Numbers of the examples; None where code of the script's own chooses them."""
    examples: int
    location: Location | None
    """The line that constructs the loader."""
    taken: Location | None
    """The line that asked for the batch."""
    picked: bool = False
    """No loader's: rows that the script picked out of a table of its own."""
    values: torch.Tensor | None = None
    """The rows themselves, where they are on the processor and one tensor, for as long as the round lasts."""


@dataclass(frozen=True)
class _Origin:
    """Whose examples a tensor holds."""

    batches: frozenset[Batch]
    as_they_are: bool
    """Nothing was computed across rows, or with other tensors."""


@dataclass
class _Site:
    calls: int = 0
    apart: int = 0
    rows: int = 0
    same: int = 0
    last: tuple[Batch, Batch] | None = None


@dataclass
class _Drawn:
    """What a loader's iterator drew, in the order in which it gives it."""

    waiting: list[list[int]] = field(default_factory=list)
    whole: bool = True
    """Everything that it drew was seen."""


class Orders:
    """Follows the batches of two or more loaders; told of each operation in the learning pass."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._iterators = weakref.WeakKeyDictionary[Any, int]()
        """The number of each that gave a batch."""
        self._count = 0
        self._drawn = weakref.WeakKeyDictionary[Any, _Drawn]()
        self._of: dict[int, tuple[weakref.ref[torch.Tensor], _Origin]] = {}
        self._at: dict[int, _Origin] = {}
        """Address of the memory → whose examples lie there: a loss by hand keeps its prediction without the graph."""
        self._sites: dict[int, _Site] = {}
        self.following = False
        """Some iterator's draws are known."""
        self._joined = JoinedRows(watch)
        self._given: list[Batch] = []
        """Those of this round, with their rows."""

    def drawn(self, iterator: Any, index: Any) -> None:
        """A loader's iterator drew the numbers of its next batch."""
        if not self.watch.learning:  # what is drawn from now on is not followed: no batch is known any more
            for known in self._drawn.values():
                known.whole = False
                known.waiting.clear()
            self.following = False
            return
        known = self._drawn.setdefault(iterator, _Drawn())
        usual = isinstance(index, list) and all(type(i) is int for i in index)
        known.whole &= usual and len(known.waiting) < _MOST_DRAWN
        if known.whole:
            self.following = True
            known.waiting.append(index)
        else:
            known.waiting.clear()

    def fetched(self, iterator: Any, batch: Any, location: Location | None) -> None:
        """A loader gave a batch."""
        known = self._drawn.get(iterator)
        drawn = known.waiting.pop(0) if known is not None and known.waiting else None
        if not self.watch.learning:
            return
        if iterator not in self._iterators:
            self._iterators[iterator] = self._count
            self._count += 1
        if self._count < 2:
            self._forget(batch)
            return
        dataset, batches = getattr(iterator, "_dataset", None), getattr(iterator, "_index_sampler", None)
        usual = type(batches) is BatchSampler and _is_permutation(batches.sampler)
        examples = length_of(dataset) if usual and not isinstance(dataset, IterableDataset) else None
        given = Batch(
            self._iterators[iterator],
            id(dataset),
            drawn if examples else None,
            examples or 0,
            location,
            self.watch.lines.here(),
        )
        tensors = list(_tensors((batch,)))
        given.values = tensors[0] if len(tensors) == 1 and tensors[0].is_cpu else None
        self._given.append(given)
        for tensor in tensors:
            self._note(tensor, _Origin(frozenset((given,)), True))

    def look(self, name: str, args: Any, kwargs: Any, result: Any) -> None:
        """An operation returned `result`."""
        if name == "__getitem__" and self._picked(args, result):
            return
        if not self._of:
            return
        given = list(_tensors((*args, *kwargs.values())))
        known = [(t, o) for t in given if (o := self._origin(t)) is not None]
        origins = [o for _, o in known]
        if len(known) > 1 and name in JOINS:
            self._joined.look(args, kwargs, [(t, o.batches) for t, o in known])
        written = name == "__setitem__" or (name.endswith("_") and not name.endswith("__"))
        results = list(_tensors((args[0] if written and args else result,)))
        if not origins:
            for tensor in results:
                self._at.pop(_address(tensor), None)
            return
        batches = frozenset().union(*(o.batches for o in origins))
        alone = len(given) == 1 and origins[0].as_they_are and name in _AS_THEY_ARE
        for tensor in results:
            kept = alone and tensor.dim() > 0 and tensor.shape[:1] == given[0].shape[:1]
            self._note(tensor, _Origin(batches, kept))

    def _picked(self, args: Any, result: Any) -> bool:
        """Rows were picked out of a table that is nobody's batch."""
        table, index = args[0], args[1]
        known = self._origin(table)
        if not isinstance(result, torch.Tensor) or table.requires_grad or not table.dim():
            return False
        if known is not None and not all(b.picked for b in known.batches):  # a part of a table is a table
            return False
        rows = _rows(index, len(table))
        if rows is None or not 1 < len(rows) < len(table) or len(rows) != len(result):
            return False
        line = self.watch.lines.here()
        given = Batch(-id(table), id(table), rows, len(table), line, line, picked=True)
        given.values = result if result.is_cpu else None
        self._given.append(given)
        self._note(result, _Origin(frozenset((given,)), True))
        return True

    def compared(self, site: int, prediction: torch.Tensor, target: torch.Tensor) -> None:
        """A loss was called in training."""
        if not self.watch.learning or not self._of:
            return
        made = self._origin(prediction) or self._at.get(_address(prediction))
        wanted = self._origin(target) or self._at.get(_address(target))
        if made is None or wanted is None:
            return
        known = self._sites.setdefault(site, _Site())
        known.calls += 1
        if len(made.batches) != 1 or len(wanted.batches) != 1 or not wanted.as_they_are:
            return
        (given,), (asked,) = made.batches, wanted.batches
        if given.iterator == asked.iterator or given.examples != asked.examples:
            return
        if not given.drawn or not asked.drawn or len(given.drawn) != len(asked.drawn) or given.drawn == asked.drawn:
            return
        if given.picked != asked.picked or (given.picked and _is_shift(given.drawn, asked.drawn)):
            return
        known.apart += 1
        known.rows += len(given.drawn)
        known.same += sum(one == other for one, other in zip(given.drawn, asked.drawn, strict=True))
        known.last = given, asked

    def end_round(self) -> None:
        """Forget this round's tensors."""
        for batch in self._given:
            batch.values = None
        self._given.clear()
        self._of.clear()
        self._at.clear()

    def save(self) -> None:
        """Write what was seen."""
        self._joined.save()
        for index, site in self._sites.items():
            if site.last is not None:
                given, asked = site.last
                share = site.same / site.rows
                found = SeparateOrders(
                    index, site.calls, site.apart, given.location, asked.location, asked.taken,
                    given.examples, one_loader=given.dataset == asked.dataset, picked=given.picked,
                    same_places=share,
                )  # fmt: skip
                self.watch.writer.put(found, index)

    def _note(self, tensor: torch.Tensor, origin: _Origin) -> None:
        self._of[id(tensor)] = (weakref.ref(tensor), origin)
        self._at[_address(tensor)] = origin

    def _forget(self, batch: Any) -> None:
        """A batch of the only loader so far: not the rows of the tables that its dataset took its examples from."""
        for tensor in _tensors((batch,)):
            self._of.pop(id(tensor), None)
            self._at.pop(_address(tensor), None)

    def _origin(self, tensor: torch.Tensor) -> _Origin | None:
        known = self._of.get(id(tensor))
        return known[1] if known is not None and known[0]() is tensor else None


def _rows(index: Any, rows: int) -> list[int] | None:
    """The numbers of the rows that an index picks; None for one that is no slice and no list of numbers."""
    if isinstance(index, slice):
        return list(range(*index.indices(rows)))
    if isinstance(index, torch.Tensor):
        usual = index.dim() == 1 and index.dtype in (torch.int64, torch.int32) and index.is_cpu
        return [i % rows for i in index.tolist()] if usual and len(index) <= _MOST_ROWS else None
    return None


def _is_shift(given: list[int], asked: list[int]) -> bool:
    """All rows are the same number of places apart: a series and what comes next."""
    return len({b - a for a, b in zip(given, asked, strict=True)}) == 1


def _is_permutation(sampler: Any) -> bool:
    """A pass gives each example once, in an order that is PyTorch's own choice."""
    if type(sampler) is RandomSampler:
        return not sampler.replacement and sampler.num_samples == len(sampler.data_source)
    return type(sampler) is SequentialSampler


def _address(tensor: torch.Tensor) -> int:
    readable = type(tensor) in (torch.Tensor, torch.nn.Parameter) and tensor.layout is torch.strided
    try:
        return tensor.data_ptr() if readable else -1
    except RuntimeError:  # it stands for many, inside of vmap
        return -1


def _tensors(values: Any, depth: int = 0) -> Iterator[torch.Tensor]:
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, (list, tuple)) and depth < 3:
            yield from _tensors(value, depth + 1)
        elif isinstance(value, dict) and depth < 3:
            yield from _tensors(value.values(), depth + 1)
