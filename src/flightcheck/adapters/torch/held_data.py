"""Reads the raw examples that a dataset holds in its attributes: none of the user's methods is called but ``len``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import ConcatDataset, IterableDataset, Subset, TensorDataset

from flightcheck.adapters.torch.appearances import by_appearance
from flightcheck.adapters.torch.id_ranks import by_rank
from flightcheck.adapters.torch.repeated_rows import turned_fields
from flightcheck.adapters.torch.stand_ins import stand_ins
from flightcheck.adapters.torch.watch import is_plain_tensor
from flightcheck.recording.digests import Hashes, digest_of, hash_items, hash_rows, joined, kept, label_counts

MOST_BYTES: Final = 64_000_000
"""Bytes of one data set that are hashed: under a second. Of larger ones, examples at fixed, evenly spaced places."""
MOST_ITEMS: Final = 65_536
"""Python objects (paths, texts, numbers in a list) that are hashed."""
_MOST_FIELDS: Final = 64
_PROBED: Final = 16

Ints = npt.NDArray[np.int64]


class Unknown(Exception):
    """The examples cannot be read without running the user's code; the reason."""


@dataclass(frozen=True)
class Column:
    """One field of all examples."""

    length: int
    row_bytes: int
    read: Callable[[Ints | None], npt.NDArray[Any] | list[Any]]
    """The rows at these places, all if None."""
    picks: Ints | None = None
    """The values, where they may be places in another array: distinct whole numbers from 0 on."""


def digest_facts(dataset: Any) -> dict[str, Any]:
    """Fields of a `DataDigest`. Never raises `Unknown`: it becomes the field ``unknown``."""
    try:
        base, places = _below(dataset)
        if isinstance(base, ConcatDataset):
            return _sum_of_parts(base, places)
        facts = _facts(*_examples(base, places))
        if places is not None:
            whole = facts_of(columns_below(dataset))
            facts |= {"base": whole["digest"], "turned": whole["turned"]}
        return facts
    except Unknown as e:
        return {"unknown": str(e)}


def table_facts(columns: dict[str, torch.Tensor]) -> dict[str, Any]:
    """The same of tensors with one row per example."""
    try:
        return facts_of(table_columns(columns))
    except Unknown as e:
        return {"unknown": str(e)}


def table_columns(columns: dict[str, torch.Tensor]) -> dict[str, Column]:
    """Columns out of tensors with one row per example.

    Raises:
        Unknown: a tensor is not dense.
    """
    return {name: column_of(tensor) for name, tensor in columns.items()}


def columns_below(dataset: Any) -> dict[str, Column]:
    """All columns of the data from which a dataset, or the one that it is a subset of, takes its examples.

    Raises:
        Unknown: they cannot be read without running the user's code.
    """
    base, _ = _below(dataset)
    if isinstance(base, ConcatDataset):
        raise Unknown("a concatenation")
    return _examples(base, None)[0]


def facts_of(columns: dict[str, Column]) -> dict[str, Any]:
    """Fields of a `DataDigest` of all examples in these columns.

    Raises:
        Unknown: they hold what cannot be read, or have different lengths.
    """
    return _facts(columns, None)


def float_rows(dataset: Any) -> dict[str, Column]:
    """The floating-point arrays that a dataset holds with one row of several numbers per example."""
    try:
        return {n: c for n, c in columns_below(dataset).items() if _holds_floats(c)}
    except Exception:  # what cannot be read without the user's code is not known
        return {}


def label_columns(dataset: Any, most: int) -> Iterator[npt.NDArray[Any] | list[Any]]:
    """All examples of each field that a dataset holds and that has one number or word each, or Python objects.

    Fields of more than `most` examples are left out, and lists of more than `MOST_ITEMS`.

    Raises:
        Unknown: the examples cannot be read without running the user's code.
    """
    base, below = _below(dataset)
    columns, places = _examples(base, below)
    for column in columns.values():
        examples = column.length if places is None else len(places)
        if not 0 < examples <= most or (places is not None and int(places.max()) >= column.length):
            continue
        first = column.read(np.zeros(1, np.int64))
        narrow = isinstance(first, np.ndarray) and first.size == 1
        if narrow or (isinstance(first, list) and examples <= MOST_ITEMS):
            yield column.read(places)


def _holds_floats(column: Column) -> bool:
    first = column.read(np.zeros(1, np.int64)) if column.length else []
    row = first[0] if len(first) else None
    return isinstance(row, np.ndarray) and row.dtype.kind == "f" and row.size > 1


