"""The rows and columns of training inputs: which examples were seen, and what single features are."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from flightcheck.adapters.torch.appearances import EvaluatedIds
from flightcheck.adapters.torch.category_ids import Categories
from flightcheck.adapters.torch.id_ranks import Ranks
from flightcheck.adapters.torch.watch import Watch, is_plain_tensor
from flightcheck.recording.inputs import FeatureTable
from flightcheck.recording.provenance.last_places import last_places
from flightcheck.recording.windows import WindowTable

_HASHED_ROWS: Final = 256
"""Rows of one batch that are hashed."""
_COUNTED_ROWS: Final = 32
"""Rows of a batch whose ids are counted: sorting more would show in short steps."""
_HASHED_VALUES: Final = 256
"""Values of a row that are hashed: spread evenly over it."""
_QUANTILES: Final = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
_TABLE_ROWS: Final = 2048
_TABLE_COLUMNS: Final = 512
_MOST_ROOTS: Final = 4
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)
_OVERLAP: Final = 3
"""Different numbers that two windows of a series have in common, at least: codes of categories have two."""
_LONGEST_STEP: Final = 24
"""Places from the begin of a window to that of the next one, at most."""
_GO_ON: Final = 0.02
"""Share of the windows whose next one is among the rows that are looked at; of tables, none by chance."""
_EXACT: Final = 1e-5
"""Relative deviation that rounding to float32, scaling and shifting may leave between a target and its copy."""

Values = npt.NDArray[np.float64]


def row_hashes(tensor: torch.Tensor) -> list[int]:
    """One 64-bit hash for each of the first rows; 0 for a row that holds one value only (blank, padding)."""
    if tensor.dim() < 2 or tensor.shape[0] < 1 or tensor.numel() // tensor.shape[0] < 2:
        return []
    values = _sampled(tensor)
    bits = values.view(np.uint32).astype(np.uint64)
    with np.errstate(over="ignore"):
        bits = (bits + np.uint64(1)) * _MIX
        bits ^= bits >> np.uint64(29)
        weights = (np.arange(1, values.shape[1] + 1, dtype=np.uint64) * _MIX) ^ (_MIX >> np.uint64(7))
        weights = (weights ^ (weights >> np.uint64(31))) * _MIX | np.uint64(1)
        hashes = (bits * weights).sum(1, dtype=np.uint64)
    return [int(h) for h in np.where(_blank(values), np.uint64(0), hashes).view(np.int64)]


def alike_blanks(tensor: torch.Tensor) -> int:
    """Of the rows that `row_hashes` calls 0, how many hold the most frequent of their values."""
    values = _sampled(tensor)
    _, counts = np.unique(values[_blank(values), 0], return_counts=True)
    return int(counts.max(initial=0))


def _sampled(tensor: torch.Tensor) -> npt.NDArray[np.float32]:
    """Values of the first rows, shape (rows, values)."""
    rows = tensor.detach()[:_HASHED_ROWS].flatten(1)
    stride = max(1, rows.shape[1] // _HASHED_VALUES)
    sampled: npt.NDArray[np.float32] = rows[:, ::stride][:, :_HASHED_VALUES].to("cpu", torch.float32).numpy()
    return sampled + np.float32(0)  # -0 is 0


def _blank(values: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Which rows hold one value only."""
    blank: npt.NDArray[np.bool_] = (values == values[:, :1]).all(1)
    return blank


