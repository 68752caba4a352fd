"""What a collate function makes of its examples: does each part of a batch come in the same order?

A collate function is given the examples and returns the batch, so no analysis is needed: each row of the batch is found
again among the examples. Where the sequences were sorted by length, and the labels are those of the examples as they
came, the rows of one are those of another example.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import types
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence
from torch.utils.data._utils.collate import default_collate, default_convert

from flightcheck.adapters.torch.watch import Watch, is_plain_tensor
from flightcheck.recording.collated_rows import CollatedRows
from flightcheck.recording.provenance.source import last_name, read_source
from flightcheck.recording.records import Location

_MOST_EXAMPLES: Final = 256
_MOST_VALUES: Final = 512
"""Of one row that are compared."""
_MOST_PARTS: Final = 8
_ASKING: Final = {"__get__", "size", "dim", "__len__"}
_SORTS: Final = {"sort", "sorted", "argsort", "lexsort"}

Values = npt.NDArray[np.float32]


@dataclasses.dataclass
class Collated:
    """A batch, held against the examples that it was made of."""

    order: list[int]
    """Number of the example in each row of the sequences, which came sorted; empty if they stand as they came."""
    sequences: list[torch.Tensor]
    labels: list[torch.Tensor]
    """With one value for each example, in the order of the examples, which is not that of their lengths."""
    tells: bool
    """Something in the batch may tell the order."""


class CollatedBatches:
    """Told of what collate functions were given and made, of operations, and of losses."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._now: Collated | None = None
        self._function: Any = None
        self._used = False
        self._found: dict[int, CollatedRows] = {}

    def follow(self, iterator: Any) -> None:
        """An iterator of a loader was made: what its collate function does in this process will be told."""
        if self.watch.learning:
            follow(iterator, self.watch.guarded(self._collated))

    def _collated(self, function: Any, examples: list[Any], batch: Any) -> None:
        self._now, self._used = None, False
        if self.watch.learning:
            self._now, self._function = held_against(examples, batch), function

    def look(self, name: str, args: Any) -> None:
        """An operation was given these."""
        now = self._now
        if now is not None and not self._used and name not in _ASKING:
            self._used = any(a is t for a in args for t in now.sequences)

    def compared(self, site: int, target: torch.Tensor) -> None:
        """A loss was called in training."""
        now = self._now
        if now is None or not any(_same_values(target, labels) for labels in now.labels):
            return
        known = self._found.get(site)
        if known is None:
            known = CollatedRows(site, self._line(), getattr(self._function, "__name__", ""))
        apart = bool(now.order) and self._used and not now.tells
        self._found[site] = dataclasses.replace(
            known, calls=known.calls + 1, apart=known.apart + apart, rows=len(now.order)
        )

    def end_round(self) -> None:
        """Forget this round's batch."""
        self._now, self._used = None, False

    def save(self) -> None:
        """Write what was seen."""
        for site, found in self._found.items():
            self.watch.writer.put(found, site)

    def _line(self) -> Location | None:
        """Where the function sorts, else where it begins."""
        code = _code_of(self._function)
        if code is None:
            return None
        source = read_source(code.co_filename)
        last = max((n for *_, n in code.co_lines() if n is not None), default=code.co_firstlineno)
        within = range(code.co_firstlineno, last + 1)
        calls = [c for c in source.calls if c.lineno in within] if source is not None else []
        sorts = [c.lineno for c in calls if (last_name(c.func) or getattr(c.func, "attr", "")) in _SORTS]
        return self.watch.lines.of(code.co_filename, min(sorts, default=code.co_firstlineno))


def follow(iterator: Any, told: Callable[[Any, list[Any], Any], Any]) -> None:
    """``told(function, examples, batch)`` for each batch that a function of the script's own makes in this process."""
    fetcher = getattr(iterator, "_dataset_fetcher", None)  # of other processes there is none here
    function = getattr(fetcher, "collate_fn", None)
    if (
        fetcher is None
        or function is None
        or not getattr(fetcher, "auto_collation", False)
        or function in (default_collate, default_convert)
    ):
        return

    def collate_fn(examples: Any) -> Any:
        before = list(examples) if isinstance(examples, list) else []  # it may be sorted in place
        batch = function(examples)
        changed = told(function, before, batch)
        return batch if changed is None else changed

    fetcher.collate_fn = collate_fn


def held_against(examples: list[Any], batch: Any) -> Collated | None:
    """None where the examples are in order of their lengths already, or where nothing of the batch is found again."""
    if not 2 < len(examples) <= _MOST_EXAMPLES:
        return None
    made = list(_rows_of(batch, len(examples)))
    parts = [_values(p) for p in _parts(examples)]
    by_length: list[int] = []
    sequences: list[torch.Tensor] = []
    kept: list[tuple[torch.Tensor, Values]] = []
    moving = False
    for part in parts:
        lengths = [len(v) for v in part] if part is not None else []
        if part is None or len(set(lengths)) == 1:
            kept += [(t, r) for t, r in made if part is not None and _are(r, part)]
            continue
        if lengths in (sorted(lengths), sorted(lengths, reverse=True)):
            continue
        moving = True
        for tensor, rows in made:
            if rows.shape[1] < 2 or _are(rows, part):
                continue
            order = _order(rows, part)
            if order and [lengths[i] for i in order] in (sorted(lengths), sorted(lengths, reverse=True)):
                by_length = by_length or order
                sequences.append(tensor)
    if not moving or not kept:
        return None
    labels = [t for t, r in kept if not by_length or not np.array_equal(r[by_length], r)]
    return Collated(by_length, sequences, labels, _tells_order(batch, len(examples)))


