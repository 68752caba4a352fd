"""What a data set holds, in a few bytes: a digest that depends neither on the order of the examples nor on the machine.

Every example has a 64-bit hash of its raw values; the digest is their sum modulo 2^64, beside their number.
"""

from __future__ import annotations

import base64
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS
from flightcheck.recording.short_hash import short_hash

MOST_ROWS_KEPT: Final = 65_536
"""Examples whose hashes are kept one by one (4 bytes each), so that a comparison can name those that changed."""
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)
_STIR: Final = np.uint64(0xFF51AFD7ED558CCD)
_CHUNK: Final = 4_000_000
"""Bytes hashed at a time: what the arithmetic holds in memory is a small multiple of it."""

Hashes = npt.NDArray[np.uint64]


@frozen
class DataDigest:
    """What the examples of one part of the data are, before any augmentation, as far as it could be read."""

    index: int
    role: str = ""
    """``training``, ``evaluation``, or empty where its batches were fed to no model."""
    source: int = -1
    """Number of the dataset (`DatasetInfo.source`); -1 for tensors from which the script picks its batches by hand."""
    fields: list[str] = field(default_factory=list)
    """What was hashed: attributes of the dataset, tensors by their position."""
    examples: int | None = None
    hashed: int = 0
    """Examples that were hashed: all, or a fixed sample of a large data set."""
    digest: str = ""
    by_field: dict[str, str] = field(default_factory=dict)
    """The digest of each field alone: tells whether inputs or labels differ."""
    labels: dict[str, dict[str, int]] = field(default_factory=dict)
    """Per field that holds one whole number for each example: how often each number occurs."""
    by_appearance: dict[str, str] = field(default_factory=dict)
    """Per field of token ids that are numbered in the order in which they first appear in these very rows: digests of
    the first row, the first 2, 4, 8 and 16."""
    by_rank: dict[str, str] = field(default_factory=dict)
    """Per field of token ids of which each is at least as frequent as the next: the digest of the relative counts, as
    in `IdRanks`."""
    turned: dict[str, Any] = field(default_factory=dict)
    """Two fields that repeat in two ways, ``a a b b c c`` beside ``a b c a b c``: ``exact``, the field of which each
    row occurs ``copies`` times, ``groups`` of them (``tiled``: in the latter way), and ``near``, the one whose rows are
    close to each other in the other way, ``ratio`` of the distances that they have now."""
    stand_ins: dict[str, list[list[float]]] = field(default_factory=dict)
    """Per field: columns in which one number occurs again and again, farther from all others than these lie from each
    other: the column, the number, how often it occurs; mean, lowest and highest of the others."""
    rows: str = ""
    """Base64 of 32 bits of the hash of each hashed example, in the order of the data set."""
    base: str = ""
    """Of a subset: the digest of the data set from which it picks."""
    unknown: str = ""
    """Why there is no digest."""

    def row_hashes(self) -> npt.NDArray[np.uint32]:
        """The hashes of the examples one by one; empty where they were not kept."""
        return np.frombuffer(base64.b64decode(self.rows), dtype="<u4")


RECORDS["DataDigest"] = DataDigest


def hash_rows(values: npt.NDArray[Any]) -> Hashes:
    """One hash per row of an array of numbers, of all its bytes, its type and its shape."""
    rows = np.ascontiguousarray(values)
    rows = rows.astype(rows.dtype.newbyteorder("<"), copy=False)
    rows = rows.reshape(len(rows), math.prod(rows.shape[1:]))
    width = rows.dtype.itemsize * rows.shape[1]
    salt = np.uint64(_number(f"{rows.dtype.str[1:]} {values.shape[1:]}".encode()))
    result = np.full(len(rows), salt, dtype=np.uint64)
    if not width:
        return result
    words = -(-width // 8)
    keys = _keys(words)
    step = max(1, _CHUNK // (8 * words))
    for start in range(0, len(rows), step):
        raw = rows[start : start + step].view(np.uint8).reshape(-1, width)
        if width % 8:
            raw = np.pad(raw, ((0, 0), (0, 8 * words - width)))
        mixed = np.ascontiguousarray(raw).view("<u8") + keys
        mixed ^= mixed >> np.uint64(33)
        mixed *= _STIR
        mixed ^= mixed >> np.uint64(29)
        result[start : start + step] += (mixed * (keys | np.uint64(1))).sum(1, dtype=np.uint64)
    return _stirred(result)


def hash_items(items: Iterable[Any]) -> Hashes:
    """One hash per item: numbers, texts, bytes, and tuples, lists and dictionaries of them."""
    return np.array([_number(b"".join(_parts(item))) for item in items], dtype=np.uint64)


def joined(fields: dict[str, Hashes]) -> Hashes:
    """One hash per example out of those of its fields, whatever these are called."""
    total = np.zeros(len(next(iter(fields.values()))), dtype=np.uint64)
    for hashes in fields.values():
        total += _stirred(hashes)
    return _stirred(total)


def digest_of(hashes: Hashes) -> str:
    """The sum of the hashes modulo 2^64, as 16 hexadecimal digits."""
    return f"{int(hashes.sum(dtype=np.uint64)):016x}"


def kept(hashes: Hashes) -> str:
    """`DataDigest.rows` of these hashes."""
    if len(hashes) > MOST_ROWS_KEPT:
        return ""
    return base64.b64encode((hashes >> np.uint64(32)).astype("<u4").tobytes()).decode()


def label_counts(values: npt.NDArray[Any]) -> dict[str, int]:
    """How often each of at most 1000 whole numbers occurs; nothing for other values."""
    if values.ndim != 1 or values.dtype.kind not in "iub" or not len(values):
        return {}
    found = Counter(values.tolist())
    return {str(int(v)): n for v, n in sorted(found.items())} if len(found) <= 1000 else {}


def _stirred(values: Hashes) -> Hashes:
    values = (values ^ (values >> np.uint64(31))) * _MIX
    return values ^ (values >> np.uint64(29))


def _keys(count: int) -> Hashes:
    with np.errstate(over="ignore"):
        return _stirred(np.arange(1, count + 1, dtype=np.uint64) * _MIX)


def _number(data: bytes) -> int:
    return int.from_bytes(short_hash(data), "little")


def _parts(item: Any, depth: int = 0) -> Iterable[bytes]:
    if depth > 4:
        raise TypeError("nested too deeply")
    if isinstance(item, str):
        yield b"s" + _place_free(item).encode("utf-8", "surrogatepass")
    elif isinstance(item, bytes):
        yield b"b" + item
    elif item is None or isinstance(item, (bool, int, float, np.number, np.bool_)):
        yield b"n" + repr(item.item() if isinstance(item, np.generic) else item).encode()
    elif isinstance(item, np.ndarray) and item.dtype != object:
        yield b"a" + int(hash_rows(item.reshape(1, -1))[0]).to_bytes(8, "little") + str(item.shape).encode()
    elif isinstance(item, dict):
        for key in sorted(item, key=str):
            yield from (b"k" + str(key).encode(), *_parts(item[key], depth + 1))
    elif isinstance(item, (list, tuple)):
        for inner in item:
            yield from (b",", *_parts(inner, depth + 1))
    else:
        raise TypeError(f"values of type {type(item).__name__}")


def _place_free(text: str) -> str:
    """A path without the folder in which the data set lies on this machine."""
    return "/".join(text.split("/")[-2:]) if text.startswith("/") and "\n" not in text else text