def quantiles(x: torch.Tensor) -> dict[str, list[float]]:
    """Seven quantiles of a sample of all values (finite ones) of a batch."""
    if x.dim() < 2:
        return {}
    flat = x.reshape(-1)
    ordered = flat[:: max(1, flat.numel() // 4096) | 1][:4096].sort().values
    last = ordered.numel() - 1
    return {"quantiles": ordered[[round(q * last) for q in _QUANTILES]].tolist()}


def token_facts(tensor: torch.Tensor) -> dict[str, Any]:
    """Of a batch of token ids: how much of it is padding, and whether every row begins with one token twice."""
    if tensor.dtype not in (torch.int32, torch.int64) or tensor.dim() != 2 or min(tensor.shape) < 4:
        return {}
    ids = tensor.detach()[:_HASHED_ROWS, :1024].to("cpu").numpy()
    last = tensor.detach()[:_HASHED_ROWS, -1].to("cpu").numpy()
    ends = ids.shape[1] == tensor.shape[1]
    facts: dict[str, Any] = {}
    values, counts = np.unique(last, return_counts=True)
    if ends and counts.max() >= 2:
        same = ids[:, ::-1] == values[counts.argmax()]
        run = np.logical_and.accumulate(same, axis=1).sum(1)
        facts["padding"] = float(run[run >= 2].sum() / ids.size)
    first = ids[0, 0]
    if bool((ids[:, :2] == first).all()) and bool((ids[:, 2:] != first).any(1).all()):
        facts["leading"] = int(first)
    padding = run if "padding" in facts else np.zeros(len(ids), np.int64)
    facts |= _commonest(ids[:_COUNTED_ROWS], padding[:_COUNTED_ROWS])
    return facts


def _commonest(ids: npt.NDArray[Any], padding: npt.NDArray[Any]) -> dict[str, Any]:
    """The number at most places between the ends of the rows, and its share of these places.

    Not counted are runs of padding, so many places at the end of each row, and of the number itself at either end.
    """
    places = np.arange(ids.shape[1])[None] < (ids.shape[1] - np.where(padding >= 2, padding, 0))[:, None]
    values, counts = np.unique(ids[places], return_counts=True)
    if not len(values):
        return {}
    same = (ids == values[counts.argmax()]) & places
    before = np.logical_and.accumulate(same | ~places, axis=1)
    behind = np.logical_and.accumulate((same | ~places)[:, ::-1], axis=1)[:, ::-1]
    inner = places & ~before & ~behind
    if not inner.any():
        return {}
    return {"commonest": int(values[counts.argmax()]), "common_share": float((same & inner).sum() / inner.sum())}


class Features:
    """Keeps copies of a bounded number of rows of 2-D training inputs, with the targets of the same step."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._rows: dict[tuple[int, str], list[Values]] = {}
        self._targets: dict[tuple[int, str], list[Values | None]] = {}
        self._left: dict[tuple[int, str], int] = {}
        """Rows that are still to be kept."""
        self._sites: dict[tuple[int, str], int] = {}
        self._latest: tuple[int, str] | None = None
        self.ranks = Ranks(watch)
        self.categories = Categories(watch)
        self.appearances = EvaluatedIds(watch)

    def fed(self, root: int, argument: str, tensor: torch.Tensor) -> None:
        """A training call of a root."""
        self._latest = None
        key = (root, argument)
        known = self._rows.get(key)
        if known is None:
            if len(self._rows) >= _MOST_ROOTS:
                return
            known = []
        if (
            not tensor.is_floating_point()
            or tensor.dim() != 2
            or not 1 < tensor.shape[1] <= _TABLE_COLUMNS
            or not is_plain_tensor(tensor)
        ):
            return
        left = self._left.setdefault(key, _TABLE_ROWS)
        if left <= 0 or (known and known[0].shape[1] != tensor.shape[1]):
            return
        self._rows[key] = known
        known.append(tensor.detach()[:left].to("cpu", torch.float64, copy=True).numpy())
        self._left[key] = left - len(known[-1])
        self._targets.setdefault(key, []).append(None)
        self._latest = key

    def answered(self, site: int, target: torch.Tensor) -> None:
        """A loss compared the latest call with this target."""
        key, self._latest = self._latest, None
        if key is None or target.dim() not in (1, 2) or (target.dim() == 2 and target.shape[1] != 1):
            return
        rows = self._rows[key][-1]
        if target.shape[0] >= len(rows) and self._sites.setdefault(key, site) == site:
            self._targets[key][-1] = target.detach().flatten()[: len(rows)].to("cpu", torch.float64).numpy().copy()

    def save(self, files: set[str]) -> None:
        """Write one table per root and argument.

        Args:
            files: those of the user.
        """
        self.ranks.save()
        self.categories.save()
        self.appearances.save()
        for (root, argument), parts in self._rows.items():
            x = np.concatenate(parts)
            known = [i for i, t in enumerate(self._targets[root, argument]) if t is not None]
            given = [t for t in self._targets[root, argument] if t is not None]
            if len(x) < 8 or not np.isfinite(x).all():
                continue
            table = columns_of(root, argument, x)
            if given:
                y = np.concatenate(given)
                table.update(copies_of(np.concatenate([parts[i] for i in known]), y))
                table["site"] = self._sites[root, argument]
                if table["copies"] and are_windows(x):
                    places = last_places(files)
                    line = self.watch.lines.of(*places[0]) if len(places) == 1 else None
                    self.watch.writer.put(WindowTable(root, argument, line), root)
            self.watch.writer.put(FeatureTable(**table), root)
        self._latest = None


def columns_of(root: int, argument: str, x: Values) -> dict[str, Any]:
    """Constant and equal columns."""
    constant = (x == x[:1]).all(0)
    groups: dict[bytes, list[int]] = {}
    for i in np.flatnonzero(~constant):
        groups.setdefault(x[:, i].tobytes(), []).append(int(i))
    return {
        "root": root,
        "argument": argument,
        "rows": len(x),
        "distinct_rows": len(np.unique(x, axis=0)),
        "features": x.shape[1],
        "constant": [int(i) for i in np.flatnonzero(constant & (x[0] != 0))],
        "duplicates": [g for g in groups.values() if len(g) > 1],
        "binary": int(sum(len(np.unique(x[:, i])) == 2 for i in np.flatnonzero(~constant))),
    }


def are_windows(x: Values) -> bool:
    """A part of the rows goes on in other rows: from some column on, they are what another row begins with."""
    rows = np.unique(x, axis=0)
    rows = rows[np.ptp(rows, axis=1) > 0]
    width = rows.shape[1]
    for by in range(1, min(_LONGEST_STEP, width - _OVERLAP) + 1):
        beginnings = {row.tobytes() for row in rows[:, : width - by]}
        ends = [row for row in rows[:, by:] if row.tobytes() in beginnings]
        if sum(len(np.unique(row)) >= _OVERLAP for row in ends) >= max(8, _GO_ON * len(rows)):
            return True
    return False


def copies_of(x: Values, y: Values) -> dict[str, Any]:
    """Columns that are the target in another coding."""
    facts: dict[str, Any] = {"targets": len(y), "target_classes": 0, "copies": []}
    classes = np.unique(y)
    if len(x) != len(y) or not np.isfinite(y).all() or len(classes) < 2:
        return facts
    moving = np.flatnonzero(x.std(0) > 0)
    if bool((y == y.round()).all()) and len(classes) <= 100:
        facts["target_classes"] = len(classes)
        groups = [x[y == c] for c in classes]
        for i in moving:
            scale = float(np.ptp(x[:, i]))
            centres = np.sort([float(g[:, i].mean()) for g in groups])
            if np.diff(centres).min() > 1e-3 * scale and max(float(np.ptp(g[:, i])) for g in groups) < _EXACT * scale:
                facts["copies"].append(int(i))
        return facts
    centred = y - y.mean()
    for i in moving:
        z = x[:, i] - x[:, i].mean()
        slope = float(z @ centred / (z @ z))
        if np.abs(centred - slope * z).max() < _EXACT * np.abs(centred).max():
            facts["copies"].append(int(i))
    return facts