def _parts(examples: list[Any]) -> Iterator[list[Any]]:
    """The values of each field of the examples."""
    first = examples[0]
    if isinstance(first, dict):
        keys: list[Any] = list(first)
    elif isinstance(first, (tuple, list)):
        keys = list(range(len(first)))
    else:
        return
    if all(type(e) is type(first) and len(e) == len(first) for e in examples):
        for key in keys[:_MOST_PARTS]:
            if not isinstance(first, dict) or all(key in e for e in examples):
                yield [e[key] for e in examples]


def _values(part: list[Any]) -> list[Values] | None:
    """The numbers of each example; None for what is no number."""
    found = []
    for value in part:
        if isinstance(value, torch.Tensor):
            if not is_plain_tensor(value):
                return None
            array = value.detach().cpu().float().numpy()
        elif isinstance(value, (list, tuple)) and not all(type(v) in (int, float) for v in value):
            return None
        else:
            array = np.asarray(value)
        if array.dtype.kind not in "iufb" or not array.size:
            return None
        found.append(array.astype(np.float32).reshape(-1))
    return found


def _rows_of(batch: Any, rows: int, depth: int = 0) -> Iterator[tuple[torch.Tensor, Values]]:
    """Tensors of a batch with one row for each example, and their rows as numbers."""
    if isinstance(batch, PackedSequence):
        if batch.sorted_indices is None and int(batch.batch_sizes[0]) == rows:
            padded = pad_packed_sequence(batch, batch_first=True)[0]
            yield batch.data, _flat(padded)
    elif isinstance(batch, torch.Tensor):
        if is_plain_tensor(batch) and batch.dim() and not batch.is_sparse:
            if len(batch) == rows:
                yield batch, _flat(batch)
            if batch.dim() > 1 and batch.shape[1] == rows:
                yield batch, _flat(batch.transpose(0, 1))
    elif isinstance(batch, (tuple, list, dict)) and depth < 3:
        for value in list(batch.values() if isinstance(batch, dict) else batch)[: 4 * _MOST_PARTS]:
            yield from _rows_of(value, rows, depth + 1)


def _flat(tensor: torch.Tensor) -> Values:
    rows: Values = tensor.detach().reshape(len(tensor), -1)[:, :_MOST_VALUES].float().cpu().numpy()
    return rows


def _is(row: Values, values: Values) -> bool:
    """A row that may be filled up, or cut off, behind these values."""
    n = min(len(row), len(values))
    return bool(np.array_equal(row[:n], values[:n]))


def _are(rows: Values, part: list[Values]) -> bool:
    return all(_is(row, values) for row, values in zip(rows, part, strict=True))


def _order(rows: Values, part: list[Values]) -> list[int]:
    """Which example stands in each row; empty if one is missing."""
    order: list[int] = []
    left = sorted(range(len(part)), key=lambda i: -len(part[i]))  # the longest first: one may begin as another does
    for row in rows:
        found = next((i for i in left if _is(row, part[i])), None)
        if found is None:
            return []
        left.remove(found)
        order.append(found)
    return order


def _tells_order(batch: Any, rows: int, depth: int = 0) -> bool:
    """It holds the places of all rows in some order, or something that is not known."""
    if isinstance(batch, (tuple, list, dict)) and not isinstance(batch, PackedSequence) and depth < 3:
        values = list(batch.values() if isinstance(batch, dict) else batch)
        if values and all(type(v) is int for v in values):
            return sorted(values) == list(range(rows))
        return any(_tells_order(v, rows, depth + 1) for v in values)
    if isinstance(batch, (torch.Tensor, np.ndarray)):
        return batch.ndim == 1 and len(batch) == rows and sorted(batch.tolist()) == list(range(rows))
    return not isinstance(batch, (PackedSequence, int, float, str, bool, type(None)))


def _same_values(target: torch.Tensor, labels: torch.Tensor) -> bool:
    if not is_plain_tensor(target) or target.numel() != labels.numel():
        return False
    return bool((target.detach().reshape(-1).cpu().double() == labels.detach().reshape(-1).cpu().double()).all())


def _code_of(function: Any) -> types.CodeType | None:
    while isinstance(function, functools.partial):
        function = function.func
    function = inspect.unwrap(function) if callable(function) else function
    if not hasattr(function, "__code__") and not hasattr(function, "__func__"):
        function = vars(type(function)).get("__call__")
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    return code if isinstance(code, types.CodeType) else None