def column_of(value: Any) -> Column:
    """A column out of a tensor, an array or a list.

    Raises:
        Unknown: it is none of them.
    """
    if isinstance(value, torch.Tensor) and is_plain_tensor(value) and value.dim():
        return _tensor(value.detach())
    if isinstance(value, np.ndarray) and value.ndim and value.dtype.kind in "biufcSU":
        row_bytes = value.dtype.itemsize * int(np.prod(value.shape[1:]))
        return Column(len(value), row_bytes, lambda at: value if at is None else value[at], _picks(value))
    if type(value) in (list, tuple):
        for item in value[:_PROBED]:
            _plain(item)
        numbers = len(value) > 0 and all(type(v) is int for v in value[:MOST_ITEMS])
        if numbers and len(value) <= MOST_ITEMS:
            with np.errstate(all="ignore"):
                array = np.array(value, dtype=np.int64)
            return Column(len(value), 8, lambda at: array if at is None else array[at], _picks(array))
        size = max((_bytes(v) for v in value[:_PROBED]), default=0)
        row_bytes = max(size, MOST_BYTES // MOST_ITEMS)
        return Column(len(value), row_bytes, lambda at: [_plain(value[i]) for i in _places(at, len(value))])
    raise Unknown(f"a field of type {type(value).__name__}")


def _tensor(value: torch.Tensor) -> Column:
    if value.dtype is torch.bfloat16:
        value = value.view(torch.int16)
    row_bytes = value.element_size() * (value[0].numel() if len(value) else 0)

    def read(at: Ints | None) -> npt.NDArray[Any]:
        if value.is_cpu:
            array: npt.NDArray[Any] = value.numpy()
            return array if at is None else array[at]
        return (value if at is None else value[torch.from_numpy(at).to(value.device)]).cpu().numpy()

    flat = value.dim() == 1 and not value.is_floating_point() and len(value) <= MOST_ITEMS
    return Column(len(value), row_bytes, read, _picks(read(None)) if flat else None)


def _below(dataset: Any) -> tuple[Any, Ints | None]:
    """The dataset below PyTorch's own subsets, and which of its examples they pick."""
    places: Ints | None = None
    for _ in range(8):
        if type(dataset) is not Subset:
            break
        try:
            picked = np.asarray(dataset.indices, dtype=np.int64)
        except (TypeError, ValueError) as e:
            raise Unknown("the indices of the subset are no whole numbers") from e
        places = picked if places is None else picked[places]
        dataset = dataset.dataset
    return dataset, places


def _examples(dataset: Any, places: Ints | None) -> tuple[dict[str, Column], Ints | None]:
    """The columns that a dataset holds, and at which places its examples lie in them."""
    if type(dataset) is TensorDataset:
        return {str(i): column_of(t) for i, t in enumerate(dataset.tensors)}, places
    if type(dataset) in (list, tuple):
        return {"items": column_of(dataset)}, places
    if isinstance(dataset, IterableDataset):
        raise Unknown("the dataset is a stream")
    held = dict(_held(dataset))
    try:
        length = len(dataset)
    except Exception as e:  # a ``__len__`` of the user's may raise what it likes
        raise Unknown("the dataset has no length") from e
    fields = {n: c for n, c in held.items() if c.length == length}
    data = {n: c for n, c in fields.items() if c.picks is None}
    if data:
        return data, places
    picks = next((c.picks for c in fields.values() if c.picks is not None), None)
    for larger in sorted({c.length for c in held.values() if c.length > length}) if picks is not None else ():
        if picks is not None and int(picks.max(initial=0)) < larger:
            around = {n: c for n, c in held.items() if c.length == larger and c.picks is None}
            if around:
                return around, picks if places is None else picks[places]
    if fields:  # numbers that look like places, and nothing that they could be places in
        return fields, places
    raise Unknown(f"{type(dataset).__name__} holds no array with one row per example")


def _held(dataset: Any) -> Iterator[tuple[str, Column]]:
    found = getattr(dataset, "__dict__", None)
    count = 0
    for name, value in sorted(found.items()) if isinstance(found, dict) else ():
        for inner, column in _columns_in(name, value):
            count += 1
            if count > _MOST_FIELDS:
                return
            yield inner, column


def _columns_in(name: str, value: Any) -> Iterator[tuple[str, Column]]:
    several: dict[str, Any] = {name: value}
    if isinstance(value, dict):
        several = {f"{name}.{k}": v for k, v in list(value.items())[:_MOST_FIELDS]}
    elif type(value).__module__.split(".")[0] == "pandas" and type(value).__name__ == "DataFrame":
        several = {f"{name}.{k}": value[k].to_numpy() for k in list(value.columns)[:_MOST_FIELDS]}
    elif type(value) is TensorDataset:
        several = {f"{name}.{i}": t for i, t in enumerate(value.tensors)}
    for inner, one in several.items():
        if isinstance(one, np.ndarray) and one.dtype == object:
            one = one.tolist()  # noqa: PLW2901
        try:
            yield inner, column_of(one)
        except Unknown:
            continue


def _facts(columns: dict[str, Column], places: Ints | None) -> dict[str, Any]:
    lengths = {c.length for c in columns.values()}
    if len(lengths) != 1:
        raise Unknown("fields of different lengths")
    if places is not None and len(places) and not -max(lengths) <= places.min() <= places.max() < max(lengths):
        raise Unknown("the subset picks examples that are not there")
    examples = len(places) if places is not None else lengths.pop()
    most = max(1, MOST_BYTES // max(1, sum(c.row_bytes for c in columns.values())))
    at = places
    if examples > most:
        sample = np.linspace(0, examples - 1, most).astype(np.int64)
        at = sample if places is None else places[sample]
    hashes: dict[str, Hashes] = {}
    whole: dict[str, Any] = {}
    labels, appearing, ranked, apart = {}, {}, {}, {}
    for name, column in columns.items():
        values = column.read(at)
        try:
            hashes[name] = hash_rows(values) if isinstance(values, np.ndarray) else hash_items(values)
        except TypeError as e:
            raise Unknown(f"{name}: {e}") from e
        if at is None:
            whole[name] = values
        if isinstance(values, np.ndarray) and (counts := label_counts(values)):
            labels[name] = counts
        if examples <= most and (found := by_appearance(values)) is not None:
            appearing[name] = found.row
        if examples <= most and (rank := by_rank(values)) is not None:
            ranked[name] = rank
        if examples <= most and (told := stand_ins(values)):
            apart[name] = told
    both = joined(hashes)
    return {
        "fields": list(columns), "examples": examples, "hashed": len(both), "digest": digest_of(both),
        "by_field": {n: digest_of(h) for n, h in hashes.items()}, "labels": labels, "rows": kept(both),
        "by_appearance": appearing, "by_rank": ranked, "turned": turned_fields(whole, hashes) if whole else {},
        "stand_ins": apart,
    }  # fmt: skip


def _sum_of_parts(dataset: ConcatDataset[Any], places: Ints | None) -> dict[str, Any]:
    """PyTorch's concatenation of datasets: their digests add up."""
    if places is not None:
        raise Unknown("a subset of a concatenation")
    parts = [digest_facts(d) for d in dataset.datasets]
    if unknown := next((p["unknown"] for p in parts if "unknown" in p), ""):
        raise Unknown(unknown)
    total = sum(int(p["digest"], 16) for p in parts) % 2**64
    return {
        "fields": parts[0]["fields"], "examples": sum(p["examples"] for p in parts),
        "hashed": sum(p["hashed"] for p in parts), "digest": f"{total:016x}",
    }  # fmt: skip


def _picks(values: npt.NDArray[Any]) -> Ints | None:
    """The values, if each is a whole number from 0 on that occurs once."""
    if values.ndim != 1 or values.dtype.kind not in "iu" or not 1 < len(values) <= MOST_ITEMS or values.min() < 0:
        return None
    return values.astype(np.int64) if len(np.unique(values)) == len(values) else None


def _places(at: Ints | None, length: int) -> Sequence[int]:
    return range(length) if at is None else at.tolist()


def _plain(item: Any) -> Any:
    """An item with its tensors as arrays."""
    if isinstance(item, torch.Tensor):
        if not is_plain_tensor(item):
            raise Unknown("tensors that are not dense")
        item = item.detach()
        return (item.view(torch.int16) if item.dtype is torch.bfloat16 else item).cpu().numpy()
    if type(item) in (list, tuple):
        return tuple(_plain(i) for i in item)
    if type(item) is dict:
        return {k: _plain(v) for k, v in item.items()}
    if item is None or isinstance(item, (str, bytes, bool, int, float, np.number, np.bool_, np.ndarray)):
        return item
    raise Unknown(f"items of type {type(item).__name__}")


def _bytes(item: Any) -> int:
    item = _plain(item)
    if isinstance(item, (tuple, dict)):
        return sum(map(_bytes, item.values() if isinstance(item, dict) else item))
    return int(getattr(item, "nbytes", 0)) or (len(item) if isinstance(item, (str, bytes)) else 8)
