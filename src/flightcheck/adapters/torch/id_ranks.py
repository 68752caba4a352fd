"""Token ids that are ranks: the most frequent token of a data set has the first id, and so on to the last."""

from __future__ import annotations

import hashlib
import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from flightcheck.adapters.torch.appearances import Ids
from flightcheck.adapters.torch.watch import Watch, is_plain_tensor
from flightcheck.recording import provenance
from flightcheck.recording.batches import IdRanks
from flightcheck.recording.provenance.buffers import built_by
from flightcheck.recording.records import Location

_SPECIAL: Final = 6
"""Ids before the ranked ones at most: padding, unknown, begin, end …"""
_FEWEST: Final = 16
_LARGEST: Final = 50_000
_CHANCE: Final = -6.0
"""Logarithm of the chance that counts that fall so slowly fall in every step."""
_MOST: Final = 24

Counts = npt.NDArray[np.int64]


class Ranks:
    """Counts the ids of the first training batches, and of each evaluation, until they are ranks."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._counts: dict[tuple[Any, ...], Counts] = {}
        self._found: dict[tuple[Any, ...], IdRanks] = {}

    def fed(self, root: int, tensor: torch.Tensor, training: bool, location: Location | None, source: int) -> None:
        """A call of a root."""
        key = (root, training) if training else (root, training, self.watch.step, location, source)
        full = key not in self._counts and len(self._counts) >= _MOST
        if tensor.dtype not in (torch.int32, torch.int64) or tensor.dim() != 2 or not is_plain_tensor(tensor):
            return
        if full or key in self._found or min(tensor.shape) < 2 or tensor.numel() > 1_000_000:
            return
        ids = tensor.detach().to("cpu", torch.int64).numpy()
        steps = np.diff(ids, axis=1)
        if ids.min() < 0 or ids.max() > _LARGEST or (steps >= 0).all() or (steps <= 0).all():
            return  # positions, and other rows that are sorted, are no text
        counts = np.bincount(ids.reshape(-1))
        known = self._counts.get(key)
        if known is not None:
            longer, shorter = (counts, known) if len(counts) > len(known) else (known, counts)
            counts = longer.copy()
            counts[: len(shorter)] += shorter
        self._counts[key] = counts
        first = first_rank(counts)
        if first is not None:
            ranked = counts[first:]
            lines = provenance.value_origin(location.file, location.line, None, location.function) if location else None
            made = built_by(location.file, location.line) if location else None
            place = made or lines
            self._found[key] = IdRanks(
                root=root,
                training=training,
                step=self.watch.step,
                first=first,
                distinct=len(ranked),
                tokens=int(ranked.sum()),
                digest=_digest(ranked),
                location=self.watch.lines.of(*place) if place else location,
            )

    def save(self) -> None:
        """Write what was found."""
        for i, found in enumerate(self._found.values()):
            self.watch.writer.put(found, i)


def by_rank(values: Any) -> str | None:
    """The digest of the relative counts of ids that are ranks: a table of them, or a list of rows; None for others."""
    ids = Ids.of(values)
    if ids is None:
        return None
    counts = np.bincount(ids.all)
    first = first_rank(counts)
    return _digest(counts[first:]) if first is not None else None


def _digest(ranked: Counts) -> str:
    return hashlib.blake2b((ranked // np.gcd.reduce(ranked)).tobytes(), digest_size=8).hexdigest()


def first_rank(counts: Counts) -> int | None:
    """The id from which on every next one is as frequent or rarer, none is missing, and chance does not explain it."""
    for first in range(min(_SPECIAL, len(counts))):
        ranked = counts[first:].astype(float)
        if len(ranked) < _FEWEST:
            return None
        falls = ranked[:-1] - ranked[1:]
        if ranked.min() > 0 and falls.min() >= 0:
            sizes = np.sqrt(ranked[:-1] + ranked[1:])
            chance = sum(math.log10(0.5 * math.erfc(-f / s / math.sqrt(2))) for f, s in zip(falls, sizes) if f > 0)
            return first if chance < _CHANCE else None
    return None
